"""Layers' recipes: whose key tells what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from wardian.build.layers import recipes
from wardian.build.tree import Tree
from wardian.ecosystems.debian.model import DebianLock
from wardian.ecosystems.python.model import Interpreter, PythonLock, PythonPackage
from wardian.image.entry import Entry
from wardian.image.platform import Platform
from wardian.lock.model import PlatformLock

SYSTEM, ENVIRONMENT = 0, 1  # the tree's roots


def lock(*files: str) -> PlatformLock:
    packages = tuple(
        PythonPackage(name=file.split("-")[0], version="1", file=file, size=1, sha256=file) for file in files
    )
    return PlatformLock(
        platform=Platform(architecture="amd64"),
        debian=DebianLock(suite="trixie", releases=(), packages=()),
        python=PythonLock(interpreter=Interpreter(version="3.13.5", source="debian"), packages=packages),
    )


def tree(*names: str) -> Tree:
    return Tree(
        roots=(Path("system"), Path("environment")),
        debian={},
        state=(Entry(path="etc/passwd", kind="file", size=1, root=SYSTEM),),
        interpreter=(),
        python={
            name: (Entry(path=f"opt/venv/{name}", kind="file", size=1, root=ENVIRONMENT),) for name in names
        },
        environment=(Entry(path="opt/venv/pyvenv.cfg", kind="file", size=1, root=ENVIRONMENT),),
        bytecode=(),
    )


def keys(file: str, states: tuple[str, ...], found: Tree | None = None) -> dict[str, str]:
    made = recipes(lock(file), found or tree(file.split("-")[0]), None, states=states)
    return {recipe.name.rstrip(" 0123456789"): recipe.key for recipe in made}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_what_belongs_to_no_package_is_told_by_the_snapshot_that_it_lies_in() -> None:
    wheel = "a-1-py3-none-any.whl"
    before = keys(wheel, ("s", "e"))
    assert changed(before, keys(wheel, ("s", "other"))) == {"python: environment"}
    assert changed(before, keys(wheel, ("other", "e"))) == {"debian: configuration"}


def test_a_source_distribution_is_told_by_what_it_was_built_on() -> None:
    source = "a-1.tar.gz"
    found = changed(keys(source, ("s", "e")), keys(source, ("s", "other")))
    assert found == {"python: environment", "python: small packages"}


def test_made_up_contents_are_in_the_key() -> None:
    def made(data: bytes) -> Tree:
        return replace(tree("a"), state=(Entry(path="etc/passwd", kind="file", data=data),))

    wheel, states = "a-1-py3-none-any.whl", ("s", "e")
    assert changed(keys(wheel, states, made(b"1")), keys(wheel, states, made(b"2"))) == {
        "debian: configuration"
    }
