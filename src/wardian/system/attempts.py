"""Trying again: what failed in passing gets another attempt after a growing pause, within bounds."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from wardian.system.http_reasons import FailedError, Reason

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient one is with the network. Times in seconds.

    One attempt may hang for `stall`; between `attempts` there is a pause of `pause`, then twice that, and
    so on, in all at most `patience`.
    """

    attempts: int = 5
    pause: float = 0.25
    patience: float = 45.0
    stall: float = 20.0


class Attempts:
    """Runs what may fail, at a pace. Safe to use from several threads."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._closed = threading.Event()

    def close(self) -> None:
        """End the pauses of attempts under way: what fails now has failed."""
        self._closed.set()

    def run(self, attempt: Callable[[], T]) -> T | Reason:
        """What `attempt` returns, or why it raised FailedError the last time that it was worth trying."""
        waited, mismatches = 0.0, 0
        reason = Reason(text="it was not tried")
        for number in range(self._pace.attempts):
            try:
                return attempt()
            except FailedError as failed:
                reason = failed.reason
            # The share of chance keeps threads that failed together from coming back together.
            pause = max(self._pace.pause * 2**number * random.uniform(0.75, 1.25), reason.retry_after)
            waited += pause
            # Other bytes than those named may be a proxy's passing fault, but hardly twice.
            mismatches += reason.is_mismatch
            is_last = number + 1 >= self._pace.attempts or mismatches > 1
            if not reason.is_transient or is_last or waited > self._pace.patience or self._closed.wait(pause):
                return (
                    reason if number == 0 else replace(reason, text=f"{reason.text}; {number + 1} attempts")
                )
        return reason
