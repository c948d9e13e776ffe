"""Layers and archives decompressed: gzip (of any number of members), zstd, xz, bzip2. Streaming and bounded.

Nothing here knows what is inside.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import itertools
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from wardian.errors import ImageError, VerificationError
from wardian.image.descriptor import Descriptor, Digest

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import WriteableBuffer

PIECE = 1 << 20
# Magic numbers: RFC 1952, RFC 8878 (frames and skippable frames, which zstd:chunked has at its end).
_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    *((bytes([byte]) + b"\x2a\x4d\x18", "zstd") for byte in range(0x50, 0x60)),
    (b"\xfd7zXZ\x00", "xz"),
    # Level and first block: `BZh` alone may begin the name of a tar's first member.
    *((b"BZh%d" % level + block, "bzip2") for level in range(1, 10) for block in (b"1AY&", b"\x17rE8")),
)
_LONGEST_MAGIC = 8
_FEED = 1 << 16
# Bytes of tar that a layer may hold for each byte of its blob, and beside those. Files become some 3 to 20
# times smaller, but zeros 1000 times by gzip and 30,000 times by zstd, and a database's file may have many of
# them. What is allowed takes a minute to read. Zeros become holes, which need no disk; other bytes end where
# the disk has no room to spare (disk.has_room).
_RATIO = 100
_SLACK = 64 << 30
LARGEST = 1 << 40  # bytes of a layer's tar: none of any image in use comes near it
_XZ_MEMORY = 256 << 20  # `xz -9` needs 65 MiB; a header may ask for 4 GiB
_AGAIN = "pull, load or build the image again"


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Gzip:
    """zlib's object with the interface of the others: it keeps what it has not yet used.

    ISA-L's takes half of zlib's time (550 MB/s against 280 on a layer); it is there for the architectures
    that have wheels of it. Both give the same bytes.
    """

    def __init__(self) -> None:
        try:
            self._object = importlib.import_module("isal.isal_zlib").decompressobj(wbits=31)
        except ModuleNotFoundError:
            self._object = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return bool(self._object.eof)

    @property
    def unused_data(self) -> bytes:
        found: bytes = self._object.unused_data
        return found

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        rest = self._object.unconsumed_tail
        found: bytes = self._object.decompress(rest + data if rest else data, max_length)
        return found


def sniff(head: bytes) -> str:
    """How what begins with `head` (8 bytes or more) is compressed: `none` where nothing is recognised."""
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "none")


def recognised(pieces: Iterable[bytes]) -> tuple[str, Iterator[bytes]]:
    """How `pieces` are compressed, by their beginning; and all of them."""
    stream = iter(pieces)
    head = b""
    for piece in stream:
        head += piece
        if len(head) >= _LONGEST_MAGIC:
            break
    return sniff(head), itertools.chain((head,) if head else (), stream)


def stored_compression(path: Path, what: str) -> str:
    """How the blob at `path` is compressed, as `sniff` has it; raises ImageError as `read` does."""
    return recognised(read(path, what))[0]


def bound(size: int) -> int:
    """How many bytes of tar a layer's blob of `size` bytes may hold; what holds more is there to harm."""
    return min(size * _RATIO + _SLACK, LARGEST)


def decompressed(
    pieces: Iterable[bytes], compression: str, what: str, *, most: int | None = None
) -> Iterator[bytes]:
    """The decompressed bytes, at most 1 MiB at a time; `compression` as `COMPRESSIONS` or `sniff` name it.

    Raises ImageError, which names `what`, for damaged or truncated data, and as soon as there are more than
    `most` bytes.
    """
    stream = iter(pieces) if compression == "none" else _guarded(pieces, compression, what)
    count = 0
    for piece in stream:
        count += len(piece)
        if most is not None and count > most:
            raise ImageError(f"{what} unpacks to more than {most} bytes", hint="use an image that you trust")
        yield piece


def load(compressions: Iterable[str]) -> None:
    """Import what these need, for a process that can import nothing later.

    A library that is not installed is missed when it is needed.
    """
    for compression in compressions:
        with contextlib.suppress(ImageError):
            list(decompressed((), compression, ""))


def layer(
    path: Path, descriptor: Descriptor, diff_id: Digest, what: str, *, most: int = LARGEST
) -> Iterator[bytes]:
    """The tar of the layer that is stored at `path`; who has read it to its end knows that all is right.

    How it is compressed is seen from its bytes, as engines do: media types are often wrong. It holds at most
    `most` bytes, and no more than `bound` allows.

    Raises VerificationError where the blob's or the tar's digest is another, ImageError as `decompressed`
    does, and where the blob cannot be read. A blob of another digest is removed.
    """
    packed, unpacked = hashlib.sha256(), hashlib.sha256()
    compression, stored = recognised(_hashed(read(path, what), packed))
    most = min(most, bound(descriptor.size))
    try:
        for piece in decompressed(stored, compression, what, most=most):
            unpacked.update(piece)
            yield piece
    except ImageError:
        drop_damaged(path, descriptor.digest, what)  # if its bytes are others, that is why
        raise
    drop_damaged(path, descriptor.digest, what, packed.hexdigest())
    if diff_id.hex != unpacked.hexdigest():
        raise VerificationError(_other(f"{what}, unpacked,", diff_id, unpacked.hexdigest()))


def drop_damaged(path: Path, digest: Digest, what: str, found: str = "") -> None:
    """Remove a stored blob unless its bytes have that digest; `found` is what they have, where it is known.

    Others would be taken for the blob when it is pulled or loaded again: for them raises VerificationError.
    Raises ImageError where it cannot be read.
    """
    found = found or _digest(path, what)
    if found == digest.hex:
        return
    hint = f"{_AGAIN}: the damaged file was removed"
    try:
        path.unlink(missing_ok=True)
    except OSError:
        hint = f"remove {path}, which is damaged, and {_AGAIN}"
    raise VerificationError(_other(what, digest, found), hint=hint)


def read(path: Path, what: str) -> Iterator[bytes]:
    """A file's bytes in pieces; raises ImageError, which names `what`."""
    try:
        with open(path, "rb") as file:
            while piece := file.read(PIECE):
                yield piece
    except OSError as error:
        raise ImageError(f"{what} cannot be read: {error.strerror}", hint=_AGAIN) from error


class Stream(io.RawIOBase):
    """Pieces as a file that can be read once, from its beginning to its end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Give what is there, and no less than a byte before the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def opened(pieces: Iterable[bytes]) -> io.BufferedReader:
    """`pieces` as a buffered file, for tarfile's stream mode."""
    return io.BufferedReader(Stream(pieces), PIECE)


def _hashed(pieces: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    for piece in pieces:
        digest.update(piece)
        yield piece


def _digest(path: Path, what: str) -> str:
    digest = hashlib.sha256()
    for piece in read(path, what):
        digest.update(piece)
    return digest.hexdigest()


def _other(what: str, expected: Digest, found: str) -> str:
    return f"{what} should have the digest {expected} and has sha256:{found}"


def _guarded(pieces: Iterable[bytes], compression: str, what: str) -> Iterator[bytes]:
    # Each library has an exception of its own, derived from Exception; errors of `pieces` are ours.
    decompressor = _decompressor(compression)
    is_fresh = True
    for pending in _cut(pieces):
        while True:
            if decompressor.eof:  # streams laid end to end are one file; zeros may pad the last
                pending = pending.lstrip(b"\0")
                if not pending:
                    break
                decompressor = _decompressor(compression)
            is_fresh = False
            out = _step(decompressor, pending, what)
            if out:
                yield out
            pending = decompressor.unused_data if decompressor.eof else b""
            if len(out) < PIECE and not pending:
                break
    if not is_fresh and not decompressor.eof:
        raise ImageError(f"{what} is truncated")


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    # Where a member ends, the rest is copied: a mebibyte of tiny members would be copied 50,000 times.
    for piece in pieces:
        yield from (piece[start : start + _FEED] for start in range(0, len(piece), _FEED))


def _step(decompressor: _Decompressor, pending: bytes, what: str) -> bytes:
    try:
        return decompressor.decompress(pending, PIECE)
    except Exception as error:
        raise ImageError(f"{what} cannot be decompressed: {error}") from error


def _decompressor(compression: str) -> _Decompressor:
    if compression == "gzip":
        return _Gzip()
    if compression == "zstd":
        return _zstd()
    if compression == "xz":
        import lzma

        return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
    if compression == "bzip2":
        import bz2

        return bz2.BZ2Decompressor()
    raise ImageError(f"unknown compression {compression!r}")


def _zstd() -> _Decompressor:
    for module in ("compression.zstd", "backports.zstd"):  # the first is Python 3.14's own
        try:
            found: _Decompressor = importlib.import_module(module).ZstdDecompressor()
        except ModuleNotFoundError:
            continue
        return found
    raise ImageError("zstd is needed to unpack it", hint="install the Python package backports.zstd")
