"""What a Debian snapshot holds: each package's files, a function of its `.deb` alone, and all that
configuring changed. Kept as one record beside the snapshot.

Entries tell owners, modes and times as in a system that real root's dpkg made; on the disk all belongs to
whoever built it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from wardian.image.entry import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_RECORD = "contents.json"
ORIGINALS = "originals"  # beside the snapshot's root: packages' files that were altered or removed there

# An entry as JSON: path, kind, mode, time, size, target, user, group; and, where there are any, the source
# of a file if that is not its own path below `root`, and its extended attributes in hexadecimal digits.
Row = list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageContents:
    """A package's entries: what its `.deb` holds after dpkg's path filters, and its files in dpkg's database.

    In the order of the archive. Paths are those of a system with merged /usr.
    """

    name: str
    sha256: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a stage's packages hold, and what configuring them added, altered or removed (whiteouts).

    `changes` are in the order of their paths. `Entry.source` is a path below the snapshot's folder.
    """

    packages: tuple[PackageContents, ...]
    changes: tuple[Entry, ...]


def read(snapshot: Path, *, root: int = 0) -> Contents:
    """Read the record beside a Debian snapshot; entries get `root` as theirs. Raises OSError."""
    record = json.loads((snapshot / _RECORD).read_bytes())
    return Contents(
        packages=tuple(
            PackageContents(
                name=name, sha256=sha256, entries=tuple([from_row(row, root, "root/") for row in rows])
            )
            for name, sha256, rows in record["packages"]
        ),
        changes=tuple([from_row(row, root, "root/") for row in record["changes"]]),
    )


def write(folder: Path, contents: Contents) -> None:
    """Keep the record in the folder that becomes the snapshot."""
    record = {
        "packages": [
            [package.name, package.sha256, [to_row(entry) for entry in package.entries]]
            for package in contents.packages
        ],
        "changes": [to_row(entry) for entry in contents.changes],
    }
    (folder / _RECORD).write_text(json.dumps(record, separators=(",", ":")))


def to_row(entry: Entry) -> Row:
    """An entry as JSON."""
    row = [entry.path, entry.kind, entry.mode, entry.mtime, entry.size, entry.target, entry.uid, entry.gid]
    source = "" if entry.source == f"root/{entry.path}" else entry.source
    xattrs = {name: value.hex() for name, value in entry.xattrs.items()}
    return [*row, source, xattrs] if xattrs else [*row, source] if source else row


_NONE: Mapping[str, bytes] = {}


def from_row(row: Sequence[Any], root: int = 0, below: str = "") -> Entry:
    """The entry of a row; the source of a file is its path in the folder `below` where none is given."""
    path, kind, mode, mtime, size, target, uid, gid, *more = row
    return Entry(
        path=path,
        kind=cast("Kind", kind),
        mode=mode,
        uid=uid,
        gid=gid,
        mtime=mtime,
        size=size,
        target=target,
        xattrs={name: bytes.fromhex(value) for name, value in more[1].items()} if more[1:] else _NONE,
        root=root,
        source=(more[0] if more else "") or (below + path if kind == "file" else ""),
    )
