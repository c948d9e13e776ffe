"""Progress as plain lines, for logs and pipes, and the counting that every display shares."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from wardian.cli.render import plain, seconds, size
from wardian.system.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import TextIO

    from wardian.system.progress import Step

_TELLING = 1_000_000  # bytes; the rate of fewer says more of the network's delay than of its width


class Lines:
    """One line where a step begins and one where it ends: what a log keeps. With `verbose`, notes too."""

    def __init__(
        self, stream: TextIO, *, verbose: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._guard = threading.Lock()
        self.verbose = verbose
        self.clock = clock

    def step(self, title: str, *, total: int | None = None, unit: str = "", passing: bool = False) -> Step:
        """Begin a step, which is one line now and one at its end; a passing one is told when verbose."""
        if passing and not self.verbose:
            return Silent().step(title)
        return _LineStep(self, title, total, unit)

    def message(self, text: str) -> None:
        """Print one line, whole even when several threads do."""
        with self._guard:
            print(plain(text), file=self._stream, flush=True)


class _LineStep:
    def __init__(self, lines: Lines, title: str, total: int | None, unit: str) -> None:
        self._lines = lines
        self._title = title
        self._tally = Tally(total, unit)
        self._start = lines.clock()
        lines.message(f"{title} ...")

    def advance(self, amount: int = 1) -> None:
        self._tally.advance(amount)

    def total(self, amount: int) -> None:
        self._tally.total = amount

    def note(self, text: str) -> None:
        if self._lines.verbose:
            self._lines.message(f"  {text}")

    def __enter__(self) -> Step:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        took = self._lines.clock() - self._start
        told = self._tally.told(took)
        outcome = "failed" if kind else "done"
        self._lines.message(f"{self._title}: {outcome} in {seconds(took)}" + (f" ({told})" if told else ""))


def rate(speed: float) -> str:
    """Bytes per second, for people: `45.2 MB/s`."""
    return f"{size(round(speed))}/s"


class Tally:
    """How far a step is, from any thread."""

    __slots__ = ("_guard", "done", "total", "unit")

    def __init__(self, total: int | None, unit: str) -> None:
        self._guard = threading.Lock()
        self.done = 0
        self.total = total
        self.unit = unit

    def advance(self, amount: int) -> None:
        """Count `amount` more as done."""
        with self._guard:
            self.done += amount

    def told(self, took: float = 0.0) -> str:
        """What was done, for people: `89.0 MB` or `199 packages`; empty where nothing was counted.

        Of many bytes, the rate too, where it is known how many seconds they `took`.
        """
        if not self.done:
            return ""
        if self.unit == "B":
            is_telling = took > 0 and self.done >= _TELLING
            return size(self.done) + (f", {rate(self.done / took)}" if is_telling else "")
        unit = self.unit.removesuffix("s") if self.done == 1 else self.unit
        return f"{self.done} {unit}".rstrip()

    def under_way(self) -> str:
        """How much of how much: `12.3 MB of 89.0 MB`."""
        if self.total is None:
            return self.told()
        if self.unit == "B":
            return f"{size(self.done)} of {size(self.total)}"
        return f"{self.done} of {self.total} {self.unit}".rstrip()
