"""A stream that is made and hashed in a thread of its own, a few pieces ahead of who reads it.

Decompressing and hashing leave Python's lock alone, as writing files does: a layer keeps two cores at work.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterable
from types import TracebackType

_PIECES = 8


class Ahead:
    """Reads `pieces`, none of which is empty; a context manager, which ends the thread.

    `digest` covers what has been made. Reading raises what making the pieces raised.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.digest = hashlib.sha256()
        self._pieces = pieces
        self._ready: queue.Queue[bytes | BaseException] = queue.Queue(_PIECES)
        self._stopped = False
        self._piece, self._position = b"", 0
        self._thread = threading.Thread(target=self._fill, daemon=True)

    def __enter__(self) -> Ahead:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        while self._thread.is_alive():
            try:
                self._ready.get(timeout=0.05)  # makes room, so that it sees that it is to stop
            except queue.Empty:
                continue
        self._thread.join()

    def read(self, size: int) -> bytes:
        """Between 1 and `size` bytes, or none at the end."""
        if self._position == len(self._piece):
            piece = self._ready.get()
            if isinstance(piece, BaseException):
                self._ready.put(piece)  # whoever reads on gets it again
                raise piece
            if not piece:
                self._ready.put(piece)
            self._piece, self._position = piece, 0
        # The rest stays where it is: it would be copied at each of many small reads.
        data = self._piece[self._position : self._position + size]
        self._position += len(data)
        return data

    def drain(self) -> None:
        """Read to the end."""
        while self.read(1 << 20):
            pass

    def _fill(self) -> None:
        end: bytes | BaseException = b""
        try:
            for piece in self._pieces:
                if self._stopped:
                    return
                self.digest.update(piece)
                self._ready.put(piece)
        except BaseException as error:
            end = error
        self._ready.put(end)
