"""A part of a file on its way out, piece by piece. It can be sent again: each sending begins at its start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from wardian.errors import HostError

# Bytes in one piece. A piece has to leave within the time that a server may stall.
PIECE = 1 << 18


class Slice:
    """`length` bytes of the file at `path` from `offset` on.

    `reached` is told the position in the file that has been sent so far; raises HostError for a file that
    cannot be read or is too short.
    """

    def __init__(self, path: Path, offset: int, length: int, reached: Callable[[int], None]) -> None:
        self._path = path
        self._offset = offset
        self._length = length
        self._reached = reached

    def __iter__(self) -> Iterator[memoryview]:
        # One buffer for all pieces: whoever takes one has sent it before asking for the next.
        buffer = memoryview(bytearray(min(PIECE, self._length)))
        position, end = self._offset, self._offset + self._length
        try:
            with open(self._path, "rb", buffering=0) as file:
                file.seek(position)
                while position < end:
                    count = file.readinto(buffer[: min(PIECE, end - position)])
                    if not count:
                        raise HostError(
                            f"{self._path} is shorter than it was", hint="build or pull the image again"
                        )
                    yield buffer[:count]
                    position += count
                    self._reached(position)
        except OSError as error:
            raise HostError(
                f"cannot read {self._path}: {error.strerror}", hint="build or pull the image again"
            ) from error
