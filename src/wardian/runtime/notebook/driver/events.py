"""What the driver tells the host: one JSON object a line, on a descriptor of its own.

`event` is one of `started`, `warning`, `begin`, `output`, `end`, `failed`, `saved`, `finished`. The host
reads them in wardian/runtime/notebook/events.py; both files change together.
"""

from __future__ import annotations

import json
import os
from typing import Any

# A line has to be read whole by the host; what a cell prints may have any length.
_LONGEST_TEXT = 65536


class DriverError(Exception):
    """Why a run failed. `kind` is a word for programs; `hint` is one imperative sentence or empty."""

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        hint: str = "",
        detail: str = "",
        cell: dict[str, Any] | None = None,
        status: int = 1,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint
        self.detail = detail
        self.cell = cell
        self.status = status


class Events:
    """Writes events to a descriptor, which no child process inherits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)  # PEP 446: the copy is not inheritable
        if descriptor == 1:
            os.dup2(2, 1)  # a stray print must not land between two events
        elif descriptor > 2:
            os.close(descriptor)

    def emit(self, event: str, **fields: Any) -> None:
        """Write one event. A host that no longer listens is no reason to lose the notebook."""
        line = memoryview(json.dumps({"event": event, **fields}).encode() + b"\n")
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            pass

    def output(self, number: int, stream: str, text: str) -> None:
        """Tell what cell `number` printed or displayed, in pieces that a line can hold."""
        for start in range(0, len(text), _LONGEST_TEXT):
            self.emit("output", number=number, stream=stream, text=text[start : start + _LONGEST_TEXT])

    def fail(self, failure: DriverError) -> None:
        """Tell why the run failed."""
        self.emit(
            "failed",
            kind=failure.kind,
            message=failure.message,
            hint=failure.hint,
            detail=failure.detail,
            cell=failure.cell,
        )
