"""Adding and removing packages, and the first spec."""

from __future__ import annotations

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.project.conftest import read_spec

from wardian.errors import SpecError
from wardian.image.platform import Platform
from wardian.project import edit
from wardian.project.detect import detect
from wardian.project.edit import add, remove
from wardian.project.initial import render, write_initial
from wardian.project.read import read_spec_text
from wardian.project.spec import Mount, PythonSpec, Spec, SystemSpec, Task

COMMENTED = """# mine
name = "x"  # the name

[python]  # snakes
packages = [
  # frames
  "Pandas",  # for tables
  "numpy>=1",
]

# what to run
[tasks]
a = "b"
"""


def test_comments_and_order_are_kept(write):
    folder = write({"wardian.toml": COMMENTED})
    change = add(folder, python=["pandas>=2", "polars"], system=["graphviz"])
    assert (change.added, change.replaced, change.created) == (("polars", "graphviz"), ("pandas>=2",), False)
    assert (folder / "wardian.toml").read_text() == (
        COMMENTED.replace('"Pandas"', '"pandas>=2"').replace('>=1",\n', '>=1",\n  "polars",\n')
        + '\n[system]\npackages = ["graphviz"]\n'
    )


def test_removing_keeps_comments(write):
    folder = write({"wardian.toml": COMMENTED})
    assert remove(folder, python=["NumPy"]).removed == ("numpy>=1",)
    assert (folder / "wardian.toml").read_text() == COMMENTED.replace('  "numpy>=1",\n', "")


CASES = [
    ("", '[python]\npackages = ["numpy"]\n\n[system]\npackages = ["git"]\n'),
    ("# c", '# c\n\n[python]\npackages = ["numpy"]\n\n[system]\npackages = ["git"]\n'),
    (
        '[python]\nversion = "3.12"\n# end\n\n# next\n[env]\nA = "1"\n',
        (
            '[python]\nversion = "3.12"\npackages = ["numpy"]\n# end\n\n# next\n[env]\nA = "1"\n\n'
            '[system]\npackages = ["git"]\n'
        ),
    ),
    (
        'python.version = "3.12"\n',
        'python.version = "3.12"\npython.packages = ["numpy"]\n\n[system]\npackages = ["git"]\n',
    ),
    (
        '[python]\r\nversion = "3.12"\r\n',
        '[python]\r\nversion = "3.12"\r\npackages = ["numpy"]\r\n\r\n[system]\r\npackages = ["git"]\r\n',
    ),
    (
        '[python]\nversion = """\n3.12"""',
        '[python]\nversion = """\n3.12"""\npackages = ["numpy"]\n\n[system]\npackages = ["git"]\n',
    ),
]


@pytest.mark.parametrize(("before", "after"), CASES)
def test_tables_are_made_where_they_belong(write, before, after):
    folder = write({"wardian.toml": before})
    add(folder, python=["numpy"], system=["git"])
    assert (folder / "wardian.toml").read_bytes().decode() == after


def test_a_table_inside_pyproject(write):
    text = '[project]\nname = "x"\n\n[tool.wardian.python]\npackages = []\n\n# style\n[tool.ruff]\nx = 1\n'
    folder = write({"pyproject.toml": text})
    change = add(folder, python=["numpy"], system=["git"])
    assert change.path == folder / "pyproject.toml"
    assert (folder / "pyproject.toml").read_text() == text.replace("[]", '["numpy"]').replace(
        "\n# style", '\n[tool.wardian.system]\npackages = ["git"]\n\n# style'
    )


def test_a_long_array_gets_lines(write):
    folder = write({"wardian.toml": '[python]\npackages = ["a"] # c\n'})
    add(folder, python=[f"package-{number}" for number in range(8)])
    text = (folder / "wardian.toml").read_text()
    assert text.startswith('[python]\npackages = [\n    "a",\n    "package-0",\n')
    assert text.endswith('    "package-7",\n] # c\n')


def test_a_byte_order_mark_and_the_mode_stay(write):
    folder = write({"wardian.toml": b'\xef\xbb\xbfname = "a"\n'})
    (folder / "wardian.toml").chmod(0o640)
    add(folder, system=["git"])
    assert (folder / "wardian.toml").read_bytes().startswith(b'\xef\xbb\xbfname = "a"\n\n[system]')
    assert (folder / "wardian.toml").stat().st_mode & 0o777 == 0o640


def test_the_first_addition_writes_what_was_detected(write):
    folder = write({"requirements.txt": "numpy\n", "apt.txt": "git\n"})
    assert add(folder, python=["pandas"]).created
    assert read_spec(folder) == Spec(
        name="my-project",
        python=PythonSpec(packages=("pandas",), requirements=("requirements.txt",)),
        system=SystemSpec(packages=("git",)),
    )


def test_requirements_of_one_name_stay_apart(write):
    text = """[python]
packages = [
  "numpy<2; python_version < '3.12'",  # old
  "numpy>=2; python_version >= '3.12'",  # new
]
"""
    folder = write({"wardian.toml": text})
    add(folder, python=["pandas"])
    assert (folder / "wardian.toml").read_text() == text.replace("# new\n", '# new\n  "pandas",\n')
    remove(folder, python=["pandas"])
    assert (folder / "wardian.toml").read_text() == text
    windows = "numpy<3; sys_platform == 'win32'"
    assert add(folder, python=[windows]).added == (windows,)
    newer = "numpy>=2.3; python_version>='3.12'"
    assert add(folder, python=[newer]).replaced == (newer,)
    assert read_spec(folder).python.packages == ("numpy<2; python_version < '3.12'", newer, windows)
    assert add(folder, python=["numpy>=2"]).replaced == ("numpy>=2",)
    assert read_spec(folder).python.packages == ("numpy>=2",)


def test_edits_at_once_lose_nothing(write):
    folder = write({"wardian.toml": COMMENTED})
    names = [f"package-{number}" for number in range(12)]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: add(folder, python=[name]), names))
    assert set(names) < set(read_spec(folder).python.packages)


def test_a_folder_that_stays_locked_does_not_stop_an_edit(write, monkeypatch):
    """As under `flock . wardian add x`."""
    monkeypatch.setattr(edit, "_PATIENCE", 0.05)
    folder = write({"wardian.toml": COMMENTED})
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert add(folder, python=["six"]).added == ("six",)
    finally:
        os.close(descriptor)


def test_what_somebody_put_in_the_files_place_is_left(write):
    folder = write({"wardian.toml": COMMENTED})
    change = add(folder, python=["six"])
    (folder / "wardian.toml").unlink()
    (folder / "wardian.toml").mkdir()
    change.undo()
    assert (folder / "wardian.toml").is_dir()


def test_adding_what_is_there_writes_nothing(write):
    folder = write({"wardian.toml": COMMENTED})
    before = (folder / "wardian.toml").stat().st_mtime_ns
    change = add(folder, python=["Pandas"])
    assert (change.added, change.replaced) == ((), ())
    assert (folder / "wardian.toml").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("edit", "options", "message", "hint"),
    [
        (
            add,
            {"python": ["ok", "a b"]},
            "'a b' is no requirement as PEP 508 writes it",
            "write a requirement such as",
        ),
        (
            add,
            {"system": ["Git"]},
            "'Git' is no Debian package name",
            "write a Debian package's name such as",
        ),
        (remove, {"python": ["pandos"]}, "wardian.toml names no package 'pandos'", "did you mean pandas?"),
        (
            remove,
            {"python": ["scipy"]},
            "wardian.toml names no package 'scipy': a requirement file does (r.txt)",
            "remove it from that file",
        ),
        (
            remove,
            {"system": ["a b"]},
            "wardian.toml names no package 'a b'",
            "see the spec for what it names",
        ),
    ],
)
def test_what_cannot_be_edited_is_told_and_left(write, edit, options, message, hint):
    text = '[python]\npackages = ["pandas"]\nrequirements = ["r.txt"]\n'
    folder = write({"wardian.toml": text, "r.txt": "scipy"})
    with pytest.raises(SpecError) as caught:
        edit(folder, **options)
    assert caught.value.message.startswith(message)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)
    assert (folder / "wardian.toml").read_text() == text
    assert sorted(path.name for path in folder.iterdir()) == ["r.txt", "wardian.toml"]


def test_init_writes_what_was_detected(write):
    folder = write({"a.py": "import sklearn\n"})
    detection = detect(folder)
    path, told = write_initial(folder)
    assert told == detection.sources
    again = detect(folder)
    assert again.spec == detection.spec
    assert again.lock_digest == detection.lock_digest
    assert "sklearn from scikit-learn" in path.read_text()
    with pytest.raises(SpecError, match=r"wardian\.toml holds a spec already"):
        write_initial(folder)
    path.write_text("not = [toml")
    assert write_initial(folder, force=True) == (path, told)
    assert detect(folder).spec == detection.spec


plain = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=30)
filled = plain.filter(str.strip)
variables = st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), plain, max_size=3)
tasks = st.builds(
    Task,
    command=filled | st.lists(plain, min_size=1, max_size=3).map(tuple),
    description=plain,
    env=variables,
)
sources = filled.filter(lambda text: not text.endswith(":ro"))
packages = st.lists(st.from_regex(r"[a-z][a-z0-9]{1,30}(>=[0-9]{1,3})?", fullmatch=True), max_size=6).map(
    tuple
)
specs = st.builds(
    Spec,
    name=st.from_regex(r"[a-z0-9]{1,9}(-[a-z0-9]{1,9})?", fullmatch=True),
    base=st.sampled_from(["debian:trixie", "debian:bookworm"]),
    platforms=st.lists(
        st.sampled_from([Platform(architecture=a) for a in ("amd64", "arm64")]), max_size=2
    ).map(tuple),
    python=st.none()
    | st.builds(
        PythonSpec,
        version=st.sampled_from(["", "3.12", ">=3.11"]),
        packages=packages,
        requirements=st.sampled_from([(), ("r.txt", 'odd "name".txt')]),
    ),
    system=st.builds(
        SystemSpec, packages=st.lists(st.sampled_from(["git", "graphviz=1:2~b"]), max_size=3).map(tuple)
    ),
    env=variables,
    mounts=st.lists(
        st.builds(
            Mount,
            target=st.from_regex(r"/(data|mnt)/[a-z ]{1,5}", fullmatch=True),
            source=sources,
            read_only=st.booleans(),
        ),
        max_size=3,
        unique_by=lambda mount: mount.target,
    ).map(tuple),
    tasks=st.dictionaries(
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,8}", fullmatch=True), tasks, max_size=3
    ),
)


@settings(deadline=None)
@given(spec=specs, notes=st.lists(st.text(max_size=120), max_size=2).map(tuple))
def test_a_written_spec_reads_as_itself(tmp_path_factory, spec, notes):
    assert read_spec_text(render(spec, notes), tmp_path_factory.getbasetemp() / "wardian.toml") == spec
