"""Requirement files in pip's format."""

from __future__ import annotations

import pytest

from wardian.errors import SpecError
from wardian.project.requirements import logical_lines, read_requirements

HASH = "a" * 64


def fail(folder, *files):
    with pytest.raises(SpecError) as caught:
        read_requirements(folder, files)
    return caught.value.message.replace(f"{folder}/", ""), caught.value.hint


def test_what_a_file_asks_for(write):
    text = f"""# needed by all
Pandas >= 2  # frames
numpy \\
    <3 ; \\
    python_version < "4"

scipy==1.15.0 \\
    --hash=sha256:{HASH.upper()} \\
    --hash sha512:{"b" * 128}
dask[dataframe]
pkg#egg
"""
    with pytest.raises(SpecError, match=r"requirements\.txt:11: 'pkg#egg'"):
        read_requirements(write({"requirements.txt": text}), ["requirements.txt"])
    declared = read_requirements(
        write({"requirements.txt": text.replace("pkg#egg", "")}), ["requirements.txt"]
    )
    assert declared.requirements == (
        "pandas>=2",
        'numpy<3; python_version < "4"',
        f"scipy==1.15.0 --hash=sha256:{HASH} --hash=sha512:{'b' * 128}",
        "dask[dataframe]",
    )
    assert declared.notes == ()


def test_files_include_each_other(write):
    folder = write(
        {
            "requirements.txt": "-r requirements/base.txt\n-c limits.txt\n--requirement=./r.txt\n",
            "requirements/base.txt": "-r more.txt\n-r ../requirements.txt\nnumpy\n",
            "requirements/more.txt": "scipy\n",
            "limits.txt": "-r limits2.txt\nnumpy<3\n",
            "limits2.txt": "scipy<2\n",
            "r.txt": "",
        }
    )
    declared = read_requirements(folder, ["requirements.txt"])
    assert declared.requirements == ("scipy", "numpy")
    assert declared.constraints == ("scipy<2", "numpy<3")
    assert [path.relative_to(folder).as_posix() for path in declared.inputs] == [
        "requirements.txt",
        "requirements/base.txt",
        "requirements/more.txt",
        "limits.txt",
        "limits2.txt",
        "r.txt",
    ]


def test_pyproject_is_a_requirement_file(write):
    folder = write({"pyproject.toml": '[project]\nrequires-python = ">=3.11"\ndependencies = ["Numpy"]\n'})
    declared = read_requirements(folder, ["pyproject.toml"])
    assert (declared.requirements, declared.requires_python) == (("numpy",), (">=3.11",))


def test_a_pyproject_without_project(write):
    assert fail(write({"pyproject.toml": ""}), "pyproject.toml")[0] == (
        "pyproject.toml has no [project] table to take dependencies from"
    )


def test_addresses_come_from_configuration(write):
    lines = "--index-url https://user:word@example.org/\n-i https://example.org\n"
    lines += "--find-links ./wheels\n--require-hashes\n"
    declared = read_requirements(write({"requirements.txt": f"{lines}numpy\n"}), ["requirements.txt"])
    assert declared.requirements == ("numpy",)
    assert declared.notes == (
        "requirements.txt gives --index-url, which is left out: addresses come from your configuration.",
        "requirements.txt gives --find-links, which is left out: addresses come from your configuration.",
    )


def test_powershell_writes_utf_16(write):
    folder = write({"requirements.txt": "numpy==2.0\r\n".encode("utf-16")})
    assert read_requirements(folder, ["requirements.txt"]).requirements == ("numpy==2.0",)


LOCAL = "write the package's name as the index has it, or remove the line: the project is mounted anyway"
PATH = "is an address or a path, which has no hash in an index and cannot be locked"


@pytest.mark.parametrize(
    ("line", "problem", "hint"),
    [
        ("-e .", "is an editable install, which has no hash and cannot be locked", LOCAL),
        ("./wheels/a.whl", PATH, LOCAL),
        (".", "is no requirement as PEP 508 writes it", LOCAL),
        ("a @ https://example.org/a.whl", PATH, LOCAL),
        (
            "--pre",
            "is an option that wardian does not have",
            "name the pre-release in the requirement itself, as in name>=2.0rc1",
        ),
        ("-", "is an option that wardian does not have", "write a requirement such as pandas>=2"),
        (
            "numpy=2.1=py313_0",
            "has a single =, where == is meant",
            "write == before a version, as in numpy==2.1.0",
        ),
        (
            "a --config-settings=x",
            "has the option --config-settings, which wardian does not have",
            "write a requirement such as pandas>=2",
        ),
        (
            "a --hash=md5:abc",
            "has a hash that is no sha256, sha384 or sha512",
            "write a requirement such as pandas>=2",
        ),
        ("-r ../../x.txt", "is no file inside the project folder", "write a requirement such as pandas>=2"),
        ("-r /etc/passwd", "is no file inside the project folder", "write a requirement such as pandas>=2"),
        ("-r", "is no file inside the project folder", "write a requirement such as pandas>=2"),
        (
            "-r https://example.org/r.txt",
            "is an address; only files inside the project folder can be included",
            LOCAL,
        ),
    ],
)
def test_a_line_that_cannot_be_locked(write, line, problem, hint):
    message, advice = fail(write({"r/requirements.txt": f"# one\n{line}\n"}), "r/requirements.txt")
    assert message.startswith(f"r/requirements.txt:2: {line!r} {problem}")
    assert advice == hint


def test_a_password_is_not_repeated(write):
    message, _ = fail(write({"r.txt": "git+https://me:secret@example.org/x\n"}), "r.txt")
    assert "secret" not in message
    assert "me" not in message.split("…")[0].split("://")[1]


def test_files_that_are_none(write):
    folder = write({"folder/x": "", "nul.txt": "a\n\0", "bytes.txt": b"\xff", "more.txt": "-r gone.txt\n"})
    assert fail(folder, "gone.txt")[0] == "cannot read gone.txt: there is no such file"
    assert fail(folder, "folder")[0] == "cannot read folder: it is a folder"
    assert fail(folder, "nul.txt")[0] == "nul.txt:2: a NUL stands in the text"
    assert fail(folder, "bytes.txt")[0] == "bytes.txt is not UTF-8 text"
    assert fail(folder, "more.txt")[0] == "cannot read gone.txt: there is no such file"


def test_a_chain_without_end(write):
    folder = write({f"r{number}.txt": f"-r r{number + 1}.txt\n" for number in range(100)})
    assert fail(folder, "r0.txt")[0] == "r64.txt: more than 64 requirement files include each other"


def test_lines_are_counted_where_they_begin():
    assert list(logical_lines("a\\\n#b\n c\n\n# \\\nd \\")) == [(1, "a"), (3, "c"), (6, "d")]
