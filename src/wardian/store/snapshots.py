"""Snapshots: built parts under their keys. A snapshot is complete when its folder is there."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from wardian.errors import StoreError

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
    """The snapshot of that key, if it has been built."""
    try:
        return Snapshot(**json.loads((store.snapshot(key) / "snapshot.json").read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"the snapshot {store.snapshot(key)} is damaged: {error}", hint=f"remove {store.snapshot(key)}"
        ) from error


def commit(store: Store, folder: Path, snapshot: Snapshot) -> None:
    """Make the finished `folder` the snapshot's, by rename; the caller holds the key's lock.

    What the disk has not written yet is lost with the power only: a snapshot whose record did not
    survive is not found, and is built again.
    """
    (folder / "snapshot.json").write_text(json.dumps(asdict(snapshot)))
    target = store.snapshot(snapshot.key)
    target.parent.mkdir(exist_ok=True)
    os.rename(folder, target)
