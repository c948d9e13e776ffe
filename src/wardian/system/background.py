"""Work beside the main thread that nobody has to wait for."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


def start(work: Callable[[], _T]) -> Future[_T]:
    """Begin `work` in a daemon thread; its result or failure is the future's.

    An executor's threads are joined when its block or the program ends, so that Ctrl-C would wait for
    the network. What a daemon leaves half-made is swept later (store/claims.py).
    """
    future: Future[_T] = Future()
    threading.Thread(target=_settle, args=(future, work), daemon=True).start()
    return future


def _settle(future: Future[_T], work: Callable[[], _T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
