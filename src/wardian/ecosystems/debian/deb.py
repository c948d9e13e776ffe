"""Reading `.deb` files (deb(5)): an ar archive of two tar archives. It writes nothing and trusts nothing.

Sizes are bounded: by the file's own size for its members, and by a ratio for what they unpack to.
"""

from __future__ import annotations

import contextlib
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from wardian.ecosystems.debian.decompress import decompress
from wardian.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


def read_control(path: Path) -> dict[str, bytes]:
    """The files of the control archive by name: `control`, `md5sums`, `postinst`, …

    Raises VerificationError for a damaged or hostile package.
    """
    files = {}
    with _open(path, "control.tar", largest=_LARGEST_CONTROL) as archive:
        for member in archive:
            if member.isreg() and (file := archive.extractfile(member)):
                files[member.name.removeprefix("./")] = file.read()
    return files


@contextlib.contextmanager
def open_data(path: Path) -> Iterator[tarfile.TarFile]:
    """The data archive as a stream: members come once, in order. Their names are as hostile as they are.

    Raises VerificationError for a damaged package, also while it is read.
    """
    with _open(path, "data.tar", largest=_SLACK + _RATIO * path.stat().st_size) as archive:
        yield archive


@contextlib.contextmanager
def _open(path: Path, stem: str, *, largest: int) -> Iterator[tarfile.TarFile]:
    try:
        with path.open("rb") as file:
            member = next((item for item in _members(file, path) if _stem(item.name) == stem), None)
            if member is None:
                raise VerificationError(f"{path.name} is no Debian package: it has no {stem}")
            pieces = decompress(_slice(file, member), member.name.removeprefix(stem), name=path.name)
            stream = _Stream(pieces, largest=largest, name=path.name)
            with tarfile.open(fileobj=stream, mode="r|", bufsize=_PIECE) as archive:  # type: ignore[call-overload]
                yield archive
            while stream.read(_PIECE):  # what follows the archive's end is checked too
                pass
    except (tarfile.TarError, UnicodeDecodeError) as error:
        raise VerificationError(f"{path.name} is no Debian package: {error}") from error


def _stem(name: str) -> str:
    return ".".join(name.split(".")[:2])


def _members(file: IO[bytes], path: Path) -> Iterator[_Member]:
    """The members of an ar archive, in the common format that deb(5) asks for: no long names."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise VerificationError(f"{path.name} is no Debian package: it is no ar archive")
    end = path.stat().st_size
    offset = len(_MAGIC)
    while offset < end:
        file.seek(offset)
        header = file.read(_HEADER)
        digits = header[48:58].strip()
        if len(header) != _HEADER or header[58:] != b"`\n" or not digits.isdigit():
            raise VerificationError(f"{path.name} is no Debian package: damaged at byte {offset}")
        size = int(digits)
        if offset + _HEADER + size > end:
            raise VerificationError(f"{path.name} is truncated")
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
