"""Snapshots: built parts under their keys. A snapshot is complete when its record can be read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from wardian.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is known of a built part. `bytes` is what its files hold, `seconds` what building it took."""

    name: str
    key: str
    bytes: int
    seconds: float


def find(store: Store, key: str) -> Snapshot | None:
    """The snapshot of that key, if it has been built.

    One whose record is gone, empty or unreadable, as a loss of power leaves it, counts as not built.
    """
    try:
        return Snapshot(**json.loads((store.snapshot(key) / "snapshot.json").read_bytes()))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None


def commit(store: Store, folder: Path, snapshot: Snapshot) -> None:
    """Make the finished `folder` the snapshot's, by rename; the caller holds the key's lock.

    What the disk has not written yet is lost with the power only: a snapshot whose record did not
    survive is not found, and is built again. What is left of it makes room here.
    """
    (folder / "snapshot.json").write_text(json.dumps(asdict(snapshot)))
    target = store.snapshot(snapshot.key)
    target.parent.mkdir(exist_ok=True)
    if os.path.lexists(target):
        with store.temporary() as aside:
            os.rename(target, aside / "incomplete")
            os.rename(folder, target)
    else:
        os.rename(folder, target)
