"""Who uses the store: builds and runs together, pruning alone (flock(2) on `locks/use`).

On the start-up path of every run: no pathlib.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def using(home: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Keep `prune` from what is in use while the block lasts; makes the store where there is none yet.

    Raises StoreError for one that cannot be used.
    """
    try:
        descriptor = shared(home, waiting)
    except OSError:  # there is no store yet, or none that can be used, and Store says why
        from wardian.store.store import Store

        with Store.open(home).use(waiting):
            yield
        return
    try:
        yield
    finally:
        os.close(descriptor)


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
