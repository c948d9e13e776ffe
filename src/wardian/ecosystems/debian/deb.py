"""Reading `.deb` files (deb(5)): an ar archive of two tar archives. It writes nothing and trusts nothing.

Sizes are bounded: by the file's own size for its members, and by a ratio for what they unpack to.
"""

from __future__ import annotations

import contextlib
import os
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from wardian.ecosystems.debian import paths
from wardian.ecosystems.debian.decompress import decompress
from wardian.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NO_NAMES = frozenset(("", ".", ".."))  # names that no part of a path may have
_MAGIC = b"!<arch>\n"
_HEADER = 60
_PIECE = 1 << 18
_LARGEST_CONTROL = 16 << 20
# What a packed byte may unpack to. Real packages stay below 60; xz can reach 7000.
_RATIO = 256
_SLACK = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlFile:
    """A file of the control archive, and its mode."""

    mode: int
    data: bytes


def read_control(deb: IO[bytes], *, name: str) -> dict[str, ControlFile]:
    """The files of the control archive by name: `control`, `md5sums`, `postinst`, …

    `name` stands for the package in errors. Raises VerificationError for a damaged or hostile package.
    """
    files = {}
    with _open(deb, "control.tar", largest=_LARGEST_CONTROL, name=name) as archive:
        for member in archive:
            if member.isreg() and (file := archive.extractfile(member)):
                files[member.name.removeprefix("./")] = ControlFile(mode=member.mode, data=file.read())
    return files


@contextlib.contextmanager
def open_data(deb: IO[bytes], *, name: str) -> Iterator[tarfile.TarFile]:
    """The data archive as a stream: members come once, in order. Their names are as hostile as they are.

    Raises VerificationError for a damaged package, also while it is read.
    """
    with _open(deb, "data.tar", largest=_SLACK + _RATIO * _size(deb), name=name) as archive:
        yield archive


def selected(members: Iterable[tarfile.TarInfo], *, docs: bool) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """The members that dpkg's path filters let in, and their paths: `usr/bin/x`, empty for the root itself.

    The folders above these come with them, though the filters name them, as dpkg has it; and so do links
    that stand for a package's folder of documentation. Raises VerificationError for a path that leads out.
    """
    left_out: dict[str, tarfile.TarInfo] = {}
    for member in members:
        name = member.name.removeprefix("./").strip("/")
        name = "" if name == "." else name
        if name and not _NO_NAMES.isdisjoint(name.split("/")):
            raise VerificationError(f"{member.name}: a path that is not plain")
        linked = member.issym() and paths.stands_for_documentation(f"/{name}")
        if linked or paths.is_kept(f"/{name}", docs=docs):
            folders, above = [], name
            while left_out and (above := os.path.dirname(above)):
                if above in left_out:
                    folders.append((above, left_out.pop(above)))
            yield from reversed(folders)
            yield name, member
        elif member.isdir():
            left_out[name] = member


@contextlib.contextmanager
def _open(deb: IO[bytes], stem: str, *, largest: int, name: str) -> Iterator[tarfile.TarFile]:
    try:
        member = next((item for item in _members(deb, name) if _stem(item.name) == stem), None)
        if member is None:
            raise VerificationError(f"{name} is no Debian package: it has no {stem}")
        pieces = decompress(_slice(deb, member), member.name.removeprefix(stem), name=name)
        stream = _Stream(pieces, largest=largest, name=name)
        with tarfile.open(fileobj=stream, mode="r|", bufsize=_PIECE) as archive:  # type: ignore[call-overload]
            yield archive
        while stream.read(_PIECE):  # what follows the archive's end is checked too
            pass
    except (tarfile.TarError, UnicodeDecodeError) as error:
        raise VerificationError(f"{name} is no Debian package: {error}") from error


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _stem(name: str) -> str:
    return ".".join(name.split(".")[:2])


def _members(file: IO[bytes], package: str) -> Iterator[_Member]:
    """The members of an ar archive, in the common format that deb(5) asks for: no long names."""
    file.seek(0)
    if file.read(len(_MAGIC)) != _MAGIC:
        raise VerificationError(f"{package} is no Debian package: it is no ar archive")
    end = _size(file)
    offset = len(_MAGIC)
    while offset < end:
        file.seek(offset)
        header = file.read(_HEADER)
        digits = header[48:58].strip()
        if len(header) != _HEADER or header[58:] != b"`\n" or not digits.isdigit():
            raise VerificationError(f"{package} is no Debian package: damaged at byte {offset}")
        size = int(digits)
        if offset + _HEADER + size > end:
            raise VerificationError(f"{package} is truncated")
        name = header[:16].decode("ascii").strip().rstrip("/")
        yield _Member(name=name, offset=offset + _HEADER, size=size)
        offset += _HEADER + size + size % 2


def _slice(file: IO[bytes], member: _Member) -> Iterator[bytes]:
    file.seek(member.offset)
    left = member.size
    while left:
        piece = file.read(min(left, _PIECE))
        if not piece:
            return
        left -= len(piece)
        yield piece


class _Stream:
    """What tarfile reads from: pieces joined as it asks for them, up to `largest` bytes in all."""

    def __init__(self, pieces: Iterator[bytes], *, largest: int, name: str) -> None:
        self._pieces = pieces
        self._buffer = b""
        self._left = largest
        self._name = name

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty at the end."""
        if not self._buffer:
            self._buffer = next(self._pieces, b"")
            self._left -= len(self._buffer)
            if self._left < 0:
                raise VerificationError(f"{self._name} unpacks to far more than its size allows")
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data
