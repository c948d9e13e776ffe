"""Bytes on their way into a file: counted, hashed and bounded. It does not know where they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from wardian.errors import HostError
from wardian.system.http_reasons import FailedError, Reason

CHUNK = 1 << 18


@dataclass(slots=True, kw_only=True)
class Passage:
    """One attempt at a file. `expected` is the size that was promised, if any."""

    expected: int | None
    advance: Callable[[int], None]
    count: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def take(self, chunk: bytes) -> bytes:
        """Count and hash `chunk`, and give it back; raises FailedError once there is too much."""
        self.count += len(chunk)
        self.digest.update(chunk)
        self.advance(len(chunk))
        if self.expected is not None and self.count > self.expected:
            raise _mismatch(f"it is larger than the {self.expected} bytes expected")
        return chunk

    def check(self, sha256: str) -> None:
        """Whether all that passed is what was named; raises FailedError."""
        if self.expected is not None and self.count != self.expected:
            raise _mismatch(f"it has {self.count} bytes, not {self.expected}")
        if self.digest.hexdigest() != sha256:
            raise _mismatch(f"its SHA-256 is {self.digest.hexdigest()}, not {sha256}")


def _mismatch(text: str) -> FailedError:
    return FailedError(Reason(text=text, is_mismatch=True))


def read_file(url: str) -> Iterator[bytes]:
    """The bytes at a `file:` address; raises FailedError."""
    path = Path(unquote(urlsplit(url).path))
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        text = str(error.strerror).lower()
        raise FailedError(Reason(text=text, is_transient=False, is_missing=missing)) from error


def create(path: Path) -> BinaryIO:
    """A new file, in a folder that is made if need be; raises HostError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")
    except OSError as error:
        raise _unwritable(path, error) from error


def write(file: BinaryIO, data: bytes, target: Path) -> None:
    """Write to `file`, which is to become `target`; raises HostError."""
    try:
        file.write(data)
    except OSError as error:
        raise _unwritable(target, error) from error


def _unwritable(path: Path, error: OSError) -> HostError:
    return HostError(
        f"cannot write {path}: {error.strerror}", hint="check the folder's permissions and free space"
    )
