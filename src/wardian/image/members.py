"""Hostile tar archives read member by member, as a stream: bounded, and with one kind of error.

It writes nothing and judges no names but whether they lead out of the archive (`clean`).
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from wardian.errors import ImageError
from wardian.image.decompress import PIECE, opened

MOST = 4_000_000
# Bytes of a member's headers, all of which are held in memory: Linux keeps 64 KiB of attributes, and a map of
# a file's holes takes some 25 bytes for each.
_LARGEST_HEADERS = 1 << 20
# Bytes of headers that are about all members: they are copied for each. git writes one of 52.
_LARGEST_GLOBAL = 1 << 14
_LONGEST_NAME = 4096  # characters; PATH_MAX, in bytes
# tarfile looks for numbers from each digit on, so that one costs the square of its digits: a mebibyte of them
# took half an hour (CVE-2024-6232, which Python 3.11.10 and 3.12.6 have mended). All long ones of a header
# together may cost as much as one of 4096 digits: names have up to 255, attributes may have some more.
_LONG_NUMBER = re.compile(rb"\d{256,}")
_DEAREST_NUMBERS = 4096**2
# tarfile copies what is left of its buffer at each header: with a mebibyte that took a third of all time.
_BUFFER = 1 << 15
_PAX = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


class Stream(Protocol):
    """What an archive is read from."""

    def read(self, size: int, /) -> bytes:
        """Between 1 and `size` bytes, or none at the end."""


class Members:
    """The members of one archive, once, in order; `what` names the archive in errors."""

    def __init__(self, pieces: Iterable[bytes], what: str) -> None:
        self._what = what
        self._stream = opened(pieces)
        self._archive: tarfile.TarFile | None = None

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """Each member in turn; raises ImageError for a damaged archive. Reads the stream to its end."""
        with self._translated():
            self._archive = open_archive(self._stream)
        found = each(self._archive, self._what)
        while True:
            with self._translated():
                member = next(found, None)
            if member is None:
                break
            yield member
        while self._stream.read(PIECE):
            pass

    def content(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        """The bytes of the file that `member`, the current one, is; holes are zeros."""
        assert self._archive is not None  # it gave the member
        with self._translated():
            file = self._archive.extractfile(member)
        left = member.size
        while left and file is not None:
            with self._translated():
                piece = file.read(min(PIECE, left))
            if not piece:
                raise ImageError(f"{self._what} is truncated in {member.name[:200]!r}")
            left -= len(piece)
            yield piece

    @contextmanager
    def _translated(self) -> Iterator[None]:
        # Headers are arbitrary bytes to tarfile's parsing, which is not written for all that they can hold.
        try:
            yield
        except (tarfile.TarError, ValueError, LookupError, OverflowError, EOFError, RecursionError) as error:
            raise ImageError(f"{self._what} is no tar archive, or a damaged one: {error}") from error


def clean(name: str, what: str) -> str:
    """A member's path, relative and normalised, empty for the root.

    Raises ImageError for one that leads out, and for what is no path.
    """
    parts: list[str] = []
    for part in name.split("/"):
        if part == ".." and not parts:
            raise ImageError(f"{what} has a member whose name leads out of it: {name[:200]!r}")
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if "\0" in name or not _is_encodable(name):
        raise ImageError(f"{what} has a member whose name is none: {name[:200]!r}")
    return "/".join(parts)


def _is_encodable(name: str) -> bool:
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # JSON may hold any half characters
        return False
    return True


class _Headers:
    """An archive's stream while the headers of one member are read, which are as long as they say."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = _LARGEST_HEADERS
        self._ahead: bytes | None = None

    def tell(self) -> int:
        """Where the stream is."""
        position: int = self._file.tell()
        return position

    def peek(self, size: int) -> bytes:
        """What the next `read`, of as many bytes, will give."""
        self._ahead = self.read(size)
        return self._ahead

    def read(self, size: int) -> bytes:
        """The next bytes; raises ReadError where the headers are too many or too long."""
        if self._ahead is not None:
            found, self._ahead = self._ahead, None
            return found
        if not 0 <= size <= self._left:
            raise tarfile.ReadError(f"it has a member with headers of more than {_LARGEST_HEADERS} bytes")
        self._left -= size
        data: bytes = self._file.read(size)
        return data


class _Member(tarfile.TarInfo):
    """A member whose damaged header is an error: tarfile takes one in the middle for the archive's end.

    What its headers hold is bounded.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _Member:
        stream: Any = archive.fileobj
        is_first = not isinstance(stream, _Headers)  # and no header that an extended one is about
        if is_first:
            archive.fileobj = _Headers(stream)  # type: ignore[assignment]
        try:
            return super().fromtarfile(archive)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error
        finally:
            if is_first:
                archive.fileobj = stream

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """tarfile's place for what is to be done by type."""
        if self.type in _PAX:
            stream: Any = archive.fileobj
            _check_records(stream.peek(self._block(self.size))[: self.size])  # type: ignore[attr-defined]
        if self.type == tarfile.XGLTYPE:
            known = sum(len(key) + len(text) for key, text in archive.pax_headers.items())
            if known + self.size > _LARGEST_GLOBAL:
                raise tarfile.ReadError(f"it has global headers of more than {_LARGEST_GLOBAL} bytes")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        if found.size < 0:
            raise tarfile.ReadError("it has a member of a negative size")
        if max(len(found.name), len(found.linkname)) > _LONGEST_NAME:
            raise tarfile.ReadError(f"it has a name of more than {_LONGEST_NAME} characters")
        return found


def _check_records(data: bytes) -> None:
    """Whether an extended header's records are whole (pax, "pax Extended Header"); raises ReadError.

    tarfile before Python 3.11.10 and 3.12.6 takes bytes of one record for the next one's too: a mebibyte of
    them fills any memory.
    """
    if sum(len(number) ** 2 for number in _LONG_NUMBER.findall(data)) > _DEAREST_NUMBERS:
        raise tarfile.ReadError("it has an extended header with an endless number")
    position = 0
    while data[position : position + 1].strip(b"\0"):  # some pad with zeros
        digits, _, _ = data[position : position + 20].partition(b" ")
        end = position + (int(digits) if digits.isdigit() else 0)
        if b"=" not in data[position:end] or data[end - 1 : end] != b"\n":
            raise tarfile.ReadError("it has an extended header of something else than records")
        position = end


def open_archive(stream: Stream) -> tarfile.TarFile:
    """The archive that `stream` holds; raises what tarfile raises for damaged ones, as reading it does."""
    # All that its stream mode asks for is `read`.
    archive: tarfile.TarFile = tarfile.open(  # noqa: SIM115 - its reader may close it: the stream is not its own
        fileobj=stream,  # type: ignore[call-overload]
        mode="r|",
        bufsize=_BUFFER,
        tarinfo=_Member,
        encoding="utf-8",
        errors="surrogateescape",
    )
    return archive


def each(archive: tarfile.TarFile, what: str) -> Iterator[tarfile.TarInfo]:
    """The members of an archive, one in memory at a time; raises ImageError for too many of them."""
    # Kept by tarfile for ever otherwise, a kilobyte each.
    known: list[tarfile.TarInfo] = archive.members  # type: ignore[attr-defined]
    for _ in range(MOST):
        member = archive.next()
        if member is None:
            return
        known.clear()
        yield member
    raise ImageError(f"{what} has more than {MOST} members")
