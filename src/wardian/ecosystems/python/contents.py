"""What an environment's snapshot holds: each distribution's files by its RECORD, and what belongs to none.

Modes are those that pip gives as root under umask 022, owners root, times none of the builder's. Snapshots
hold what packages made: paths are looked up among those that were found on the disk, never opened by name.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wardian.ecosystems.python import records
from wardian.image.entry import Entry

_CACHE = "__pycache__"


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonContents:
    """An environment: the entries of each package, by normalized name (PEP 503), and of the `rest`.

    Each list is in path order and whole in itself: it has the folders above its files.
    """

    packages: Mapping[str, tuple[Entry, ...]]
    rest: tuple[Entry, ...]


EMPTY = PythonContents(packages={}, rest=())


def read(
    snapshot: Path, place: str = "opt/venv", *, names: Collection[str] | None = None, root: int = 0
) -> PythonContents:
    """Read the environment at `place` of a Python layer's snapshot; `root` is the entries' root number.

    `names` are the locked packages: there is a list for each of them, and distributions of other names,
    which a package may have made up, count as rest. A path that several packages name belongs to those of
    them whose RECORD tells its hash; it counts as rest where none does. Byte code that no RECORD names was
    made by a run, and is left out. Raises BuildError for a RECORD that cannot be read or is another
    package's.
    """
    found = {entry.path: entry for entry in scan(snapshot, place, root)}
    claims = records.read(snapshot / "root" / place, names)
    shared = {path: found.get(f"{place}/{path}") for path in claims.shared}
    owners = claims.owners(
        {path: snapshot / entry.source for path, entry in shared.items() if entry and entry.kind == "file"}
    )
    files: dict[str, list[Entry]] = {name: [] for name in names or ()}
    rest = []
    for path, entry in found.items():
        if entry.kind == "directory":
            continue
        holders = owners.get(path[len(place) + 1 :], ())
        for name in holders:
            files.setdefault(name, []).append(entry)
        if not holders and f"/{_CACHE}/" not in path:
            rest.append(entry)
    packages = {name: tuple(with_folders(files[name], root)) for name in sorted(files)}
    above = {entry.path for entries in packages.values() for entry in entries}
    rest += [
        entry
        for path, entry in found.items()
        if entry.kind == "directory" and path not in above and f"/{_CACHE}/" not in f"{path}/"
    ]
    return PythonContents(packages=packages, rest=tuple(with_folders(rest, root)))


def read_interpreter(snapshot: Path, *, root: int = 0) -> tuple[Entry, ...]:
    """The entries of a managed interpreter's snapshot (/opt/python), as its archive holds them."""
    return tuple(with_folders(scan(snapshot, "opt/python", root), root))


def with_bytecode(
    contents: PythonContents, snapshot: Path, place: str = "opt/venv", *, root: int = 0
) -> tuple[PythonContents, tuple[Entry, ...]]:
    """Put each file of a byte code layer's snapshot to the package whose source it was compiled from.

    Second, the entries of the byte code of the standard library.
    """
    compiled: dict[str, list[Entry]] = defaultdict(list)
    for entry in scan(snapshot, place, root):
        if entry.kind == "file":
            compiled[source_path(entry.path)].append(entry)
    packages = {name: _compiled(entries, compiled, root) for name, entries in contents.packages.items()}
    tops = [top for top in ("usr", "opt/python") if (snapshot / "root" / top).is_dir()]
    library = with_folders((entry for top in tops for entry in scan(snapshot, top, root)), root)
    rest = _compiled(contents.rest, compiled, root)
    return PythonContents(packages=packages, rest=rest), tuple(library)


def source_path(path: str) -> str:
    """The path of what byte code is compiled from: a/b.py of a/__pycache__/b.cpython-313.pyc (PEP 3147)."""
    folder, _, name = path.rpartition("/")
    return f"{folder.removesuffix(_CACHE)}{name.rsplit('.', 2)[0]}.py"


def _compiled(
    entries: tuple[Entry, ...], compiled: Mapping[str, list[Entry]], root: int
) -> tuple[Entry, ...]:
    more = [found for entry in entries for found in compiled.get(entry.path, ())]
    return tuple(with_folders([*entries, *more], root)) if more else entries


def with_folders(entries: Iterable[Entry], root: int = 0) -> Iterator[Entry]:
    """Entries in path order with all folders above them, each path once."""
    found = {entry.path: entry for entry in entries}
    folders = set()
    for path in found:
        above = path.rpartition("/")[0]
        while above and above not in folders:
            folders.add(above)
            above = above.rpartition("/")[0]
    for path in folders - found.keys():
        found[path] = Entry(path=path, kind="directory", mode=0o755, root=root)
    for path in sorted(found):
        yield found[path]


def scan(snapshot: Path, top: str, root: int) -> Iterator[Entry]:
    """Everything at and below `top` in a snapshot's root, in no order; no devices and sockets."""
    base = os.fspath(snapshot / "root")
    pending = [top]
    while pending:
        folder = pending.pop()
        yield Entry(path=folder, kind="directory", mode=0o755, root=root)
        with os.scandir(f"{base}/{folder}") as listed:
            for item in listed:
                path = f"{folder}/{item.name}"
                if item.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif entry := _entry(item, path, root):
                    yield entry


def _entry(item: os.DirEntry[str], path: str, root: int) -> Entry | None:
    if item.is_symlink():
        return Entry(path=path, kind="symlink", mode=0o777, target=os.readlink(item.path), root=root)
    status = item.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return None
    return Entry(
        path=path,
        kind="file",
        mode=0o755 if status.st_mode & 0o111 else 0o644,
        size=status.st_size,
        root=root,
        source=f"root/{path}",
    )
