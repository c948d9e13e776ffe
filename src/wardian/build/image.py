"""Images as wardian keeps them: which layers, for whom, since when."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wardian.system import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wardian.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A layer of a finished build: what it is, and whether it was there already."""

    name: str
    key: str
    bytes: int
    seconds: float
    reused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One built image: its layers' keys from bottom to top, and the folder that it was built from.

    `beside` are the keys of what is built for it and not run: the workbench, byte code, what slim leaves.
    """

    key: str
    name: str
    platform: str
    layers: tuple[str, ...]
    beside: tuple[str, ...]
    project: str
    identity: str
    created: str


def image_key(layers: Sequence[str]) -> str:
    """The identity of an image: the hash of its layers' keys."""
    return hashlib.sha256("\n".join(layers).encode()).hexdigest()[:40]


def write_record(store: Store, record: Record) -> None:
    """Keep a record; that of the same project takes the place of an earlier one."""
    content = {name: getattr(record, name) for name in Record.__slots__}
    files.write_atomic(store.image(record.identity), json.dumps(content))


def read_records(store: Store) -> Iterator[tuple[Path, Record]]:
    """Every record with its file; what cannot be read is passed over."""
    for path in sorted(store.images().glob("*.json")):
        try:
            content = json.loads(path.read_text())
            keys = {name: tuple(content[name]) for name in ("layers", "beside")}
            yield path, Record(**{**content, **keys})
        except (OSError, ValueError, TypeError, KeyError):
            continue


def now() -> str:
    """The time of a record: RFC 3339 in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
