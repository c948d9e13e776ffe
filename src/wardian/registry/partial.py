"""A blob that has not arrived whole yet: what is there is kept, hashed, and gone on with.

It lies under its digest, so that a later attempt, in this process or another, need not begin anew.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from wardian.errors import HostError
from wardian.image.descriptor import Descriptor
from wardian.system.http_reasons import FailedError
from wardian.system.passage import CHUNK, Passage, write


class Partial:
    """The file at `path`, which becomes the blob `descriptor`. One at a time: who makes it holds a lock.

    `advance` counts bytes, and counts back those that are thrown away.
    """

    def __init__(self, path: Path, descriptor: Descriptor, advance: Callable[[int], None]) -> None:
        self._path = path
        self._descriptor = descriptor
        self._advance = advance
        self._file = self._open()
        self._passage = self._begin()
        self._take_up()

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(OSError):  # a full disk, of which `add` has told
            self._file.close()

    @property
    def count(self) -> int:
        """How many bytes are there."""
        return self._passage.count

    def add(self, chunk: bytes) -> None:
        """Append; raises FailedError once there is too much, HostError where it cannot be written."""
        try:
            write(self._file, self._passage.take(chunk), self._path)
        except FailedError:
            self.reset()
            raise

    def reset(self) -> None:
        """Throw away what is there; raises HostError."""
        self._advance(-self._passage.count)
        with _written(self._path):
            self._file.seek(0)  # which writes what is still to be written
            self._file.truncate()
        self._passage = self._begin()

    def check(self) -> None:
        """Whether it is the blob; raises FailedError, and throws it away, where it is something else.

        Raises HostError where it cannot be written.
        """
        try:
            self._passage.check(self._descriptor.digest.hex)
        except FailedError:
            self.reset()
            raise
        with _written(self._path):
            self._file.flush()

    def become(self, target: Path) -> None:
        """Take its place as the blob; raises HostError."""
        with _written(target):
            self._file.flush()
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(self._path, target)

    def _begin(self) -> Passage:
        return Passage(expected=self._descriptor.size, advance=self._advance)

    def _open(self) -> BinaryIO:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with _written(self._path):
            return open(os.open(self._path, flags, 0o600), "r+b")

    def _take_up(self) -> None:
        """Hash what an earlier attempt left."""
        if os.fstat(self._file.fileno()).st_size > self._descriptor.size:
            self._file.truncate(0)
        while chunk := self._file.read(CHUNK):
            self._passage.take(chunk)


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    """Translate what the disk says about writing `path`."""
    try:
        yield
    except OSError as error:
        raise HostError(
            f"cannot write {path}: {error.strerror}", hint="check the store's permissions and free space"
        ) from error
