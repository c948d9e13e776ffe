"""What other tools' files declare."""

from __future__ import annotations

import pytest

from wardian.errors import SpecError
from wardian.project.declarations import read_apt, read_project, read_python_version, read_script_metadata

SCRIPT = """#!/usr/bin/env python
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "Pandas>=2",
# ]
#
# [tool.x]
# ///
import pandas
"""


def test_a_scripts_metadata(tmp_path):
    for text in (SCRIPT, SCRIPT.replace("\n", "\r\n")):
        found = read_script_metadata(tmp_path / "a.py", [text])
        assert found is not None
        assert (found.dependencies, found.requires_python) == (("Pandas>=2",), ">=3.11")


@pytest.mark.parametrize(
    "text",
    [
        "import pandas\n",
        "# /// script\n# dependencies = []\n",
        "# /// other\n# x = 1\n# ///\n",
        "x = '# /// script'\n",
    ],
)
def test_a_script_without_metadata(tmp_path, text):
    assert read_script_metadata(tmp_path / "a.py", [text]) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SCRIPT + SCRIPT, "a.py has 2 script blocks; PEP 723 allows one"),
        (
            SCRIPT.replace('"Pandas>=2"', '"a @ file:///x"'),
            'a.py:5: dependencies[0]: "a @ file:///x" is an address',
        ),
        (SCRIPT.replace('">=3.11"', "3.11"), "a.py:3: requires-python: expected a version specifier"),
        (SCRIPT.replace('"Pandas>=2"', '"Pandas'), "a.py:5: this is not valid TOML: Illegal character"),
    ],
)
def test_metadata_that_is_wrong(tmp_path, text, message):
    with pytest.raises(SpecError) as caught:
        read_script_metadata(tmp_path / "a.py", [text])
    assert caught.value.message.replace(f"{tmp_path}/", "").startswith(message)


def test_many_openings_take_no_time(tmp_path):
    assert read_script_metadata(tmp_path / "a.py", ["# /// script\n" * 200_000]) is None


def test_a_project_table(write):
    folder = write({"pyproject.toml": '[project]\nname = "x"\ndynamic = ["dependencies"]\n'})
    project = read_project(folder / "pyproject.toml")
    assert project is not None
    assert project.dependencies is None
    assert project.notes == ("pyproject.toml computes its dependencies (dynamic), which is not read.",)


def test_a_project_table_that_is_wrong(write):
    folder = write({"pyproject.toml": '[project]\nname = "x"\ndependencies = ["numpy", 3]\n'})
    with pytest.raises(
        SpecError, match=r"pyproject.toml:3: project.dependencies\[1\]: expected a requirement"
    ):
        read_project(folder / "pyproject.toml")


def test_apt_txt(write):
    folder = write({"apt.txt": "# tools\ngraphviz git # both\n\ngit\n", "bad.txt": "\nGraphviz\n"})
    assert read_apt(folder / "apt.txt") == ("graphviz", "git")
    with pytest.raises(SpecError, match=r"bad.txt:2: 'Graphviz' is no Debian package name"):
        read_apt(folder / "bad.txt")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("3.12\n", "3.12"),
        ("# mine\n3.12.4\n3.11\n", "3.12.4"),
        ("cpython-3.12.4-linux-x86_64-gnu", "3.12.4"),
        ("python3.11", "3.11"),
        (">=3.11", ">=3.11"),
        ("system\n", ""),
        ("", ""),
    ],
)
def test_python_version(write, text, version):
    assert read_python_version(write({".python-version": text}) / ".python-version") == version


@pytest.mark.parametrize("text", ["pypy3.10", "my-env", "\0"])
def test_python_version_of_something_else(write, text):
    with pytest.raises(SpecError, match=r"\.python-version:1: .* is no version of CPython"):
        read_python_version(write({".python-version": text}) / ".python-version")
