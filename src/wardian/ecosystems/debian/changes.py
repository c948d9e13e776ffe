"""Finds what configuring changed: the stage's root against what its packages and the stages below hold.

A file whose status changed no later than the end of unpacking was left alone; any other is compared with its
package's record. It alters nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wardian.ecosystems.debian.record import digest_of
from wardian.ecosystems.debian.survey import Found, survey
from wardian.image.entry import EPOCH, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from wardian.ecosystems.debian.contents import Contents
    from wardian.ecosystems.debian.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A stage's root after configuring.

    `below` are the contents of the stages below, each read with its number as `root`, and `snapshots` their
    folders. `links` tells owners by path of what cannot have attributes. `unpacked` is the end of unpacking
    by the file system's clock, in nanoseconds; 0 has every file compared.
    """

    root: Path
    records: Sequence[Record]
    below: Sequence[Contents]
    snapshots: Sequence[Path]
    links: Mapping[str, tuple[int, int]]
    unpacked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What configuring changed, in the order of paths.

    `lost` are the files of packages whose bytes the root no longer has at their path, by the package's
    sha256. `bytes` is what the root's files hold, each counted once.
    """

    entries: tuple[Entry, ...]
    lost: Mapping[str, tuple[str, ...]]
    bytes: int


@dataclass(frozen=True, slots=True)
class _Shipped:
    """An entry of one of the stage's packages, with its file's MD5 sum."""

    entry: Entry
    digest: str
    sha256: str


def find_changes(configured: Configured) -> Changes:
    """Compare a stage's root with what was unpacked into it. Raises BuildError, HostError."""
    return _Comparison(configured).run()


def compose(below: Iterable[Contents]) -> dict[str, Entry]:
    """The tree of several stages, by path: their packages' entries with their changes on top."""
    tree: dict[str, Entry] = {}
    for contents in below:
        for package in contents.packages:
            for entry in package.entries:
                if entry.kind != "directory" or entry.path not in tree:
                    tree[entry.path] = entry
        for entry in contents.changes:
            if entry.kind == "whiteout":
                _remove(tree, entry.path)
            else:
                tree[entry.path] = entry
    return tree


def _remove(tree: dict[str, Entry], path: str) -> None:
    removed = tree.pop(path, None)
    if removed is None or removed.kind == "directory":
        for below in [name for name in tree if name.startswith(f"{path}/")]:
            del tree[below]


class _Comparison:
    """One stage's; paths of packages that disagree about them are told in any case.

    Which package's layer lies above which is not decided here: so where two hold the same path, what stands
    on the disk is a change too.
    """

    def __init__(self, configured: Configured) -> None:
        self._given = configured
        self._tree = compose(configured.below)
        self._shipped: dict[str, list[_Shipped]] = {}
        for record in configured.records:
            for entry in record.package.entries:
                each = _Shipped(entry, record.digests.get(entry.path, ""), record.package.sha256)
                self._shipped.setdefault(entry.path, []).append(each)
        self._disputed = set(self._find_disputed())
        self._within: tuple[str, ...] = ()  # disputed folders, as prefixes: all in them is told
        self._found: dict[str, Found] = {}
        self._changes: dict[str, Entry] = {}
        self._lost: dict[str, set[str]] = {}

    def run(self) -> Changes:
        total = 0
        counted: set[tuple[int, int]] = set()
        hidden: set[str] = set()
        for found in survey(self._given.root):
            if found.kind in ("whiteout", "other"):
                hidden.add(found.path)
                continue
            self._found[found.path] = found
            if found.kind == "directory":
                self._compare_folder(found)
                continue
            self._compare(found)
            if found.identity not in counted:
                total += found.status.st_size
            if found.identity:
                counted.add(found.identity)
        self._find_missing(hidden)
        return Changes(
            entries=tuple(self._linked()),
            lost={sha256: tuple(sorted(lost)) for sha256, lost in sorted(self._lost.items())},
            bytes=total,
        )

    def _find_disputed(self) -> Iterator[str]:
        lower: dict[str, bool] = {}  # paths of the packages below: whether it is a folder
        for contents in self._given.below:
            for package in contents.packages:
                lower.update((entry.path, entry.kind == "directory") for entry in package.entries)
        for path, shipped in self._shipped.items():
            folder = shipped[0].entry.kind == "directory"
            covers = path in lower and not (folder and lower[path])
            if covers or len({_claim(each) for each in shipped}) > 1:
                yield path

    def _compare_folder(self, found: Found) -> None:
        shipped = [each.entry for each in self._shipped.get(found.path, ())]
        lower = self._tree.get(found.path)
        known = [entry for entry in (*shipped, *([lower] if lower else ())) if entry.kind == "directory"]
        made = self._entry(found, known[0] if known else None)
        if found.path in self._disputed and any(entry.kind != "directory" for entry in shipped):
            self._within += (f"{found.path}/",)
        elif any(_same(made, entry) for entry in known) and not self._is_told(found.path):
            return
        self._changes[found.path] = made

    def _compare(self, found: Found) -> None:
        shipped = self._shipped.get(found.path, ())
        told = self._is_told(found.path)
        untouched = found.status.st_ctime_ns <= self._given.unpacked and found.path not in self._given.links
        if len(shipped) == 1 and untouched and not told:
            return
        if not shipped:
            self._compare_lower(found, told)
            return
        digest = found.digest() if found.kind == "file" else ""
        same = [each for each in shipped if _holds(each, found, digest)]
        for each in shipped:
            if each not in same and each.entry.kind == "file":
                self._lost.setdefault(each.sha256, set()).add(found.path)
        made = self._entry(found, same[0].entry if same else None)
        if told or not any(_same(made, each.entry) for each in same):
            self._changes[found.path] = made

    def _compare_lower(self, found: Found, told: bool) -> None:
        """Compare what no package of the stage holds with the stages below: it may be a copy from there."""
        lower = self._tree.get(found.path)
        same = lower if lower and self._holds_lower(lower, found) else None
        made = self._entry(found, same)
        if told or same is None or not _same(made, same):
            self._changes[found.path] = made

    def _holds_lower(self, lower: Entry, found: Found) -> bool:
        if _kind(lower) != found.kind:
            return False
        if found.kind == "symlink":
            return os.readlink(found.place) == lower.target
        if found.kind != "file":
            return True
        held = self._tree.get(lower.target) if lower.kind == "hardlink" else lower
        if held is None or held.size != found.status.st_size:
            return False
        path = self._given.snapshots[held.root] / held.source
        return digest_of(path.read_bytes()).hexdigest() == found.digest()

    def _is_told(self, path: str) -> bool:
        return path in self._disputed or (bool(self._within) and path.startswith(self._within))

    def _entry(self, found: Found, known: Entry | None) -> Entry:
        """What stands on the disk; `known` is an entry with the same content."""
        plain = found.kind in ("file", "directory")
        owner = found.owner() if plain else self._given.links.get(found.path)
        if owner is None:
            owner = (known.uid, known.gid) if known else (0, 0)
        kind = found.kind
        assert kind != "other"  # it is no entry
        return Entry(
            path=found.path,
            kind=kind,
            mode=0o777 if kind == "symlink" else _mode(found, known),
            uid=owner[0],
            gid=owner[1],
            mtime=known.mtime if known else EPOCH,
            size=found.status.st_size if kind == "file" else 0,
            target=os.readlink(found.place) if kind == "symlink" else "",
            xattrs=found.attributes() if plain else {},
            source=f"root/{found.path}" if kind == "file" else "",
        )

    def _find_missing(self, hidden: set[str]) -> None:
        """Add whiteouts for what should be there and is not, each at its topmost path."""
        gone = {path for path in hidden if path in self._tree}
        opaque = [found.path for found in self._found.values() if self._is_opaque(found)]
        for folder in opaque:
            gone |= {path for path in self._tree if path.startswith(f"{folder}/")} - self._found.keys()
        for path, shipped in self._shipped.items():
            if path not in self._found:
                gone.add(path)
                for each in shipped:
                    if each.entry.kind == "file":
                        self._lost.setdefault(each.sha256, set()).add(path)
        for path in gone:
            while not self._exists(above := os.path.dirname(path), gone):
                path = above
            # What is no folder any more hides all that was in it.
            if above not in self._found or self._found[above].kind == "directory":
                self._changes[path] = Entry(path=path, kind="whiteout")

    def _is_opaque(self, found: Found) -> bool:
        return bool(self._tree) and found.kind == "directory" and found.is_opaque()

    def _exists(self, path: str, gone: set[str]) -> bool:
        if not path or path in self._found:
            return True
        return path in self._tree and path not in gone and self._exists(os.path.dirname(path), gone)

    def _linked(self) -> Iterator[Entry]:
        """The changes in order; of several names of a file, all but the first are hard links to that."""
        first: dict[tuple[int, int], str] = {}
        for path in sorted(self._changes):
            entry = self._changes[path]
            identity = self._found[path].identity if entry.kind == "file" else None
            if identity in first:
                yield replace(entry, kind="hardlink", target=first[identity], size=0, source="")
            else:
                yield entry
                if identity:
                    first[identity] = path


def _claim(shipped: _Shipped) -> tuple[object, ...]:
    """In what packages may disagree about a path; folders' attributes are the first one's."""
    entry = shipped.entry
    if entry.kind == "directory":
        return ("directory",)
    return _kind(entry), entry.target, entry.mode, entry.uid, entry.gid, shipped.digest


def _kind(entry: Entry) -> str:
    return "file" if entry.kind == "hardlink" else entry.kind


def _holds(shipped: _Shipped, found: Found, digest: str) -> bool:
    """Whether the path on the disk has the content that the package holds."""
    if _kind(shipped.entry) != found.kind:
        return False
    if found.kind == "symlink":
        return os.readlink(found.place) == shipped.entry.target
    return digest == shipped.digest


def _same(made: Entry, known: Entry) -> bool:
    """Whether an entry of the same content is the same in all else; not its time, which nobody watches."""
    return (made.mode, made.uid, made.gid, made.xattrs) == (known.mode, known.uid, known.gid, known.xattrs)


def _mode(found: Found, known: Entry | None) -> int:
    """Its permission bits, without those that the disk has so that its owner can read it."""
    added = 0o700 if found.kind == "directory" else 0o400
    if known and found.mode == known.mode | added:
        return known.mode
    return found.mode
