"""Follows what the driver tells and makes of it progress, a result or an error. Prints nothing.

The events are those of driver/events.py; both files change together.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wardian.errors import RunError
from wardian.runtime.notebook.plan import NotebookRun
from wardian.system.progress import Progress, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOutput:
    """What a cell printed or displayed. `stream` is `stdout`, `stderr` or `result`."""

    number: int
    stream: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CellReport:
    """One executed cell. `number` counts executed cells from 1, `index` all cells from 0."""

    number: int
    index: int
    title: str
    seconds: float
    succeeded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCell:
    """The cell at which a run ended; `traceback` has ANSI colours and is empty when nothing was raised."""

    number: int
    index: int
    count: int
    source: str
    ename: str
    evalue: str
    traceback: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookResult:
    """A notebook that ran to its end. `page` is None when no HTML could be made (`warnings` says why).

    `fetched` names the scripts that the page loads from the network when it is viewed, mostly none.
    """

    notebook: str
    executed: Path
    page: Path | None
    python: str
    seconds: float
    cells: tuple[CellReport, ...]
    warnings: tuple[str, ...]
    fetched: tuple[str, ...]


class NotebookError(RunError):
    """A notebook that did not run to its end.

    `kind` is `cell`, `timeout`, `interrupted`, `no-answer`, `kernel-died`, `kernel-start`, `invalid`,
    `language`, `empty`, `parameters`, `output`, `workbench`, `internal` or `lost` (the driver itself
    ended). `cell` is where, `detail` what else is known; `executed` and `page` are what was saved of it.
    """

    def __init__(self, message: str, *, hint: str | None, kind: str, exit_status: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.exit_status = exit_status
        self.cell: FailedCell | None = None
        self.detail = ""
        self.executed: Path | None = None
        self.page: Path | None = None


@dataclass(slots=True, kw_only=True)
class _Story:
    """What was told so far."""

    cells: list[CellReport] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    title: str = ""
    count: int = 0
    python: str = ""
    saved: dict[str, Any] | None = None
    failed: dict[str, Any] | None = None
    finished: dict[str, Any] | None = None


class Follower:
    """Reads one run's events as they come; then, once the container has ended, `conclude`."""

    def __init__(
        self,
        run: NotebookRun,
        *,
        progress: Progress,
        heard: Callable[[CellOutput], None] | None = None,
    ) -> None:
        self._run = run
        self._progress = progress
        self._heard = heard
        self._story = _Story()

    def follow(self, lines: Iterable[bytes]) -> None:
        """Read events to the end of the stream, for example of `open(descriptor, "rb")`."""
        step = self._progress.step(self._run.name, unit="cells")
        step.note("starting Python")
        failure: type[BaseException] | None = NotebookError
        try:
            for line in lines:
                self._take(line, step)
            if self._story.finished is not None and self._story.finished["status"] == 0:
                failure = None
        finally:
            step.__exit__(failure, None, None)  # what failed is told later, by `conclude`

    def conclude(self, exit_status: int) -> NotebookResult:
        """The result, `exit_status` being the container's; raises NotebookError."""
        story = self._story
        if story.failed is not None:
            raise self._error(story.failed, story.finished)
        if story.finished is None or story.finished["status"] != 0:
            raise self._lost(exit_status)
        saved = story.saved or {}
        return NotebookResult(
            notebook=self._run.name,
            executed=self._run.executed,
            page=self._run.page if saved.get("html") else None,
            python=story.python,
            seconds=float(story.finished["seconds"]),
            cells=tuple(story.cells),
            warnings=tuple(story.warnings),
            fetched=tuple(saved.get("fetched", ())),
        )

    def _take(self, line: bytes, step: Step) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return  # the last line of a driver that was killed while it wrote
        match event:
            case {"event": "started", "cells": int(count), "python": str(python)}:
                self._story.count, self._story.python = count, python
                step.total(count)
            case {"event": "begin", "number": int(number), "title": str(title)}:
                self._story.title = title
                step.note(f"cell {number} of {self._story.count}" + (f": {title}" if title else ""))
            case {"event": "output", "number": int(number), "stream": str(stream), "text": str(text)}:
                if self._heard is not None:
                    self._heard(CellOutput(number=number, stream=stream, text=text))
            case {"event": "end"}:
                self._story.cells.append(self._report(event))
                step.advance()
            case {"event": "warning", "message": str(message)}:
                self._story.warnings.append(message)
                self._progress.message(f"{self._run.name}: {message}")
            case {"event": "saved" | "failed" | "finished" as name}:
                setattr(self._story, name, event)
            case _:
                pass

    def _report(self, event: dict[str, Any]) -> CellReport:
        return CellReport(
            number=event["number"],
            index=event["index"],
            title=self._story.title,
            seconds=float(event["seconds"]),
            succeeded=event["status"] == "ok",
        )

    def _error(self, failed: dict[str, Any], finished: dict[str, Any] | None) -> NotebookError:
        cell = _failed_cell(failed.get("cell"))
        status = int(finished["status"]) if finished else 1
        message = f"{self._run.name}: {failed['message']}"
        hint = failed["hint"] or _hint_for(cell) or None
        error = NotebookError(message, hint=hint, kind=failed["kind"], exit_status=status or 1)
        error.cell = cell
        error.detail = failed["detail"]
        if self._story.saved is not None:
            error.executed = self._run.executed
            error.page = self._run.page if self._story.saved["html"] else None
        return error

    def _lost(self, exit_status: int) -> NotebookError:
        """The driver never said how it ended: it was killed, or never began."""
        number = -exit_status if exit_status < 0 else exit_status - 128
        if number in (signal.SIGINT, signal.SIGTERM):
            message = f"{self._run.name}: the run was interrupted ({signal.Signals(number).name})"
            return NotebookError(message, hint=None, kind="interrupted", exit_status=128 + number)
        title = f" in cell {len(self._story.cells) + 1}" if self._story.count else ""
        message = f"{self._run.name}: the run ended{title} without a result (exit status {exit_status})"
        killed = exit_status in (-9, 137)
        hint = "memory ran out, most likely: allow more, or load less data at once" if killed else None
        return NotebookError(message, hint=hint, kind="lost", exit_status=1)


def _failed_cell(told: dict[str, Any] | None) -> FailedCell | None:
    if told is None:
        return None
    return FailedCell(
        number=told["number"],
        index=told["index"],
        count=told["count"],
        source=told["source"],
        ename=told.get("ename", ""),
        evalue=told.get("evalue", ""),
        traceback="\n".join(told.get("traceback", ())),
    )


def _hint_for(cell: FailedCell | None) -> str:
    """The next step for failures that the container, and not the notebook, can mend."""
    if cell is None or cell.ename != "ModuleNotFoundError":
        return ""
    found = re.match(r"No module named '([A-Za-z_]\w*)", cell.evalue)
    return f"add the package that has it, for example: wardian add {found[1]}" if found else ""
