"""Decompression in bounded pieces: gzip, xz, zstd. Nothing here knows what is inside."""

from __future__ import annotations

import hashlib
import lzma
import zlib
from typing import TYPE_CHECKING, Protocol

from wardian.errors import BuildError, HostError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wardian.ecosystems.debian.release import Listed

# In order of preference. Decompressing the main suite's list takes 0.36 s from gzip and 0.93 s from xz,
# which fetching the 3.6 MB less makes up for only below 50 Mbit/s.
COMPRESSIONS = (".gz", ".xz", "")

_PIECE = 1 << 20
# `xz -9` needs 65 MiB; a header may ask for 4 GiB.
_XZ_MEMORY = 256 << 20


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Gzip:
    """zlib's object with the interface that lzma and zstd share: it keeps what it has not yet used."""

    def __init__(self) -> None:
        self._object = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._object.decompress(self._object.unconsumed_tail + data, max_length)


def _decompressor(kind: str) -> _Decompressor:
    if kind == ".gz":
        return _Gzip()
    if kind == ".xz":
        return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
    if kind == ".zst":
        return _zstd()
    raise VerificationError(f"unknown compression {kind!r}")


def _zstd() -> _Decompressor:
    import importlib

    for module in ("compression.zstd", "backports.zstd"):  # the first is Python 3.14's own
        try:
            found: _Decompressor = importlib.import_module(module).ZstdDecompressor()
        except ModuleNotFoundError:
            continue
        return found
    raise BuildError("zstd is needed to unpack it", hint="install the Python package backports.zstd")


def decompress(pieces: Iterator[bytes], kind: str, *, name: str) -> Iterator[bytes]:
    """The decompressed bytes, at most 1 MiB at a time; `kind` is a suffix such as `.xz`, or empty.

    Raises VerificationError, naming `name`, when the data are damaged, truncated or need too much memory.
    """
    if not kind:
        yield from pieces
        return
    try:
        yield from _decompress(pieces, kind, name)
    except (zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        raise VerificationError(f"{name} cannot be decompressed: {error}") from error


def _decompress(pieces: Iterator[bytes], kind: str, name: str) -> Iterator[bytes]:
    decompressor = _decompressor(kind)
    for piece in pieces:
        pending = piece
        while True:
            if decompressor.eof:  # streams laid end to end are one file; zeros may pad the last
                pending = pending.lstrip(b"\0")
                if not pending:
                    break
                decompressor = _decompressor(kind)
            out = decompressor.decompress(pending, _PIECE)
            if out:
                yield out
            pending = decompressor.unused_data if decompressor.eof else b""
            if len(out) < _PIECE and not pending:
                break
    if not decompressor.eof:
        raise VerificationError(f"{name} is truncated")


def unpack_list(source: Path, kind: str, target: Path, listed: Listed, *, name: str) -> None:
    """Decompress `source` to `target` and check that it is what `listed` says.

    Raises VerificationError, HostError.
    """
    digest, count = hashlib.sha256(), 0
    try:
        with source.open("rb") as packed, target.open("xb") as file:
            for piece in decompress(iter(lambda: packed.read(_PIECE), b""), kind, name=name):
                count += len(piece)
                if count > listed.size:
                    break
                digest.update(piece)
                file.write(piece)
    except OSError as error:
        raise HostError(f"cannot write {target}: {error.strerror}", hint="free some space") from error
    if count != listed.size or digest.hexdigest() != listed.sha256:
        raise VerificationError(
            f"{name} does not unpack to what its release names: {listed.size} bytes, SHA-256 {listed.sha256}"
        )
