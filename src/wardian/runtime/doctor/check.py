"""The value that every check gives. Nothing else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that building or running needs.

    `ok` is True, False, or None for a warning: it works, but something will be slow or missing.
    `message` says what was found; `hint`, of a check that is not ok, the one next step.
    """

    name: str
    ok: bool | None
    message: str
    hint: str | None = None
