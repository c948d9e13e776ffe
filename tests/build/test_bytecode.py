"""The byte code layer: a package is compiled once, whatever is built with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from wardian.build import bytecode
from wardian.build.plan import BytecodeLayer
from wardian.ecosystems.python import contents
from wardian.ecosystems.python.model import Interpreter, PythonPackage
from wardian.store.store import Store

SITE = "opt/venv/lib/python3.13/site-packages"


class Compiling:
    """Stands in for the sandbox: "compiles" what it is asked for, and remembers it."""

    def __init__(self) -> None:
        self.compiled: list[str] = []

    def run(
        self, arguments: Sequence[str], *, mounts: Sequence[tuple[Path, str, bool]], **options: object
    ) -> tuple[int, str]:
        ((folder, _, _),) = mounts
        for line in (folder / "list").read_bytes().split(b"\0")[:-1]:
            unit, path = os.fsdecode(line).split("\n", 1)
            parent, _, name = path.rpartition("/")
            target = (
                folder / "out" / unit / parent.lstrip("/") / "__pycache__" / f"{name[:-3]}.cpython-313.pyc"
            )
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(path)
            self.compiled.append(path)
        return 0, ""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store.open(tmp_path / "store")
    library = found.snapshot("base") / "root/usr/lib/python3.13"
    (library / "json").mkdir(parents=True)
    (library / "json/__init__.py").touch()
    return found


def layer(store: Store, key: str, *names: str, sources: Sequence[str] = ()) -> BytecodeLayer:
    """A byte code layer on an environment of packages of one module each, which is made."""
    site = store.snapshot(f"{key}-env") / "root" / SITE
    for name in names:
        (site / f"{name}-1.dist-info").mkdir(parents=True)
        (site / f"{name}-1.dist-info/RECORD").write_text(f"{name}.py,,\n")
        (site / f"{name}.py").touch()
    (site / "pip.py").touch()
    packages = tuple(
        PythonPackage(
            name=name, version="1", sha256=name * 8, size=1,
            file=f"{name}-1.tar.gz" if name in sources else f"{name}-1-py3-none-any.whl",
        )
        for name in names
    )  # fmt: skip
    return BytecodeLayer(
        name="bytecode", key=key, below=("base", f"{key}-env"), packages=packages,
        interpreter=Interpreter(version="3.13.5", source="debian"), environment=f"{key}-env", library="base",
    )  # fmt: skip


def build(store: Store, made: BytecodeLayer, folder: Path) -> list[str]:
    sandbox = Compiling()
    folder.mkdir()
    bytecode.build(store, made, sandbox, folder)
    return sorted(path.rpartition("/")[2] for path in sandbox.compiled)


def test_only_what_is_new_is_compiled(store: Store, tmp_path: Path) -> None:
    assert build(store, layer(store, "one", "alpha"), tmp_path / "one") == [
        "__init__.py",
        "alpha.py",
        "pip.py",
    ]
    two = layer(store, "two", "alpha", "beta")
    assert build(store, two, tmp_path / "two") == ["beta.py", "pip.py"]
    root = tmp_path / "two/snapshot/root"
    assert (root / SITE / "__pycache__/alpha.cpython-313.pyc").read_text() == f"/{SITE}/alpha.py"
    assert (root / "usr/lib/python3.13/json/__pycache__/__init__.cpython-313.pyc").is_file()
    found = contents.read(store.snapshot("two-env"), names=["alpha", "beta"])
    found, library = contents.with_bytecode(found, tmp_path / "two/snapshot", root=2)
    assert [entry.path.rpartition("/")[2] for entry in found.packages["beta"] if entry.root == 2] == [
        "__pycache__",
        "beta.cpython-313.pyc",
    ]
    assert library[-1].path.endswith("json/__pycache__/__init__.cpython-313.pyc")


def test_what_is_built_from_source_is_compiled_each_time(store: Store, tmp_path: Path) -> None:
    build(store, layer(store, "one", "alpha", sources=["alpha"]), tmp_path / "one")
    two = layer(store, "two", "alpha", sources=["alpha"])
    assert build(store, two, tmp_path / "two") == ["alpha.py", "pip.py"]
