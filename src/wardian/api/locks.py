"""A lock as users see it: the file, what it covers, and what changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wardian.image.platform import Platform
from wardian.lock import model
from wardian.lock.model import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A project's lock file. `changes` are the versions that the call that returned it changed.

    `written` says whether it wrote the file: hashes, times and the workbench change without versions.
    """

    path: Path
    content: model.Lock
    changes: tuple[Change, ...]
    written: bool

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """The platforms that are locked, in name order."""
        return tuple(part.platform for part in self.content.platforms)


__all__ = ["Change", "Lock"]
