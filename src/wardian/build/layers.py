"""From an image's tree to its layers, from bottom to top: packages, what belongs to none, the code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.build import strip
from wardian.build.split import split_debian, split_python
from wardian.ecosystems.python import bytecode, program
from wardian.image.entry import Entry
from wardian.image.packing import Recipe

if TYPE_CHECKING:
    from wardian.build.tree import Tree
    from wardian.lock.model import PlatformLock

# Counted up when the same entries and packages give other bytes; some are stripped or compiled.
_VERSION = f"2.{strip.VERSION}.{bytecode.VERSION}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The project's files: the folder they lie in, their entries, and the digest of it all.

    `check` raises VerificationError where that is not their digest any more: people work there.
    """

    folder: Path
    entries: tuple[Entry, ...]
    digest: str
    check: Callable[[], None]


def recipes(
    lock: PlatformLock, tree: Tree, code: Code | None, *, states: Sequence[str]
) -> tuple[Recipe, ...]:
    """The layers' recipes. `states` are the keys of the snapshots that the tree's roots are."""
    found = [*_packages(lock, tree, states)]
    loose = (
        ("python: interpreter", tree.interpreter),
        ("debian: configuration", tree.state),
        ("python: environment", tree.environment),
        ("python: byte code of the standard library", tree.bytecode),
    )
    found += [
        _recipe(name, tree.roots, entries, [name, *_told(entries, states)])
        for name, entries in loose
        if entries
    ]
    if code and code.entries:
        recipe = _recipe("code", (code.folder,), code.entries, [code.digest])
        found.append(replace(recipe, check=code.check))
    return tuple(found)


def _told(entries: Iterable[Entry], states: Sequence[str]) -> list[str]:
    """The keys of those snapshots that the entries' files lie in, which tell what these hold."""
    return [states[root] for root in sorted({entry.root for entry in entries if entry.kind == "file"})]


def _packages(lock: PlatformLock, tree: Tree, states: Sequence[str]) -> Iterator[Recipe]:
    """The layers of packages: what is in them follows from the packages, and so does their key.

    Packages' files are replaced, and seldom written to: those that are alike become links.
    """
    for debian in split_debian(lock):
        digests = [package.sha256 for package in debian.packages]
        entries = _joined([tree.debian[digest] for digest in digests])
        contents = ["debian", *digests]
        yield _recipe(f"debian: {debian.name}", tree.roots, entries, contents, links=True)
    for python in split_python(lock):
        digests = [package.sha256 for package in python.packages]
        entries = _joined([tree.python[package.name] for package in python.packages])
        assert lock.python  # it has packages
        tools = [program.VERSION, lock.python.interpreter.version]  # what installed and compiled it
        are_wheels = all(package.file.endswith(".whl") for package in python.packages)
        # What a source distribution is built into, its digest does not tell.
        built = [] if are_wheels else _told(entries, states)
        contents = ["python", *tools, *digests, *built]
        yield _recipe(f"python: {python.name}", tree.roots, entries, contents, links=True)


def _joined(packages: Sequence[Sequence[Entry]]) -> tuple[Entry, ...]:
    """Several packages' entries and the folders that lead to them: a path that two ship is there once."""
    shipped = {entry.path for entries in packages for entry in entries}
    seen: set[str] = set()
    reached = {""}  # folders to which all leads
    found = []
    for entries in packages:
        for entry in entries:
            if entry.path not in seen:
                for path in _leading(entry.path, reached):
                    if path not in shipped:
                        found.append(Entry(path=path, kind="directory", mode=0o755))
                found.append(entry)
                seen.add(entry.path)
    return tuple(found)


def _leading(path: str, reached: set[str]) -> list[str]:
    """The folders that lead to `path`, the outermost first, but for those reached before."""
    found = []
    while (path := path.rpartition("/")[0]) not in reached:
        reached.add(path)
        found.append(path)
    return found[::-1]


def _recipe(
    name: str,
    roots: tuple[Path, ...],
    entries: tuple[Entry, ...],
    contents: list[str],
    *,
    links: bool = False,
) -> Recipe:
    """A recipe whose key covers every member's header, and by `contents` what is in the files."""
    digest = hashlib.sha256("\n".join([_VERSION, *contents]).encode())
    for entry in entries:
        line = (
            f"\n{entry.path}\0{entry.kind}\0{entry.mode}\0{entry.uid}\0{entry.gid}\0{entry.mtime}"
            f"\0{entry.size}\0{entry.target}\0{sorted(entry.xattrs.items()) if entry.xattrs else ''}"
            f"\0{'' if entry.data is None else hashlib.sha256(entry.data).hexdigest()}"
        )
        digest.update(line.encode(errors="surrogateescape"))
    return Recipe(key=digest.hexdigest()[:40], name=name, roots=roots, entries=entries, links=links)
