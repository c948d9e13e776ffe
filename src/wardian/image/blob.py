"""A layer's blob being written: tar bytes in, compressed pieces out, digests of both, on several cores.

One thread fills pieces; others compress them; they are written in their order. Memory is bounded by the
number of threads. It knows nothing of entries' sources, nor where a blob belongs in the end.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO

from wardian.image import compression, tar
from wardian.image.entry import Entry

Tell = Callable[[int], None]
# Reads into a view, and gives how many bytes it read; 0 at the end.
Fill = Callable[[memoryview], int]


class ChangedError(Exception):
    """A content that has fewer or more bytes than its header says."""


class Threads:
    """The threads of one process that compress, and the memory that they work on."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count)
        self._spare: list[bytearray] = []

    def start(self, work: Callable[[Piece], Sequence[bytes | bytearray]], piece: Piece) -> Written:
        """Have `work` done on a piece in one of the threads."""
        return self._pool.submit(work, piece)

    def take(self) -> bytearray:
        """Memory for one piece. A byte more than that shows that a file has grown."""
        return self._spare.pop() if self._spare else bytearray(compression.PIECE + 1)

    def give(self, buffer: bytearray) -> None:
        """Have memory used again: fresh memory costs as much as a tenth of the compression."""
        self._spare.append(buffer)


@dataclass(slots=True)
class Chunk:
    """A part of a file that is compressed on its own: where it begins in the file and lands in the blob."""

    start: int
    size: int = 0
    digest: str = ""
    offset: int = 0
    end: int = 0


@dataclass(slots=True)
class Piece:
    """Bytes of a tar, and the parts of them that are compressed on their own."""

    buffer: bytearray
    used: int = 0
    parts: list[tuple[int, int, Chunk | None]] = field(default_factory=list)


Written = Future[Sequence[bytes | bytearray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a tar: its size and digest, its blob's, in hexadecimal digits; annotations."""

    tar_size: int
    tar_sha256: str
    size: int
    sha256: str
    annotations: Mapping[str, str]


class Blob:
    """One blob. `told` is called with the bytes of the tar that are written, from time to time."""

    def __init__(self, file: BinaryIO, how: compression.Compression, *, threads: Threads, told: Tell) -> None:
        self._file, self._threads, self._told = file, threads, told
        self._compress = compression.compressor(how)
        self._pending: deque[tuple[Written, Piece]] = deque()
        self._piece = Piece(threads.take())
        self._view = memoryview(self._piece.buffer)
        self._begin = 0  # of the current part
        self._chunk: Chunk | None = None  # that the current part is
        self._tar = hashlib.sha256()
        self._blob = hashlib.sha256()
        self._tar_size = self._size = 0

    def member(self, entry: Entry, header: bytes) -> None:  # noqa: ARG002 - chunked.py's needs the entry
        """Begin an entry's member."""
        self._write(header)

    def content(self, size: int, fill: Fill) -> None:
        """Add a member's content. Raises ChangedError if it has not exactly `size` bytes."""
        left = size
        while left:
            if self._piece.used == compression.PIECE:
                self._flush()
            begin = self._piece.used
            wanted = min(left, compression.PIECE - begin)
            found = fill(self._view[begin : begin + wanted + (wanted == left)])
            if not 0 < found <= wanted:
                raise ChangedError
            self._piece.used += found
            self._took(self._view[begin : begin + found])
            left -= found
        self._end(tar.padding(size))

    def finish(self) -> Result:
        """End the tar and wait until all is written."""
        self._write(tar.END)
        self._flush()
        while self._pending:
            self._land()
        self._threads.give(self._piece.buffer)
        annotations = self._close()
        self._file.flush()
        return Result(
            tar_size=self._tar_size,
            tar_sha256=self._tar.hexdigest(),
            size=self._size,
            sha256=self._blob.hexdigest(),
            annotations=annotations,
        )

    # What zstd:chunked does besides (chunked.py).

    def _took(self, content: memoryview) -> None:
        """Some of a member's content is there."""

    def _end(self, padding: int) -> None:
        """A member's content is complete."""
        self._write(bytes(padding))

    def _following(self) -> Chunk | None:
        """What the first part of the next piece is."""
        return None

    def _close(self) -> Mapping[str, str]:
        """All of the tar is in the blob; returns the descriptor's annotations."""
        return {}

    # Pieces.

    def _write(self, data: bytes) -> None:
        done = 0
        while done < len(data):
            if self._piece.used == compression.PIECE:
                self._flush()
            begin = self._piece.used
            count = min(len(data) - done, compression.PIECE - begin)
            self._view[begin : begin + count] = data[done : done + count]
            self._piece.used += count
            done += count

    def _cut(self, chunk: Chunk | None) -> None:
        """End the current part; the next one is `chunk`."""
        begin, end = self._begin, self._piece.used
        if end > begin:
            self._piece.parts.append((begin, end, self._chunk))
            if self._chunk:
                self._chunk.size = end - begin
        self._begin, self._chunk = end, chunk

    def _flush(self) -> None:
        """Hand the current piece over, and begin another."""
        self._cut(self._chunk)
        self._tar.update(self._view[: self._piece.used])
        self._tar_size += self._piece.used
        self._pending.append((self._threads.start(self._press, self._piece), self._piece))
        while len(self._pending) > self._threads.count:
            self._land()
        self._piece = Piece(self._threads.take())
        self._view = memoryview(self._piece.buffer)
        self._begin, self._chunk = 0, self._following()

    def _press(self, piece: Piece) -> Sequence[bytes | bytearray]:
        view = memoryview(piece.buffer)
        for begin, end, chunk in piece.parts:
            if chunk:
                chunk.digest = hashlib.sha256(view[begin:end]).hexdigest()
        return self._compress([view[begin:end] for begin, end, _ in piece.parts])

    def _land(self) -> None:
        """Write the oldest piece that is under way."""
        written, piece = self._pending.popleft()
        for data, (_, _, chunk) in zip(written.result(), piece.parts, strict=True):
            begin = self._size
            self._append(data)
            if chunk:
                chunk.offset, chunk.end = begin, self._size
        self._told(piece.used)
        self._threads.give(piece.buffer)

    def _append(self, data: bytes | bytearray) -> None:
        self._file.write(data)
        self._blob.update(data)
        self._size += len(data)


def reader(data: bytes) -> Fill:
    """What fills views from memory."""
    rest = memoryview(data)

    def fill(view: memoryview) -> int:
        nonlocal rest
        count = min(len(view), len(rest))
        view[:count] = rest[:count]
        rest = rest[count:]
        return count

    return fill


def file_reader(descriptor: int) -> Fill:
    """What fills views from a file."""
    return lambda view: os.readv(descriptor, [view])
