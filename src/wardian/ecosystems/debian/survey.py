"""Looks at a stage's root once, after it was configured: every path, and what has to be known of it.

Programs of the packages have run in there and may have left anything: no link is followed. What its owner
may not read is made readable, since layers are packed from it; which modes it had is told.
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from errno import ENAMETOOLONG
from typing import TYPE_CHECKING, Literal

from wardian.ecosystems.debian.record import digest_of
from wardian.errors import BuildError, HostError
from wardian.runtime import owners

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FoundKind = Literal["file", "directory", "symlink", "fifo", "whiteout", "other"]

_OPAQUE = "user.overlay.opaque"  # filesystems/overlayfs: the folder hides those below it
_OURS = ("user.overlay.", "user.wardian.")
_CAPABILITY = "security.capability"
_BLOCK = 1 << 20
_KINDS: dict[int, FoundKind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
}


@dataclass(slots=True)
class Found:
    """A path of the root as it stands on the disk. `place` is where."""

    path: str
    place: str
    kind: FoundKind
    status: os.stat_result
    names: list[str] | None = None  # of its extended attributes, once asked for

    @property
    def mode(self) -> int:
        """Its permission bits."""
        return stat.S_IMODE(self.status.st_mode)

    @property
    def identity(self) -> tuple[int, int] | None:
        """What it has in common with its other names, if it has any."""
        return (self.status.st_dev, self.status.st_ino) if self.status.st_nlink > 1 else None

    def owner(self) -> tuple[int, int]:
        """The recorded owner; of files and folders only."""
        return owners.owner(self.place) if owners.ATTRIBUTE in self._names() else (0, 0)

    def attributes(self) -> dict[str, bytes]:
        """Extended attributes that belong to an image; of files and folders only."""
        return {
            name: _portable(name, os.getxattr(self.place, name, follow_symlinks=False))
            for name in sorted(self._names())
            if name == _CAPABILITY or (name.startswith("user.") and not name.startswith(_OURS))
        }

    def is_opaque(self) -> bool:
        """Whether the folder hides those of lower stages."""
        return _OPAQUE in self._names()

    def _names(self) -> list[str]:
        if self.names is None:
            self.names = os.listxattr(self.place, follow_symlinks=False)
        return self.names

    def digest(self) -> str:
        """The MD5 sum of a file."""
        made = digest_of()
        descriptor = os.open(self.place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                made.update(block)
        return made.hexdigest()


def survey(root: Path) -> Iterator[Found]:
    """Every path below `root`, folders before what is in them, in no other order.

    Raises BuildError for a tree too deep to be named, HostError where the disk fails.
    """
    pending = [(str(root), "")]
    while pending:
        folder, prefix = pending.pop()
        try:
            with os.scandir(folder) as entries:
                found = [_look(entry, prefix) for entry in entries]
        except OSError as error:
            raise _failure(prefix or "/", error) from error
        for each in found:
            yield each
            if each.kind == "directory":
                pending.append((each.place, f"{each.path}/"))


def _look(entry: os.DirEntry[str], prefix: str) -> Found:
    status = entry.stat(follow_symlinks=False)
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "other")
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        kind = "whiteout"
    needed = 0o700 if kind == "directory" else 0o400 if kind == "file" else 0
    if status.st_mode & needed != needed:
        os.chmod(entry.path, stat.S_IMODE(status.st_mode) | needed)
    return Found(prefix + entry.name, entry.path, kind, status)


def _portable(name: str, value: bytes) -> bytes:
    """A capability as it is where all ids are mapped (linux/capability.h): revision 2, without root's id."""
    if name != _CAPABILITY or len(value) != 24:
        return value
    magic, *sets, _ = struct.unpack("<6I", value)
    return struct.pack("<5I", 0x02000000 | magic & 0x00FFFFFF, *sets)


def _failure(path: str, error: OSError) -> Exception:
    message = f"cannot look at /{path.strip('/')} in the configured packages: {error.strerror}"
    if error.errno == ENAMETOOLONG:
        return BuildError(message, hint="a package's script made folders that nest too deep; do without it")
    return HostError(message, hint="run `wardian doctor`")
