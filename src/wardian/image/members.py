"""Hostile tar archives read member by member, as a stream: bounded, and with one kind of error.

It writes nothing and judges no names but whether they lead out of the archive (`clean`).
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from wardian.errors import ImageError
from wardian.image.decompress import PIECE, opened

MOST = 4_000_000
# Extended headers are read into memory whole. Names have 4096 bytes, and Linux keeps 64 KiB of attributes.
_LARGEST_HEADER = 1 << 20
# tarfile copies what is left of its buffer at each header: with a mebibyte that took a third of all time.
_BUFFER = 1 << 15
_IN_MEMORY = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


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
        except (tarfile.TarError, ValueError, KeyError, IndexError, OverflowError, EOFError) as error:
            raise ImageError(f"{self._what} is no tar archive, or a damaged one: {error}") from error


def clean(name: str, what: str) -> str:
    """A member's path, relative and normalised, empty for the root; raises ImageError for one outside."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise ImageError(f"{what} has a member whose name leads out of it: {name[:200]!r}")
    return "/".join(parts)


class _Member(tarfile.TarInfo):
    """A member whose damaged header is an error: tarfile takes one in the middle for the archive's end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _Member:
        try:
            return super().fromtarfile(archive)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """tarfile's place for what is to be done by type."""
        if self.type in _IN_MEMORY and self.size > _LARGEST_HEADER:
            raise tarfile.ReadError(f"it has an extended header of {self.size} bytes")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        if found.size < 0:
            raise tarfile.ReadError("it has a member of a negative size")
        return found


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
