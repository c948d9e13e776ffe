"""Records what a package holds, member by member, as its archive is read. It unpacks nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wardian.ecosystems.debian import contents, info, paths
from wardian.errors import VerificationError
from wardian.image.entry import EPOCH, Kind

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A package's contents, and the MD5 sum of each of its files: what later change is told by."""

    package: contents.PackageContents
    digests: Mapping[str, str]

    @classmethod
    def parse(cls, told: Mapping[str, Any], *, name: str, sha256: str) -> Record:
        """Read what `Recorder.told` gave."""
        entries = tuple([contents.from_row(row, below="root/") for row in told["entries"]])
        package = contents.PackageContents(name=name, sha256=sha256, entries=entries)
        return cls(package=package, digests=told["digests"])


class Recorder:
    """Takes a package's members in the order of its archive."""

    def __init__(self, control: info.Control) -> None:
        self._sums = info.checksums(control)
        self._rows: dict[str, contents.Row] = {}  # no entries yet: that would take twice the time
        self._digests: dict[str, str] = {}

    def wants_digest(self, name: str) -> bool:
        """Whether the package itself tells no MD5 sum of its file `name` (`usr/bin/x`)."""
        return name not in self._sums

    def add(self, member: tarfile.TarInfo, name: str, digest: str | None) -> None:
        """Record a member; `digest` is its MD5 sum where it is wanted."""
        path = paths.canonical(name)
        kind = _kind(member, name)
        if path in self._rows or (kind == "directory" and paths.is_alias(path)):
            return
        mode, size, target = member.mode & 0o7777, 0, ""
        if kind == "file":
            size = member.size
            self._digests[path] = digest or self._sums[name]
        elif kind == "symlink":
            mode, target = 0o777, member.linkname
        elif kind == "hardlink":
            self._add_link(path, paths.canonical(member.linkname.removeprefix("./").lstrip("/")))
            return
        self._rows[path] = [path, kind, mode, int(member.mtime), size, target, member.uid, member.gid]

    def _add_link(self, path: str, target: str) -> None:
        """Of a hard link, mode, time and owner are those of what it links to."""
        digest = self._digests.get(target)
        if digest is None:
            raise VerificationError(f"/{path}: a hard link to a file that the package does not hold")
        _, _, mode, mtime, _, first, uid, gid = self._rows[target]
        self._rows[path] = [path, "hardlink", mode, mtime, 0, first or target, uid, gid]
        self._digests[path] = digest

    def add_info(self, files: Sequence[info.InfoFile]) -> None:
        """Record the package's files in dpkg's database."""
        for file in files:
            path = f"{info.FOLDER}/{file.name}"
            self._rows[path] = [path, "file", file.mode, EPOCH, len(file.data), "", 0, 0]
            self._digests[path] = digest_of(file.data).hexdigest()

    def told(self) -> dict[str, Any]:
        """The record as JSON."""
        return {"entries": list(self._rows.values()), "digests": self._digests}


def digest_of(data: bytes = b"") -> hashlib._Hash:
    """MD5, which is what packages tell of their files. It finds changes; nothing is trusted for it."""
    return hashlib.md5(data, usedforsecurity=False)


def _kind(member: tarfile.TarInfo, name: str) -> Kind:
    if member.isreg():
        return "file"
    if member.isdir():
        return "directory"
    if member.issym():
        return "symlink"
    if member.islnk():
        return "hardlink"
    if member.isfifo():
        return "fifo"
    raise VerificationError(f"/{name}: packages may not hold device files (Debian policy 10.6)")
