"""Several threads at one job: the first failure ends it for all of them."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class StoppedError(Exception):
    """Other work of the crew failed, or nobody waits any more. It does not leave the crew."""


class Crew:
    """At most `size` daemon threads, which take work in the order in which it is given to them.

    Leaving its `with` block stops what is under way, at its next `go_on`: Ctrl-C need not wait for the
    network.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._threads = 0
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._stopped = threading.Event()
        self._failure: BaseException | None = None
        self._futures: list[Future[object]] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        for _ in range(self._threads):
            self._work.put(None)

    def start(self, work: Callable[[], _T]) -> Future[_T]:
        """Have `work` done; its result or failure is the future's. Raises what other work failed with."""
        self.check()
        future: Future[_T] = Future()
        self._futures.append(future)  # type: ignore[arg-type]  # it is only waited for
        self._work.put(lambda: self._do(future, work))
        if self._threads < self._size:
            self._threads += 1
            threading.Thread(target=self._serve, daemon=True).start()
        return future

    def wait(self) -> None:
        """Wait until all work is done; raises what the first that failed did."""
        wait(self._futures, return_when=FIRST_EXCEPTION)
        self.check()

    def check(self) -> None:
        """Raise the first failure, if there is one."""
        with self._guard:
            if self._failure is not None:
                raise self._failure

    def go_on(self) -> None:
        """To be called by work now and then; raises StoppedError where it is no longer wanted."""
        if self._stopped.is_set():
            raise StoppedError

    def _serve(self) -> None:
        while work := self._work.get():
            work()

    def _do(self, future: Future[_T], work: Callable[[], _T]) -> None:
        try:
            self.go_on()
            result = work()
        except BaseException as error:
            with self._guard:  # before the others can see that they are stopped, and say so
                self._failure = self._failure or error
            self._stopped.set()
            future.set_exception(error)
        else:
            future.set_result(result)
