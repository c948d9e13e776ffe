"""Extracts one layer's tar archive below the current root, as overlayfs wants layers (image-spec, layer.md).

Everything it reads is hostile. It is to run with the layer's folder as its root (unpack.py), where links
lead nowhere else; it imports nothing once it runs.
"""

from __future__ import annotations

import encodings.ascii
import encodings.idna
import encodings.latin_1
import encodings.utf_8  # noqa: F401 - after the change of root nothing can be imported any more
import math
import os
import stat
import tarfile
from dataclasses import dataclass, field
from typing import IO, Any

from wardian.errors import HostError, ImageError
from wardian.image import members
from wardian.image.ahead import Ahead
from wardian.system import disk, files

_WHAT = "the layer"  # in errors
_PIECE = 1 << 20
_WHITEOUT, _OPAQUE, _RESERVED = ".wh.", ".wh..wh..opq", ".wh..wh."
_OPAQUE_ATTRIBUTE = "user.overlay.opaque"
# overlayfs reads these as its own (mount option userxattr); a layer has no say in them.
_OVERLAY_ATTRIBUTES = "user.overlay."
_ATTRIBUTE = "SCHILY.xattr."  # layer.md has extended attributes in these pax records
_LATEST = 1 << 34  # seconds: what ext4 can note, a little more
_ZEROS = bytes(_PIECE)
_CHECKED_EVERY = 64 << 20


@dataclass(slots=True, kw_only=True)
class Extracted:
    """What became of a layer. `opaque` says that its root hides all lower layers.

    `bytes` is what its files hold; `skipped` counts members that a user without privileges cannot make.
    """

    bytes: int = 0
    opaque: bool = False
    skipped: int = 0
    examples: list[str] = field(default_factory=list)

    def skip(self, path: str) -> None:
        """Note a member that is left out."""
        self.skipped += 1
        if len(self.examples) < 3:
            self.examples.append(path)


def extract(stream: Ahead, largest: int) -> Extracted:
    """Extract the archive, which has up to `largest` bytes, into `/`.

    Raises ImageError, OSError, and what tarfile raises for damaged ones.
    """
    extraction = _Extraction()
    with members.open_archive(stream) as archive:
        for member in members.each(archive, _WHAT):
            if archive.offset > largest:  # where the next one begins: no need to read so far
                raise ImageError(f"it unpacks to more than {largest} bytes")
            extraction.place(archive, member)
    extraction.finish()
    return extraction.found


class _Extraction:
    """One layer under way."""

    def __init__(self) -> None:
        self.found = Extracted()
        # Set at the end: what is made in a folder changes its time.
        self._times: dict[str, float] = {}
        self._unchecked = 0

    def place(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Make what one member says."""
        name = members.clean(member.name, _WHAT)
        parent, _, last = name.rpartition("/")
        if last == _OPAQUE:
            self._make_opaque(parent)
        elif last.startswith(_RESERVED):
            self.found.skip(name)  # what AUFS kept for itself
        elif last.startswith(_WHITEOUT):
            self._white_out(parent, last.removeprefix(_WHITEOUT))
        elif not name:
            self._set_root(member)
        else:
            self._make(archive, member, f"/{name}")

    def finish(self) -> None:
        """Set the times of folders."""
        for path, moment in self._times.items():
            if _is_folder(path):
                os.utime(path, (moment, moment), follow_symlinks=False)

    def _set_root(self, member: tarfile.TarInfo) -> None:
        if not member.isdir():
            raise ImageError("its root is no folder")
        self._set_folder("/", member)

    def _make_opaque(self, parent: str) -> None:
        if not parent:
            self.found.opaque = True
        else:
            os.makedirs(f"/{parent}", 0o755, exist_ok=True)
            os.setxattr(f"/{parent}", _OPAQUE_ATTRIBUTE, b"y")

    def _white_out(self, parent: str, name: str) -> None:
        """Hide what lower layers have of that name; what this layer has of it stays."""
        if name in ("", ".", ".."):
            raise ImageError(f"it has a whiteout of {name!r}")
        path = f"/{parent}/{name}" if parent else f"/{name}"
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        try:
            os.mknod(path, stat.S_IFCHR, 0)
        except FileExistsError:
            if _is_folder(path):
                os.setxattr(path, _OPAQUE_ATTRIBUTE, b"y")

    def _make(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        try:
            self._create(archive, member, path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            self._create(archive, member, path)
        except FileExistsError:
            self._replace(archive, member, path)

    def _replace(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        """A later member takes an earlier one's place; a folder goes on from an earlier folder."""
        if member.isdir() and _is_folder(path):
            self._set_folder(path, member)
            return
        if member.islnk() and path == self._target(member):
            return
        hidden = _is_whiteout(path)
        files.remove_tree(path)
        self._create(archive, member, path)
        if hidden and member.isdir():
            os.setxattr(path, _OPAQUE_ATTRIBUTE, b"y")

    def _create(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        if member.isdir():
            os.mkdir(path, 0o700)
            self._set_folder(path, member)
        elif member.isreg():
            self._write(archive, member, path)
        elif member.issym():
            os.symlink(member.linkname, path)
            os.utime(path, (_time(member), _time(member)), follow_symlinks=False)
        elif member.islnk():
            self._link(member, path)
        elif member.isfifo():
            os.mkfifo(path)
            os.chmod(path, stat.S_IMODE(member.mode))
            os.utime(path, (_time(member), _time(member)))
        else:  # devices, and types of which nothing is known
            self.found.skip(path[1:])

    def _set_folder(self, path: str, member: tarfile.TarInfo) -> None:
        os.chmod(path, 0o700 | stat.S_IMODE(member.mode))  # runs of this user have to get in
        _set_attributes(path, member)
        self._times[path] = _time(member)

    def _target(self, member: tarfile.TarInfo) -> str:
        return f"/{members.clean(member.linkname, _WHAT)}"

    def _link(self, member: tarfile.TarInfo, path: str) -> None:
        target = self._target(member)
        if not os.path.lexists(target):
            raise ImageError(f"{path[1:]!r} is a hard link to {target[1:]!r}, which the layer does not have")
        if _is_folder(target):
            raise ImageError(f"{path[1:]!r} is a hard link to the folder {target[1:]!r}")
        os.link(target, path, follow_symlinks=False)

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            for offset, size in _areas(member):
                self._copy(archive.fileobj, descriptor, offset, size)  # type: ignore[arg-type]
            os.ftruncate(descriptor, member.size)
            os.fchmod(descriptor, 0o400 | stat.S_IMODE(member.mode))
            _set_attributes(descriptor, member)
            os.utime(descriptor, (_time(member), _time(member)))
        finally:
            os.close(descriptor)
        self.found.bytes += member.size

    def _copy(self, source: IO[bytes], descriptor: int, offset: int, left: int) -> None:
        """Copy `left` bytes to `offset`; blocks of zeros become holes, which need no disk."""
        while left:
            block = source.read(min(left, _PIECE))
            if not block:
                raise ImageError("its tar archive is truncated")
            if block != _ZEROS:
                self._check_disk(len(block))
                _write_at(descriptor, block, offset)
            offset += len(block)
            left -= len(block)

    def _check_disk(self, amount: int) -> None:
        self._unchecked += amount
        if self._unchecked < _CHECKED_EVERY:
            return
        self._unchecked = 0
        if not disk.has_room("/"):
            raise HostError("the disk is almost full")


def _areas(member: tarfile.TarInfo) -> list[tuple[int, int]]:
    """Where a file's data go: offset and size of each area, in the archive's order."""
    sparse: Any = member.sparse  # offsets and sizes, or None
    # An old header has room for four areas, and zeros where it has fewer.
    areas = [(0, member.size)] if sparse is None else [area for area in sparse if any(area)]
    end = 0
    for offset, size in areas:
        if size < 0 or offset < end or offset + size > member.size:
            raise ImageError(f"{member.name[:200]!r} is a file of impossible parts")
        end = offset + size
    return areas


def _write_at(descriptor: int, block: bytes, offset: int) -> None:
    while block:  # a disk that fills up takes a part first
        written = os.pwrite(descriptor, block, offset)
        block, offset = block[written:], offset + written


def _set_attributes(file: str | int, member: tarfile.TarInfo) -> None:
    """Set the extended attributes of users; capabilities and labels have no meaning in our runs."""
    for key, text in member.pax_headers.items():
        name = key.removeprefix(_ATTRIBUTE)
        if key == name or not name.startswith("user.") or name.startswith(_OVERLAY_ATTRIBUTES):
            continue
        try:
            os.setxattr(file, name, text.encode("utf-8", "surrogateescape"))
        except OSError:
            return  # too many or too long for this file system: nothing here depends on them


def _time(member: tarfile.TarInfo) -> float:
    moment = float(member.mtime)
    return moment if math.isfinite(moment) and 0 <= moment < _LATEST else 0.0


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _is_whiteout(path: str) -> bool:
    status = os.lstat(path)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
