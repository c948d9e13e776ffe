"""What a lock says of the Python environment. Pure data: no address, no path of this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """The image's Python.

    `source` is `debian` (the suite's own, `/usr/bin/python3`) or `uv` (a managed interpreter,
    python-build-standalone); then `key`, `size`-less `sha256` and `build` name uv's archive.
    """

    version: str
    source: str
    key: str = ""
    build: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonPackage:
    """One distribution file (wheel or sdist) that is installed; `name` normalized (PEP 503)."""

    name: str
    version: str
    file: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonLock:
    """The Python part of a lock for one platform; its packages in name order.

    `workbench` holds what running notebooks needs beyond `packages`; it never ships. It is empty
    until a notebook is first run. `requirements` are those that `packages` were resolved for, None
    where that was not written down.
    """

    interpreter: Interpreter
    packages: tuple[PythonPackage, ...]
    workbench: tuple[PythonPackage, ...] = ()
    requirements: tuple[str, ...] | None = None
