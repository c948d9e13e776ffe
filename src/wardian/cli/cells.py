"""The cell at which a notebook failed, as it is shown above the error. Pure."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wardian.runtime.notebook.events import FailedCell, NotebookError

LINES_SHOWN = 40  # of a cell's source: more pushes the traceback off the screen


def show_failure(error: NotebookError, *, coloured: bool) -> str:
    """The failing cell, its traceback and what was saved, each as far as it is known."""
    parts = [_cell(error.cell, coloured=coloured)] if error.cell else []
    if error.detail:
        parts.append(error.detail.strip())
    if saved := [str(path) for path in (error.executed, error.page) if path]:
        parts.append(f"saved as far as it ran: {', '.join(saved)}")
    return "\n\n".join(parts)


def _cell(cell: FailedCell, *, coloured: bool) -> str:
    lines = cell.source.splitlines()
    shown = "\n".join(lines[:LINES_SHOWN])
    rest = len(lines) - LINES_SHOWN
    more = f"\n... {rest} more lines" if rest > 0 else ""
    text = f"cell {cell.number} of {cell.count}:\n\n{textwrap.indent(shown + more, '    ')}"
    trace = cell.traceback.rstrip()
    if not trace:
        return text
    return f"{text}\n\n{trace if coloured else _without_colours(trace)}"


def _without_colours(text: str) -> str:
    return re.sub(r"\033\[[0-9;]*m", "", text)
