"""Builds the byte code layer: compiles what has not been compiled before, unit by unit, and links the rest.

A unit is a package, or the standard library. What a unit gives depends on it alone, so that adding a package
compiles that package. Units are kept in the store's cache; a snapshot holds links to their files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.build import units
from wardian.build.plan import BytecodeLayer
from wardian.ecosystems.python import bytecode, contents

if TYPE_CHECKING:
    from wardian.ecosystems.python.sandbox import Sandbox
    from wardian.image.entry import Entry
    from wardian.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Sources that are compiled together: their paths in the image, and sizes.

    `identity` tells what is in them; it is empty where that is not known before they are built.
    """

    identity: str
    sources: Mapping[str, int]

    def key(self, version: str) -> str:
        """The name of what the unit is compiled to by that version of Python, or "" if it has none."""
        if not self.identity:
            return ""
        return units.key(bytecode.VERSION, version, self.identity, sorted(self.sources.items()))


def build(store: Store, layer: BytecodeLayer, sandbox: Sandbox, folder: Path) -> None:
    """Make `folder`/snapshot/root of a byte code layer, whose lower layers are built.

    Raises BuildError and HostError.
    """
    found = list(units_of(store, layer))
    keys = [unit.key(layer.interpreter.version) for unit in found]
    kept = [store.cache("bytecode") / key if key else None for key in keys]
    missing = [number for number, place in enumerate(kept) if place is None or not place.is_dir()]
    (folder / "work").mkdir()
    made = bytecode.compile_units(
        sandbox, layer.interpreter, [found[number].sources for number in missing], folder / "work"
    )
    for number, path in zip(missing, made, strict=True):
        place = kept[number]
        kept[number] = units.keep(path, place) if place else path
    root = folder / "snapshot/root"
    for place in kept:
        assert place is not None  # each was there, or was made
        units.link(place, root)


def units_of(store: Store, layer: BytecodeLayer) -> Iterator[Unit]:
    """The layer's units: the standard library, the packages, what else is in the environment."""
    yield Unit(identity=layer.library, sources=_sources(_library(store, layer)))
    digests = {package.name: package for package in layer.packages}
    found = contents.read(store.snapshot(layer.environment), names=digests)
    for name, entries in found.packages.items():
        package = digests[name]
        # What a source distribution is built into, its digest does not tell.
        is_wheel = package.file.endswith(".whl")
        yield Unit(identity=package.sha256 if is_wheel else "", sources=_sources(entries))
    yield Unit(identity="", sources=_sources(found.rest))


def _library(store: Store, layer: BytecodeLayer) -> Iterator[Entry]:
    minor = ".".join(layer.interpreter.version.split(".")[:2])
    top = "usr" if layer.interpreter.source == "debian" else "opt/python"
    for entry in contents.scan(store.snapshot(layer.library), f"{top}/lib/python{minor}", 0):
        if "/site-packages/" not in entry.path and "/dist-packages/" not in entry.path:
            yield entry


def _sources(entries: Iterable[Entry]) -> dict[str, int]:
    return {
        entry.path: entry.size for entry in entries if entry.kind == "file" and entry.path.endswith(".py")
    }
