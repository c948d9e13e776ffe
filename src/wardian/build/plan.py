"""From a lock to a plan: the layers of an image, each with the key of what goes into it.

A key is the hash of everything that affects the layer's bytes and of nothing else, so the same part is
found again whatever project wants it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.ecosystems.debian.model import DebianPackage
from wardian.ecosystems.python import program
from wardian.ecosystems.python.bytecode import VERSION as _BYTECODE
from wardian.ecosystems.python.model import Interpreter, PythonPackage
from wardian.image.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wardian.lock.model import PlatformLock

# Counted up when a change of wardian changes the bytes that the same packages give.
_RECIPE = {"debian": 10, "interpreter": 1, "python": 2, "workbench": 1, "bytecode": 1, "slim": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One part of an image. `below` are the keys of the layers that it is built on, from the bottom."""

    name: str
    key: str
    below: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianLayer(Layer):
    """Debian packages that are unpacked and configured together; `docs` keeps their documentation."""

    architecture: str
    packages: tuple[DebianPackage, ...]
    docs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterLayer(Layer):
    """A managed Python at /opt/python."""

    interpreter: Interpreter


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonLayer(Layer):
    """A Python environment: /opt/venv, or the workbench beside it."""

    interpreter: Interpreter
    packages: tuple[PythonPackage, ...]
    workbench: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BytecodeLayer(Layer):
    """The byte code of an environment and of the standard library.

    `environment` and `library` are the keys of the layers that hold their sources.
    """

    interpreter: Interpreter
    packages: tuple[PythonPackage, ...]
    environment: str
    library: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlimLayer(Layer):
    """What may be left out of the layers below it, and what of them gets smaller. Nothing runs on it."""

    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The layers of one platform's image from bottom to top, and the workbench, which is none of them."""

    platform: Platform
    layers: tuple[Layer, ...]
    workbench: PythonLayer | None

    @property
    def all(self) -> tuple[Layer, ...]:
        """Every layer that there is to build."""
        return (*self.layers, *([self.workbench] if self.workbench else []))


def plan(
    lock: PlatformLock,
    *,
    workbench: bool = False,
    bytecode: bool = False,
    docs: bool = False,
    slim: bool = False,
) -> Plan:
    """The plan of a platform's image; with `workbench`, also of what notebooks are run with.

    With `bytecode`, the image has Python's byte code in it; with `docs`, the packages' documentation;
    `slim` leaves out of it what running does not need.
    """
    layers: list[Layer] = list(_debian_layers(lock, docs=docs))
    bench = None
    if lock.python:
        interpreter = lock.python.interpreter
        if interpreter.source == "uv":
            layers.append(_interpreter_layer(interpreter, lock.platform))
        if workbench:
            bench = _python_layer("workbench", interpreter, lock.python.workbench, layers)
        environment = _python_layer("python", interpreter, lock.python.packages, layers)
        library = (_interpreters(layers) or layers)[0].key
        layers.append(environment)
        if bytecode:
            layers.append(_bytecode_layer(environment, library))
    if slim:
        layers.append(_slim_layer(layers))
    return Plan(platform=lock.platform, layers=tuple(layers), workbench=bench)


def _debian_layers(lock: PlatformLock, *, docs: bool) -> Iterator[DebianLayer]:
    below: tuple[str, ...] = ()
    for stage in sorted({package.stage for package in lock.debian.packages}):
        packages = tuple(package for package in lock.debian.packages if package.stage == stage)
        # A package's bytes tell its name and version.
        contents = [package.sha256 for package in packages]
        more = ["docs"] if docs else []
        key = _key("debian", lock.debian.suite, str(lock.platform), below, contents, *more)
        name = "base" if stage == 0 else "system" if stage == 1 else f"system-{stage}"
        yield DebianLayer(
            name=name,
            key=key,
            below=below,
            architecture=lock.platform.debian,
            packages=packages,
            docs=docs,
        )
        below = (*below, key)


def _interpreters(layers: Iterable[Layer]) -> list[Layer]:
    return [layer for layer in layers if isinstance(layer, InterpreterLayer)]


def _interpreter_layer(interpreter: Interpreter, platform: Platform) -> InterpreterLayer:
    key = _key("interpreter", str(platform), interpreter.key, interpreter.build, interpreter.sha256)
    return InterpreterLayer(name="interpreter", key=key, below=(), interpreter=interpreter)


def _python_layer(
    name: str, interpreter: Interpreter, packages: tuple[PythonPackage, ...], system: Sequence[Layer]
) -> PythonLayer:
    """An environment on the layers of the system that its packages see.

    What is compiled is compiled against the system packages; wheels see the base alone, so that another
    system package leaves the environment as it is.
    """
    compiled = any(not package.file.endswith(".whl") for package in packages)
    below = tuple(layer.key for layer in (system if compiled else [system[0], *_interpreters(system)]))
    # Name and version are what uv is asked for, the file says how it is installed.
    contents = [[package.name, package.version, package.file, package.sha256] for package in packages]
    return PythonLayer(
        name=name,
        key=_key(name, program.VERSION, interpreter.version, below, contents),
        below=below,
        interpreter=interpreter,
        packages=packages,
        workbench=name == "workbench",
    )


def _bytecode_layer(environment: PythonLayer, library: str) -> BytecodeLayer:
    return BytecodeLayer(
        name="bytecode",
        # The environment's key tells the Python and its standard library.
        key=_key("bytecode", _BYTECODE, environment.key),
        below=(*environment.below, environment.key),
        interpreter=environment.interpreter,
        packages=environment.packages,
        environment=environment.key,
        library=library,
    )


def _slim_layer(layers: Sequence[Layer]) -> SlimLayer:
    below = tuple(layer.key for layer in layers)
    return SlimLayer(name="slim", key=_key("slim", below), below=below, layers=tuple(layers))


def _key(recipe: str, *inputs: object) -> str:
    text = json.dumps([recipe, _RECIPE[recipe], *inputs], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:40]
