"""Writes the record of a configured stage's contents: the one place where its parts come together."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.ecosystems.debian import contents
from wardian.ecosystems.debian.changes import Configured, find_changes
from wardian.ecosystems.debian.originals import keep_originals
from wardian.runtime import owners

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wardian.ecosystems.debian.record import Record

_SECOND = 1_000_000_000
# What a clock may be corrected by without being set: 500 parts in a million (adjtimex(2)), generously.
_DRIFT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A moment by the file system's clock, in nanoseconds, and by one that nobody sets, in seconds."""

    stamp: int
    monotonic: float

    @classmethod
    def now(cls, folder: Path) -> Moment:
        """The moment as a file made in `folder` has it."""
        path = folder / f"moment-{os.urandom(6).hex()}"
        path.touch()
        stamp = path.stat().st_ctime_ns
        path.unlink()
        return cls(stamp=stamp, monotonic=time.monotonic())

    def dividing(self, later: Moment) -> int:
        """This moment, if it divides what was touched before from what was touched between it and `later`.

        0 where it does not: on file systems that keep whole seconds, and where the clock was set back.
        """
        elapsed = (later.stamp - self.stamp) / _SECOND
        whole = self.stamp % _SECOND == 0
        slow = elapsed < (later.monotonic - self.monotonic) * (1 - _DRIFT) - 0.02  # ticks of both clocks
        return 0 if whole or slow else self.stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A configured stage: what is below `folder` becomes a snapshot upon those of `below`.

    `links` is the file of owners that runtime/owners.py wrote, `unpacked` the end of unpacking; `content` is
    where the packages lie; `docs` says that documentation is kept.
    """

    folder: Path
    below: Sequence[Path]
    records: Sequence[Record]
    links: Path
    unpacked: Moment
    content: Path
    docs: bool


def record_contents(stage: Stage) -> int:
    """Write a stage's record beside its root; returns the bytes that its files hold.

    Raises BuildError, HostError, VerificationError.
    """
    changes = find_changes(
        Configured(
            root=stage.folder / "root",
            records=stage.records,
            below=[contents.read(path, root=number) for number, path in enumerate(stage.below)],
            snapshots=stage.below,
            links=owners.read_links(str(stage.links)),
            unpacked=stage.unpacked.dividing(Moment.now(stage.folder)),
        )
    )
    packages = keep_originals(
        [record.package for record in stage.records],
        changes.lost,
        content=stage.content,
        folder=stage.folder,
        docs=stage.docs,
    )
    contents.write(stage.folder, contents.Contents(packages=packages, changes=changes.entries))
    return changes.bytes
