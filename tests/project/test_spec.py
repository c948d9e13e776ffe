"""The spec's values: digests, specifiers, tasks and mounts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wardian.image.platform import Platform
from wardian.project import grammar
from wardian.project.spec import Declared, ImageSpec, Mount, PythonSpec, Spec, SystemSpec, Task

SPEC = Spec(
    name="a", python=PythonSpec(packages=("Pandas >=2", "numpy")), system=SystemSpec(packages=("git",))
)
DECLARED = Declared(requirements=("scipy>=1",), constraints=("pyarrow<20",), requires_python=(">=3.11",))


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, name="b"),
        replace(SPEC, env={"A": "1"}),
        replace(SPEC, tasks={"t": Task(command="x")}),
        replace(SPEC, mounts=(Mount(target="/data", source="x"),)),
        replace(SPEC, image=ImageSpec(command="x", slim=True, docs=True, bytecode=True, code=False)),
        replace(SPEC, python=PythonSpec(packages=("numpy", "pandas>=2"))),
    ],
)
def test_a_lock_stays_fresh(other):
    assert other.lock_digest(DECLARED) == SPEC.lock_digest(DECLARED)


@pytest.mark.parametrize(
    ("other", "declared"),
    [
        (replace(SPEC, base="debian:bookworm"), DECLARED),
        (replace(SPEC, platforms=(Platform(architecture="arm64"),)), DECLARED),
        (replace(SPEC, python=None), DECLARED),
        (replace(SPEC, python=PythonSpec(packages=("pandas>=3", "numpy"))), DECLARED),
        (replace(SPEC, python=PythonSpec(packages=("pandas>=2", "numpy"), version="3.12")), DECLARED),
        (replace(SPEC, system=SystemSpec(packages=("git", "graphviz"))), DECLARED),
        (SPEC, replace(DECLARED, requirements=("scipy>=2",))),
        (SPEC, replace(DECLARED, constraints=())),
        (SPEC, replace(DECLARED, requires_python=())),
    ],
)
def test_a_lock_becomes_stale(other, declared):
    assert other.lock_digest(declared) != SPEC.lock_digest(DECLARED)


def test_the_digest_is_the_same_everywhere():
    assert Spec(name="x").lock_digest(Declared()) == (
        "6bb5ef23c2bf516911578e66db7e90f7df97688ea18485e31e8ce4fff84d4302"
    )


def test_what_is_asked_of_python():
    assert SPEC.requirements(DECLARED) == ("pandas>=2", "numpy", "scipy>=1")
    assert SPEC.python_specifier(DECLARED) == ">=3.11"
    assert replace(SPEC, python=PythonSpec(version="3.12")).python_specifier(DECLARED) == "==3.12.*,>=3.11"
    assert Spec().python_specifier(Declared()) == ""


@pytest.mark.parametrize(
    ("text", "specifier"),
    [
        ("3", "==3.*"),
        ("3.12", "==3.12.*"),
        ("3.12.4", "==3.12.4"),
        (">=3.11, <3.14", ">=3.11,<3.14"),
        ("", ""),
    ],
)
def test_versions_of_python(text, specifier):
    assert grammar.python_specifier(text) == specifier


def test_a_tasks_arguments():
    assert Task(command="a && b").argv() == ("sh", "-c", "a && b", "sh")
    assert Task(command="a && b").argv(("x y",)) == ("sh", "-c", 'a && b "$@"', "sh", "x y")
    assert Task(command='a "$1" b').argv(("x",)) == ("sh", "-c", 'a "$1" b', "sh", "x")
    assert Task(command=("a", "b")).argv(("c",)) == ("a", "b", "c")


def test_where_a_mount_comes_from():
    folder, home = Path("/p"), Path("/h")
    paths = [Mount(target="/d", source=source).host_path(folder, home) for source in ("x", "~/x", "~", "/x")]
    assert paths == [Path("/p/x"), Path("/h/x"), Path("/h"), Path("/x")]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Pandas", "pandas"),
        ("ruamel.yaml >= 0.18 , <1", "ruamel-yaml<1,>=0.18"),
        ("dask[Distributed,dataframe]==2025.1.*", "dask[dataframe,distributed]==2025.1.*"),
        ("a~=1.2; python_version>'3'", 'a~=1.2; python_version > "3"'),
        ("a (>=1)", "a>=1"),
        ("a[]", "a"),
        ("a==1.0+cu121", "a==1.0+cu121"),
    ],
)
def test_requirements_in_one_spelling(text, canonical):
    assert grammar.parse_requirement(text).canonical == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "-r x",
        "a=1",
        "a==",
        "a>=1;",
        "./a.whl",
        "/a",
        "file:a",
        "https://x/y",
        "a @ file:///x",
        "git+https://x/y",
        "a\n--index-url x",
        "a" * 5000,
        "a~=1",
        "a>=1.*",
        "a;" + "(" * 2000,
    ],
)
def test_what_is_no_requirement(text):
    with pytest.raises(ValueError, match=r"\w"):
        grammar.parse_requirement(text)


@pytest.mark.parametrize(
    "text", ["a", "Git", "git:amd64", "git ", "g_it", "git=", "git=a", "git=1 2", "-g", "+x", "gït"]
)
def test_what_is_no_debian_package(text):
    if text == "git ":
        assert grammar.check_debian_package(text) == "git"
        return
    with pytest.raises(ValueError, match=r"\w"):
        grammar.check_debian_package(text)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("My Project", "my-project"),
        ("Übung_1", "ubung-1"),
        ("日本", "project"),
        ("..", "project"),
        ("a" * 300, "a" * 128),
    ],
)
def test_a_name_from_a_folder(folder, name):
    assert grammar.name_from(folder) == name
    assert grammar.check_name(name) == name
