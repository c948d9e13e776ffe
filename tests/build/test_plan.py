"""What a layer stands on, and what its key covers."""

from __future__ import annotations

import importlib.metadata
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from wardian.build.plan import BytecodeLayer, DebianLayer, plan
from wardian.ecosystems.debian.model import DebianLock, DebianPackage
from wardian.ecosystems.python import bytecode, program
from wardian.ecosystems.python.model import Interpreter, PythonLock, PythonPackage
from wardian.image.platform import Platform
from wardian.lock.model import PlatformLock

WHEEL = PythonPackage(name="alpha", version="1", file="alpha-1-py3-none-any.whl", size=1, sha256="aa" * 32)
SOURCE = PythonPackage(name="beta", version="1", file="beta-1.tar.gz", size=1, sha256="bb" * 32)


def debian(name: str, stage: int) -> DebianPackage:
    return DebianPackage(
        name=name, version="1", architecture="amd64", archive="debian", path=f"pool/{name}.deb",
        size=1, sha256=name[0] * 64, stage=stage,
    )  # fmt: skip


def lock(packages: tuple[PythonPackage, ...], workbench: tuple[PythonPackage, ...]) -> PlatformLock:
    return PlatformLock(
        platform=Platform(architecture="amd64"),
        debian=DebianLock(suite="trixie", releases=(), packages=(debian("base", 0), debian("extra", 1))),
        python=PythonLock(
            interpreter=Interpreter(version="3.13.5", source="debian"), packages=packages, workbench=workbench
        ),
    )


def test_only_what_is_compiled_stands_on_the_system_packages() -> None:
    for packages in ((WHEEL,), (WHEEL, SOURCE)):
        for workbench in ((WHEEL,), (SOURCE,)):
            made = plan(lock(packages, workbench), workbench=True)
            base, system, python = made.layers
            below = {False: (base.key,), True: (base.key, system.key)}
            assert made.workbench is not None
            assert python.below == below[SOURCE in packages]
            assert made.workbench.below == below[SOURCE in workbench]
            assert python.key == plan(lock(packages, ())).layers[2].key


def test_a_debian_layers_key_covers_the_bytes_of_its_packages() -> None:
    first = lock((), ())
    base, extra = first.debian.packages

    def keys(*packages: DebianPackage) -> list[str]:
        changed = replace(first, debian=replace(first.debian, packages=packages))
        return [layer.key for layer in plan(changed).layers[:2]]

    assert keys(base, replace(extra, path="pool/moved.deb", archive="other")) == keys(base, extra)
    assert keys(base, replace(extra, sha256="f" * 64))[0] == keys(base, extra)[0]
    assert keys(base, replace(extra, sha256="f" * 64))[1] != keys(base, extra)[1]
    assert set(keys(replace(base, sha256="f" * 64), extra)).isdisjoint(keys(base, extra))


def test_byte_code_and_slimness_are_layers_of_their_own() -> None:
    made = lock((WHEEL,), ())
    plain, compiled = plan(made), plan(made, bytecode=True)
    assert compiled.layers[:-1] == plain.layers
    bytecode = compiled.layers[-1]
    assert isinstance(bytecode, BytecodeLayer)
    assert (bytecode.environment, bytecode.library) == (plain.layers[2].key, plain.layers[0].key)
    assert plain.layers[2].key in bytecode.below
    slim = plan(made, bytecode=True, slim=True)
    assert slim.layers[:-1] == compiled.layers
    assert slim.layers[-1].below == tuple(layer.key for layer in compiled.layers)
    assert plan(made, slim=True).layers[-1].key != slim.layers[-1].key
    assert plan(lock((replace(WHEEL, sha256="cc" * 32),), ()), bytecode=True).layers[-1].key != bytecode.key


def test_the_standard_library_of_a_managed_interpreter() -> None:
    made = lock((WHEEL,), ())
    managed = Interpreter(version="3.12.4", source="uv", key="k", build="b", sha256="ee" * 32)
    assert made.python
    layers = plan(replace(made, python=replace(made.python, interpreter=managed)), bytecode=True).layers
    assert isinstance(layers[-1], BytecodeLayer)
    assert layers[-1].library == next(layer.key for layer in layers if layer.name == "interpreter")


def test_documentation_makes_other_debian_layers() -> None:
    bare, full = plan(lock((), ())), plan(lock((), ()), docs=True)
    assert [layer.key for layer in bare.layers] == [
        layer.key for layer in plan(lock((), ()), docs=False).layers
    ]
    for left, right in zip(bare.layers[:2], full.layers[:2], strict=True):
        assert isinstance(left, DebianLayer)
        assert isinstance(right, DebianLayer)
        assert (left.docs, right.docs) == (False, True)
        assert left.key != right.key


def test_what_writes_into_layers_is_in_their_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    before = plan(lock((WHEEL,), ()), bytecode=True).layers
    monkeypatch.setattr("wardian.build.plan._BYTECODE", bytecode.VERSION + 1)
    after = plan(lock((WHEEL,), ()), bytecode=True).layers
    assert [old.key == new.key for old, new in zip(before, after, strict=True)] == [True, True, True, False]
    monkeypatch.setattr(program, "VERSION", "other")
    after = plan(lock((WHEEL,), ()), bytecode=True).layers
    assert [old.key == new.key for old, new in zip(before, after, strict=True)] == [True, True, False, False]


def test_uv_is_the_version_that_the_keys_name() -> None:
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    asked = tomllib.loads(pyproject.read_text())["project"]["dependencies"]
    assert importlib.metadata.version("uv") == program.VERSION
    assert f"uv=={program.VERSION}" in asked
