"""A project's lock file: where it may lie, what is read and written, and its state at that time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.api import warm
from wardian.errors import DamagedLockError, LockError
from wardian.lock.text import read_lock, write_lock
from wardian.system import files

if TYPE_CHECKING:
    from collections.abc import Callable

    from wardian.lock.model import Lock


class LockFile:
    """The lock at `path` of the project in `folder`.

    `state` is the file's (api/warm.py) from before it was last read, or after it was last written: a
    launch record that notes it is made anew when the lock has changed since.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = path
        self.state: dict[str, list[int] | None] = {}
        self._folder = folder
        self._read: tuple[Lock | None] | None = None  # what `state` is that of

    def read(self) -> Lock | None:
        """The lock, None where there is none; raises LockError."""
        self._check_place()
        state = warm.states([str(self.path)])
        if self._read is None or state != self.state:  # 30 ms for a large lock
            self.state, self._read = state, (read_lock(self.path),)
        return self._read[0]

    def read_or_discard(self, tell: Callable[[str], None]) -> Lock | None:
        """As `read`; but a damaged lock is none, and `tell` hears of it.

        For those who have asked for the lock to be written: to all others it is an error.
        """
        try:
            return self.read()
        except DamagedLockError as error:
            tell(f"{error.message}; resolving anew")
            return None

    def write(self, lock: Lock) -> None:
        """Write the lock, whole or not at all; raises LockError and HostError."""
        self._check_place()
        files.write_atomic(self.path, write_lock(lock), durable=True)
        self.state, self._read = warm.states([str(self.path)]), (lock,)

    def _check_place(self) -> None:
        """A project may come from anybody: its lock must not lead to another file of the user's."""
        if not self.path.is_symlink():
            return
        target, folder = os.path.realpath(self.path), os.path.realpath(self._folder)
        if not target.startswith(f"{folder.rstrip('/')}/"):
            raise LockError(
                f"{self.path} is a link that leads out of the project, to {target}",
                hint="replace it by the file itself, or remove it",
            )
