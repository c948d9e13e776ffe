"""Progress on a terminal: a bar for each step under way, a line for each that has ended. Imports rich.

Nothing is drawn while no step is open, so that a program which then takes the terminal has it alone.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from wardian.cli.lines import Tally, rate
from wardian.cli.render import plain, seconds

if TYPE_CHECKING:
    from types import TracebackType

    from wardian.system.progress import Step

REDRAWS_PER_SECOND = 12  # smooth to the eye, and under one hundredth of a core
UNREMARKABLE = 0.05  # seconds; a step that took less and counted nothing leaves no line behind


class _BarWhereCounted(BarColumn):
    """A bar only for steps whose end is known; for others the spinner says enough."""

    def render(self, task: Task) -> Text:  # type: ignore[override]  # the column takes any renderable
        return Text("") if task.total is None else super().render(task)  # type: ignore[return-value]


class _Rate(ProgressColumn):
    """How fast bytes pass, over the last half minute."""

    def render(self, task: Task) -> Text:
        if task.fields["unit"] != "B" or not task.speed:
            return Text("")
        return Text(rate(task.speed), style="dim")


class Live:
    """A `Progress` that draws on `stream`."""

    def __init__(self, stream: TextIO, *, coloured: bool) -> None:
        self._console = Console(
            file=stream, force_terminal=True, no_color=not coloured, highlight=False, emoji=False
        )
        self._guard = threading.RLock()
        self._bars: Progress | None = None
        self._open = 0

    def step(self, title: str, *, total: int | None = None, unit: str = "", passing: bool = False) -> Step:
        """Begin a step, which has a bar until it ends, and then a line unless it is a passing one."""
        title = plain(title)
        with self._guard:
            if self._bars is None:
                self._bars = self._draw()
            self._open += 1
            task = self._bars.add_task(title, total=total, unit=unit, count="", note="")
            return _LiveStep(self, self._bars, task, title, Tally(total, unit), passing=passing)

    def message(self, text: str) -> None:
        """Print one line above the bars."""
        with self._guard:
            self._console.print(Text(plain(text)))

    def _draw(self) -> Progress:
        bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            _BarWhereCounted(bar_width=24),
            TextColumn("{task.fields[count]}", markup=False),
            _Rate(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=self._console,
            transient=True,
            refresh_per_second=REDRAWS_PER_SECOND,
            redirect_stdout=False,  # results go to standard output, and it may be another file
            redirect_stderr=False,
        )
        bars.start()
        return bars

    def stop(self) -> None:
        """Take down what is drawn, though steps are still open: the work is given up."""
        with self._guard:
            if self._bars is not None:
                self._bars.stop()
                self._bars = None

    def close(self, task: TaskID, line: Text | None) -> None:
        """End a step: its bar goes, `line` stays."""
        with self._guard:
            self._open -= 1
            if self._bars is None:
                return
            self._bars.remove_task(task)
            if self._open == 0:
                self._bars.stop()
                self._bars = None
            if line is not None:
                self._console.print(line)


class _LiveStep:
    def __init__(
        self, live: Live, bars: Progress, task: TaskID, title: str, tally: Tally, *, passing: bool
    ) -> None:
        self._live = live
        self._bars = bars
        self._task = task
        self._title = title
        self._tally = tally
        self._passing = passing
        self._start = time.monotonic()

    def advance(self, amount: int = 1) -> None:
        self._tally.advance(amount)
        self._bars.update(self._task, completed=self._tally.done, count=self._tally.under_way())

    def total(self, amount: int) -> None:
        self._tally.total = amount
        self._bars.update(self._task, total=amount, count=self._tally.under_way())

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=plain(text))

    def __enter__(self) -> Step:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.close(self._task, self._line(failed=kind is not None))

    def _line(self, *, failed: bool) -> Text | None:
        took = time.monotonic() - self._start
        told = self._tally.told(took)
        if self._passing:
            return None
        if not failed and not told and took < UNREMARKABLE:
            return None
        mark = ("✗ ", "bold red") if failed else ("✓ ", "green")
        rest = "  ".join(part for part in (told, seconds(took)) if part)
        return Text.assemble(mark, self._title, ("  " + rest, "dim"))
