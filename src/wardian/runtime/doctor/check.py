"""The value that every check gives, and the one that stands for a check that was left out. Nothing else."""

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


def not_tried(name: str) -> Check:
    """The check of what needs the store, where that cannot be written: a check of its own says so."""
    message = "not tried, because the store's folder cannot be written"
    return Check(name=name, ok=None, message=message, hint="mend the store first")
