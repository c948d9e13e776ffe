"""Reading files of a tree that lies in several folders, one upon the other, as overlayfs would show it.

What the folders hold was written by packages: no link leads out of them, and sizes are bounded.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from wardian.errors import HostError
from wardian.system.confined import open_beneath

_MOST_LINKS = 16
_LARGEST = 16 << 20


class Layered:
    """Folders from bottom to top; a context manager. Whiteouts are not looked at: snapshots add alone.

    Entering raises HostError for folders that cannot be read.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = list(roots)
        self._open: list[int] = []
        self._stack = ExitStack()

    def __enter__(self) -> Layered:
        for root in reversed(self._roots):
            try:
                descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                self._stack.close()
                raise HostError(f"cannot read {root}: {error.strerror}") from error
            self._stack.callback(os.close, descriptor)
            self._open.append(descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._open.clear()

    def read(self, path: str) -> bytes | None:
        """The file's bytes, links followed within the tree; None where there is no file of bounded size."""
        for _ in range(_MOST_LINKS):
            data, link = self._look(path)
            if link is None:
                return data
            path = link
        return None

    def names(self, path: str) -> list[str]:
        """What the folders of that path hold, in order."""
        found: set[str] = set()
        for root in self._open:
            try:
                descriptor = open_beneath(root, path)
            except OSError:
                continue
            try:
                found |= set(os.listdir(descriptor))
            except NotADirectoryError:
                continue
            finally:
                os.close(descriptor)
        return sorted(found)

    def _look(self, path: str) -> tuple[bytes | None, str | None]:
        """The file in the topmost folder that has it, or where a link on the way leads."""
        for root in self._open:
            try:
                descriptor = open_beneath(root, path)
            except OSError as error:
                if error.errno == errno.ELOOP and (link := _follow(root, path)):
                    return None, link
                continue
            return _content(descriptor), None
        return None, None


def _content(descriptor: int) -> bytes | None:
    """What an open file holds, which is closed then; None for what is no file, or too large."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as file:
        data = file.read(_LARGEST + 1)
    return data if len(data) <= _LARGEST else None


def _follow(root: int, path: str) -> str | None:
    """The path with its first link replaced, within the tree."""
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        before = "/".join(parts[:count])
        try:
            target = os.readlink(before, dir_fd=root)
        except OSError:
            continue
        joined = posixpath.join("/", posixpath.dirname(before), target, *parts[count:])
        return posixpath.normpath(joined).lstrip("/")
    return None
