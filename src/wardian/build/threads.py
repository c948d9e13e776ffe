"""Threads whose failures reach whoever waits for their work. What they do is the executor's affair."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from typing import Any


def start(work: Callable[..., None], *arguments: object) -> threading.Thread:
    """Begin `work` in a thread that nobody has to wait for."""
    # Daemon threads, so that Ctrl-C ends the build at once: what is half-made is swept later.
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def settle(futures: Iterable[Future[Any]], work: Callable[..., None], *arguments: object) -> None:
    """Run `work`, which settles the futures; where it fails, the rest of them fail with it."""
    try:
        work(*arguments)
    except BaseException as error:
        for future in futures:
            if not future.done():
                future.set_exception(error)


def guard(failed: Callable[[Exception], None], work: Callable[..., None], *arguments: object) -> None:
    """Run `work`, and hand what it raises to `failed`."""
    try:
        work(*arguments)
    except Exception as error:
        failed(error)
