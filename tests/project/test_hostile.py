"""Whatever stands in a declaration, it is read or refused with a SpecError: no other traceback."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardian.errors import SpecError
from wardian.project.detect import detect
from wardian.project.document import parse_toml
from wardian.project.edit import add
from wardian.project.imports import find_imports
from wardian.project.notebooks import installed_words, strip_magics
from wardian.project.read import read_spec_text
from wardian.project.spec import Spec

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["name", "base", "platforms", "python", "system", "env", "mounts", "tasks", "version", "packages",
         "requirements", "command", "description", "image", "ports", "labels", "code", "user", "include",
         "tool", "wardian", "project", "dependencies"]  # fmt: skip
WORDS = st.sampled_from(
    ["numpy", "a>=1", "../x", "/data", "linux/amd64", "3.12", "debian:trixie", "", "x:ro", "git", "a b"]
)
scalars = st.one_of(
    WORDS,
    st.text(max_size=8),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.datetimes(),
    st.dates(),
    st.times(),
)
keys = st.sampled_from(NAMES) | st.text(max_size=4)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
contents = st.dictionaries(keys, values, max_size=5)
relaxed = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "p").mkdir()
    return tmp_path / "p"


DEEP = ".a" * 600


@pytest.mark.parametrize(
    "text",
    [
        f"a{DEEP} = 1",
        f'[a."a"{DEEP}]',
        f'a = {{ b = "{DEEP}", b{DEEP} = 1 }}',
        f'a = """\n{DEEP}\n"""\nb{DEEP} = 1',
        f"a = 'b'; b{DEEP} = 1",
    ],
)
def test_a_key_of_many_parts(text):
    with pytest.raises(SpecError, match=f"^x:{text.count(chr(10)) + 1}: nested too deep to be a declaration"):
        parse_toml(text, "x")


@pytest.mark.parametrize(
    "text",
    [
        f"# {DEEP}",
        f"a = '{DEEP}'",
        f'a = "\\"{DEEP}"  # {DEEP}',
        f'a = """\n{DEEP}\n"\'{DEEP}""""',
        f"a = '''\n'{DEEP}'''",
        f"a = [{'1.5, ' * 600}]",
    ],
)
def test_dots_that_are_in_no_key(text):
    assert list(parse_toml(text, "x")) in (["a"], [])


@relaxed
@given(content=contents)
def test_any_toml_is_a_spec_or_an_error(folder, content):
    text = tomlkit.dumps(content)
    try:
        spec = read_spec_text(text, folder / "wardian.toml")
    except SpecError as error:
        told = error.message
    else:
        told = f"{folder / 'wardian.toml:'} {isinstance(spec, Spec)}"
    assert str(folder / "wardian.toml:") in told


@relaxed
@given(content=contents, nested=st.booleans())
def test_any_pyproject(folder, content, nested):
    table = {"tool": {"wardian": content}} if nested else {"project": content}
    (folder / "pyproject.toml").write_text(tomlkit.dumps(table), encoding="utf-8", newline="")
    with contextlib.suppress(SpecError):
        detect(folder)


@relaxed
@given(
    name=st.sampled_from(["wardian.toml", "pyproject.toml", "requirements.txt", "apt.txt",
                          ".python-version", "a.py",
                          "a.ipynb"]),
    content=st.binary(max_size=200)
    | st.text(alphabet="-rc# \\\n=<>.[]\"'{}a1/:@;", max_size=80).map(str.encode),
)  # fmt: skip
def test_any_bytes_in_any_file(folder, name, content):
    for path in folder.iterdir():
        path.unlink()
    (folder / name).write_bytes(content)
    with contextlib.suppress(SpecError):
        detect(folder, folder / "a.py")
    with contextlib.suppress(SpecError):
        detect(folder)


@relaxed
@given(value=values)
def test_any_json_in_a_notebook(folder, value):
    wrapped = [
        value,
        {"cells": value},
        {"cells": [{"cell_type": "code", "source": value}], "metadata": value},
    ]
    for content in wrapped:
        (folder / "a.ipynb").write_text(json.dumps(content, default=str))
        with contextlib.suppress(SpecError):
            detect(folder, folder / "a.ipynb")


@given(st.text(alphabet="import from as a.b,%!?\\\n()'\"#:", max_size=80))
def test_any_cell(text):
    find_imports(text)
    find_imports(strip_magics(text))
    installed_words(f"%pip install {text}")


@relaxed
@given(
    content=contents,
    python=st.lists(WORDS | st.text(max_size=6), max_size=2),
    system=st.lists(WORDS, max_size=2),
)
def test_any_edit_is_whole_or_not_at_all(folder, content, python, system):
    path = folder / "wardian.toml"
    path.write_text(tomlkit.dumps(content), encoding="utf-8", newline="")
    before = path.read_bytes()
    try:
        add(folder, python=python, system=system)
    except SpecError:
        assert path.read_bytes() == before
    else:
        read_spec_text(path.read_text(encoding="utf-8"), path)
    assert [entry.name for entry in folder.iterdir()] == ["wardian.toml"]
