"""Who uses the store: builds and runs together, pruning alone (flock(2) on `locks/use`).

On the start-up path of every run: no pathlib.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def shared(home: str, waiting: Callable[[], None] | None = None) -> int:
    """Hold the store at `home` in use until the returned descriptor is closed, or the process ends.

    A pruning that is under way is waited for, after `waiting` is called. Raises OSError where there is no
    store yet.
    """
    descriptor = _open(home)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        if waiting:
            waiting()
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def exclusive(home: str) -> int | None:
    """Hold the store alone until the returned descriptor is closed; None where it is in use."""
    descriptor = _open(home)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _open(home: str) -> int:
    return os.open(os.path.join(home, "locks", "use"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
