"""An explicit spec: what is read, and what each mistake is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.project.conftest import read_spec

from wardian.errors import SpecError
from wardian.image.platform import Platform
from wardian.project.spec import Mount, PythonSpec, Spec, SystemSpec, Task

FULL = """
name = "penguins"
base = "debian:bookworm"
platforms = ["linux/amd64", "linux/arm64"]

[python]
version = ">=3.11"
packages = [
    "pandas>=2",  # frames
    "dask[dataframe]; python_version > '3'",
]
requirements = ["requirements/base.txt"]

[system]
packages = ["graphviz", "git=1:2.47.3-0+deb13u1"]

[env]
OMP_NUM_THREADS = "4"

[mounts]
"/data/" = "../data:ro"
"/scratch" = "/var/tmp"

[tasks]
train = "python train.py && echo done"
test = ["pytest", "-q"]

[tasks.plot]
command = "python plot.py"
description = "Draw the figures"
env = { SEED = "1" }
"""


def fail(folder: Path) -> tuple[str, str | None]:
    with pytest.raises(SpecError) as caught:
        read_spec(folder)
    assert caught.value.exit_status == 1
    return caught.value.message.replace(f"{folder}/", ""), caught.value.hint


def test_every_key_is_read(write):
    spec = read_spec(write({"wardian.toml": FULL}))
    assert spec == Spec(
        name="penguins",
        base="debian:bookworm",
        platforms=(Platform(architecture="amd64"), Platform(architecture="arm64")),
        python=PythonSpec(
            version=">=3.11",
            packages=("pandas>=2", "dask[dataframe]; python_version > '3'"),
            requirements=("requirements/base.txt",),
        ),
        system=SystemSpec(packages=("graphviz", "git=1:2.47.3-0+deb13u1")),
        env={"OMP_NUM_THREADS": "4"},
        mounts=(
            Mount(target="/data", source="../data", read_only=True),
            Mount(target="/scratch", source="/var/tmp"),
        ),
        tasks={
            "train": Task(command="python train.py && echo done"),
            "test": Task(command=("pytest", "-q")),
            "plot": Task(command="python plot.py", description="Draw the figures", env={"SEED": "1"}),
        },
    )
    assert spec.suite == "bookworm"


def test_nothing_written_means_the_defaults(write):
    spec = read_spec(write({"wardian.toml": ""}))
    assert spec == Spec(name="my-project", base="debian:trixie")
    assert spec is not None
    assert spec.python is None


def test_an_empty_python_table_means_python(write):
    spec = read_spec(write({"wardian.toml": "[python]\n"}))
    assert spec is not None
    assert spec.python == PythonSpec()


def test_pyproject_holds_a_spec(write):
    folder = write(
        {"pyproject.toml": '[project]\nname = "x"\n\n[tool.wardian.python]\npackages = ["numpy"]\n'}
    )
    assert read_spec(folder) == Spec(name="x", python=PythonSpec(packages=("numpy",)))


def test_a_pyproject_without_the_table_is_no_spec(write):
    assert read_spec(write({"pyproject.toml": '# wardian\n[project]\nname = "x"\n'})) is None
    assert read_spec(write({"pyproject.toml": "[tool.ruff]\n"})) is None


def test_a_quoted_or_escaped_table_name_is_seen(write):
    folder = write({"pyproject.toml": '["t\\u006fol"."w\\u0061rdian"]\nname = "quoted"\n'})
    assert read_spec(folder) == Spec(name="quoted")


def test_an_empty_folder_has_no_spec(write):
    assert read_spec(write({})) is None


def test_two_specs_are_one_too_many(write):
    folder = write({"wardian.toml": "", "pyproject.toml": "[project]\n\n[tool.wardian]\n"})
    message, hint = fail(folder)
    assert message == "pyproject.toml:3: [tool.wardian] stands here, and there is wardian.toml too"
    assert hint == "keep one of the two and remove the other"


def test_a_broken_pyproject_does_not_disturb_wardian_toml(write):
    assert read_spec(write({"wardian.toml": 'name = "a"', "pyproject.toml": "wardian ="})) == Spec(name="a")


KEYS = "name, base, platforms, python, system, env, mounts, tasks, image"

MISTAKES = [
    (
        '[python]\nverison = "3.12"\n',
        "wardian.toml:2: python.verison: unknown key; expected version, packages, requirements",
        "write version",
    ),
    (
        '\npackages = ["pandas"]\n',
        f"wardian.toml:2: packages: unknown key; expected {KEYS}",
        "write packages in the table [python] or [system]",
    ),
    (
        '[python]\npackages = []\nname = "late"\n',
        "wardian.toml:3: python.name: unknown key; expected version, packages, requirements",
        "name is a key of the top level: write it above the first [table]",
    ),
    ("[gpu]\n", f"wardian.toml:1: gpu: unknown key; expected {KEYS}", "remove it"),
    ("[pyhton]\n", f"wardian.toml:1: pyhton: unknown key; expected {KEYS}", "write python"),
    ("[[python]]\n", "wardian.toml:1: python: expected a table, found an array", None),
    (
        '[python]\npackages = "pandas"\n',
        (
            "wardian.toml:2: python.packages: expected an array of requirements (PEP 508), "
            'found the string "pandas"'
        ),
        'write ["pandas"]',
    ),
    (
        '[python]\npackages = [\n  "numpy",\n  "pandas=2",\n]\n',
        'wardian.toml:4: python.packages[1]: "pandas=2" has a single =, where == is meant',
        'write a requirement (PEP 508) such as "pandas>=2"',
    ),
    (
        '[python]\npackages = ["a @ https://example.org/a.whl"]\n',
        (
            'wardian.toml:2: python.packages[0]: "a @ https://example.org/a.whl" is an address or a path, '
            "which has no hash in an index and cannot be locked"
        ),
        'write a requirement (PEP 508) such as "pandas>=2"',
    ),
    (
        "[python]\nversion = 3.12\n",
        (
            "wardian.toml:2: python.version: "
            'expected a Python version or specifier such as "3.12", found a float'
        ),
        'write "3.12"',
    ),
    (
        '[python]\nversion = "three"\n',
        'wardian.toml:2: python.version: "three" is no version or version specifier',
        'write a Python version or specifier such as "3.12"',
    ),
    (
        '[python]\nrequirements = ["../r.txt"]\n',
        'wardian.toml:2: python.requirements[0]: "../r.txt" is no path inside the project folder',
        'write a file\'s path below the project folder such as "requirements.txt"',
    ),
    (
        'base = "debian:trixi"\n',
        'wardian.toml:1: base: "debian:trixi" is no base that wardian knows',
        'write "debian:trixie"',
    ),
    (
        'platforms = ["linux/x86"]\n',
        "wardian.toml:1: platforms[0]: unknown platform 'linux/x86'",
        "use one of linux/amd64, linux/arm64, linux/ppc64le, linux/s390x, linux/riscv64",
    ),
    (
        '[system]\npackages = ["Graphviz"]\n',
        (
            'wardian.toml:2: system.packages[0]: "Graphviz" is no Debian package name '
            "(small letters, digits, + - and ., at least two)"
        ),
        'write a Debian package\'s name, or name=version such as "graphviz"',
    ),
    (
        "[env]\nTHREADS = 4\n",
        'wardian.toml:2: env.THREADS: expected a string such as "4", found an integer',
        'write "4"',
    ),
    (
        '[mounts]\n"/data" = "a"\n"/data/" = "b"\n',
        'wardian.toml:3: mounts."/data/": "/data/" stands here twice, as "/data"',
        None,
    ),
    (
        '[mounts]\n"/work/../proc" = "a"\n',
        'wardian.toml:2: mounts."/work/../proc": "/work/../proc" is no absolute path in the container',
        'write an absolute path in the container such as "/data"',
    ),
    (
        '[tasks.train]\ndescription = "Train"\n',
        (
            "wardian.toml:1: tasks.train: the key command is missing; "
            "expected a command line, or an array of a program and its arguments"
        ),
        None,
    ),
    (
        "[tasks]\ntrain = []\n",
        "wardian.toml:2: tasks.train: expected an array of a program and its arguments, found an empty array",
        None,
    ),
    (
        'name = "A b"\n',
        'wardian.toml:1: name: "A b" is no name (small letters and digits, with single . _ or - between)',
        'write a name such as "penguins"',
    ),
    (
        'name = "a\\u0000"\n',
        'wardian.toml:1: name: expected a name, found a control character in "a\\u0000"',
        None,
    ),
    ("a = \n", "wardian.toml:1: this is not valid TOML: Invalid value", None),
    ("a = 1\na = 2\n", "wardian.toml:2: this is not valid TOML: Cannot overwrite a value", None),
    ('x = 1\ny = """\n', "wardian.toml:3: this is not valid TOML: Unterminated string", None),
    (f"x = 0x{'f' * 9000}\n", f"wardian.toml:1: x: unknown key; expected {KEYS}", "remove it"),
    (
        f"name = 0x{'f' * 9000}\n",
        'wardian.toml:1: name: expected a name such as "penguins", found an integer',
        None,
    ),
    ("x = " + "[" * 100_000, "wardian.toml: nested too deep to be a declaration", None),
    (f"y = 1\n{'.'.join('a' * 100_000)} = 1\n", "wardian.toml:2: nested too deep to be a declaration", None),
]


@pytest.mark.parametrize(("text", "message", "hint"), MISTAKES, ids=[case[1][:60] for case in MISTAKES])
def test_a_mistake_is_told_with_its_place(write, text, message, hint):
    assert fail(write({"wardian.toml": text})) == (message, hint)


def test_a_huge_decimal_integer(write):
    message, _ = fail(write({"wardian.toml": f"x = {'9' * 9000}\n"}))
    assert message.startswith("wardian.toml: this is not valid TOML: Exceeds the limit")


def test_a_place_inside_pyproject(write):
    message, hint = fail(write({"pyproject.toml": "[project]\nname='x'\n\n[tool.wardian]\nversion = '3'\n"}))
    assert message == f"pyproject.toml:5: tool.wardian.version: unknown key; expected {KEYS}"
    assert hint == "write version in the table [tool.wardian.python]"


def test_a_tool_table_of_the_wrong_type(write):
    message, _ = fail(write({"pyproject.toml": "[tool]\nwardian = 3\n"}))
    assert message == "pyproject.toml:2: expected a table, found an integer"


def test_bytes_that_are_no_utf8(write):
    message, hint = fail(write({"wardian.toml": b'name = "a"\n# \xff\n'}))
    assert (message, hint) == ("wardian.toml:2: not UTF-8 text", "save the file as UTF-8")


def test_a_byte_order_mark_is_passed_over(write):
    assert read_spec(write({"wardian.toml": b'\xef\xbb\xbfname = "a"\n'})) == Spec(name="a")


def test_a_folder_in_place_of_the_file(write):
    message, _ = fail(write({"wardian.toml/x": ""}))
    assert message == "cannot read wardian.toml: it is a folder"


def test_a_link_to_nothing(write):
    folder = write({})
    (folder / "wardian.toml").symlink_to("nowhere")
    assert fail(folder)[0] == "cannot read wardian.toml: there is no such file"


def test_a_pipe_is_not_waited_for(write):
    folder = write({})
    os.mkfifo(folder / "wardian.toml")
    assert fail(folder)[0] == "cannot read wardian.toml: it is no regular file"


def test_a_file_without_end(write):
    assert fail(write({"wardian.toml": "#" * (2 << 20)}))[0] == (
        "wardian.toml is larger than 1 MiB, which no declaration is"
    )


def test_a_file_that_cannot_be_read(write):
    # The kernel refuses this one to root too, whom no mode keeps out.
    folder = write({})
    (folder / "wardian.toml").symlink_to("/proc/self/mem")
    assert fail(folder) == (
        "cannot read wardian.toml: Input/output error",
        "check the path and its permissions",
    )


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    for name, why in (("absent", "there is no such folder"), ("file", "it is no folder")):
        with pytest.raises(SpecError, match=f"cannot read the project folder .*{name}: {why}"):
            read_spec(tmp_path / name)


def test_a_path_with_a_nul():
    with pytest.raises(SpecError, match="cannot read the project folder"):
        read_spec(Path("a\0b"))
