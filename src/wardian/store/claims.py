"""Folders of work in progress, claimed by living processes; what dead ones left is swept.

On the start-up path of every run: no pathlib, no secrets.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

from wardian.system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def claimed(parent: str | os.PathLike[str]) -> Iterator[str]:
    """A new folder below `parent` for as long as the block lasts; then it is removed with all in it.

    Sweeps what dead processes left beside it.
    """
    os.makedirs(parent, exist_ok=True)
    sweep(parent)
    folder = os.path.join(parent, os.urandom(8).hex())
    descriptor = claim(folder)
    try:
        yield folder
    finally:
        # What cannot be removed now, say because a killed child still writes there, is swept later.
        with contextlib.suppress(OSError):
            files.remove_tree(folder)
            os.unlink(f"{folder}.lock")
        os.close(descriptor)


def claim(folder: str | os.PathLike[str]) -> int:
    """Make `folder` and hold `FOLDER.lock`, which says to `sweep` that its owner lives.

    A sweep may take the lock's name away between its making and its locking: then it is made again.
    """
    path = f"{os.fspath(folder)}.lock"
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                break
        os.close(descriptor)
    os.mkdir(folder, 0o700)
    return descriptor


def sweep(parent: str | os.PathLike[str]) -> None:
    """Remove the folders below `parent` that no living process claims."""
    with contextlib.suppress(FileNotFoundError):
        for entry in list(os.scandir(parent)):
            if entry.name.endswith(".lock"):
                _sweep_one(entry.path)


def _sweep_one(lock: str) -> None:
    with contextlib.suppress(OSError):  # then the next sweep tries again
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            files.remove_tree(lock.removesuffix(".lock"))
            os.unlink(lock)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
