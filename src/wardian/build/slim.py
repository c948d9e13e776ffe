"""What a slim image leaves out, package by package; and a tree without it. Pure: slimming.py decides it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.ecosystems.python.contents import source_path, with_folders
from wardian.image.entry import Entry

if TYPE_CHECKING:
    from wardian.build.tree import Tree

REPORT = "slim.json"  # beside the root of a slim layer's snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Slimmed:
    """What is left out of one package, all by path.

    `ecosystem` is debian, python or interpreter; `identity` a Debian package's digest, a Python package's
    normalized name. `dropped` tells what kind of file each was; `stripped` the sizes of libraries without
    their symbols. `kept` are files that would have been dropped, with the reason; `restored` is why nothing
    is left out of a package at all. `freed` are bytes, by kind.
    """

    ecosystem: str
    identity: str
    name: str
    dropped: Mapping[str, str]
    stripped: Mapping[str, int]
    kept: Mapping[str, str]
    restored: str
    freed: Mapping[str, int]

    @property
    def bytes(self) -> int:
        """How much smaller the package is, unpacked."""
        return sum(self.freed.values())

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON's types."""
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name in self.__slots__
            for value in [getattr(self, name)]
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SlimReport:
    """What a slim image leaves out, by package: those with anything to tell, by their gain."""

    packages: tuple[Slimmed, ...]

    @property
    def bytes(self) -> int:
        """How much smaller the image is, unpacked."""
        return sum(package.bytes for package in self.packages)

    @property
    def freed(self) -> dict[str, int]:
        """The bytes by kind of file, the most first."""
        total: Counter[str] = Counter()
        for package in self.packages:
            total.update(package.freed)
        return dict(total.most_common())

    def as_json(self) -> dict[str, Any]:
        """The report as JSON's types."""
        return {"bytes": self.bytes, "packages": [package.as_json() for package in self.packages]}

    def write(self, snapshot: Path) -> None:
        """Keep the report in the folder that becomes the slim layer's snapshot."""
        (snapshot / REPORT).write_text(json.dumps(self.as_json(), separators=(",", ":")))

    @classmethod
    def read(cls, snapshot: Path) -> SlimReport:
        """The report that is kept beside a slim layer's root. Raises OSError."""
        told = json.loads((snapshot / REPORT).read_bytes())
        return cls(packages=tuple(Slimmed(**package) for package in told["packages"]))


def report(packages: Iterable[Slimmed]) -> SlimReport:
    """The report of packages, in its order; those of which there is nothing to tell are left out."""
    told = [package for package in packages if package.freed or package.kept or package.restored]
    return SlimReport(packages=tuple(sorted(told, key=lambda item: (-item.bytes, item.ecosystem, item.name))))


def apply(tree: Tree, made: SlimReport, root: int) -> Tree:
    """The tree without what the report leaves out; `root` is the number of the slim layer among its roots."""
    python = {package.identity: package for package in made.packages if package.ecosystem == "python"}
    debian = {package.identity: package for package in made.packages if package.ecosystem == "debian"}
    interpreter = [package for package in made.packages if package.ecosystem == "interpreter"]
    gone = {path for package in (*debian.values(), *interpreter) for path in package.dropped}
    return replace(
        tree,
        python={
            name: _slimmed(entries, python[name], root) if name in python else entries
            for name, entries in tree.python.items()
        },
        debian={
            digest: _slimmed(entries, debian[digest], root) if digest in debian else entries
            for digest, entries in tree.debian.items()
        },
        interpreter=_slimmed(tree.interpreter, interpreter[0], root) if interpreter else tree.interpreter,
        state=tuple(entry for entry in tree.state if entry.path not in gone),
        bytecode=tuple(with_folders(entry for entry in tree.bytecode if _remains(entry, gone))),
    )


def _remains(entry: Entry, gone: set[str]) -> bool:
    return entry.kind != "directory" and source_path(entry.path) not in gone


def _slimmed(entries: tuple[Entry, ...], package: Slimmed, root: int) -> tuple[Entry, ...]:
    found = [_changed(entry, package, root) for entry in entries if entry.path not in package.dropped]
    if not package.dropped:
        return tuple(found)
    inhabited = {above for entry in found if entry.kind != "directory" for above in _above(entry.path)}
    emptied = {above for path in package.dropped for above in _above(path)} - inhabited
    return tuple(entry for entry in found if entry.path not in emptied)


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _changed(entry: Entry, package: Slimmed, root: int) -> Entry:
    if entry.path in package.stripped:
        size = package.stripped[entry.path]
        return replace(entry, size=size, root=root, source=f"root/{entry.path}")
    return entry
