"""The cell at which a notebook failed, as it is shown above the error. Pure."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from wardian.cli.render import plain

if TYPE_CHECKING:
    from wardian import FailedCell, NotebookError

_COLOUR = re.compile(r"(\033\[[0-9;]*m)")  # SGR of ECMA-48
_NO_COLOUR = "\033[0m"
_CUT_COLOUR = re.compile(r"\033[^m]*\Z")
LINES_SHOWN = 40  # of a cell's source: more pushes the traceback off the screen
# Of a line, and of a traceback: an exception's text may be a table of megabytes, and code may hold an image.
LINE_SHOWN = 1000
TRACE_SHOWN = 20_000


def show_failure(error: NotebookError, *, coloured: bool) -> str:
    """The failing cell, its traceback and what was saved, each as far as it is known."""
    parts = [_cell(error.cell, coloured=coloured)] if error.cell else []
    if error.detail:
        parts.append(_shown(error.detail.strip(), coloured=coloured))
    if saved := [str(path) for path in (error.executed, error.page) if path]:
        parts.append(plain(f"saved as far as it ran: {', '.join(saved)}"))
    return "\n\n".join(parts)


def _cell(cell: FailedCell, *, coloured: bool) -> str:
    lines = cell.source.splitlines()
    shown = "\n".join(map(_cut, lines[:LINES_SHOWN]))
    rest = len(lines) - LINES_SHOWN
    more = f"\n... {rest} more lines" if rest > 0 else ""
    text = f"cell {cell.number} of {cell.count}:\n\n{textwrap.indent(plain(shown + more), '    ')}"
    trace = _end_of(cell.traceback.rstrip())
    if not trace:
        return text
    return f"{text}\n\n{_shown(trace, coloured=coloured)}"


def _end_of(trace: str) -> str:
    """A traceback's last lines, where it is long, and a line that says so."""
    shown = "\n".join(map(_cut, trace.split("\n")))
    if len(shown) > TRACE_SHOWN:
        shown = shown[-TRACE_SHOWN:].partition("\n")[2]
    more = "\n... shortened: the whole is in the saved notebook"
    return shown if shown == trace else shown + more


def _cut(line: str) -> str:
    if len(line) <= LINE_SHOWN:
        return line
    kept = _CUT_COLOUR.sub("", line[:LINE_SHOWN])
    return f"{kept} …" + (_NO_COLOUR if "\033" in kept else "")


def _shown(text: str, *, coloured: bool) -> str:
    """Text from a notebook, with its colours or without, and without any other command to a terminal."""
    parts = _COLOUR.split(text)
    parts[::2] = map(plain, parts[::2])
    if not coloured:
        return "".join(parts[::2])
    return "".join(parts) + (_NO_COLOUR if parts[1:] else "")
