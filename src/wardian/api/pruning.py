"""Pruning: what no image needs any more is deleted. Nothing is lost but time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.build import image as records
from wardian.store import claims
from wardian.store.store import Store
from wardian.system import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wardian.build.image import Record


_LISTS_AGE = 30 * 86400  # seconds; a lock that is older is solved on new lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something that was deleted, or would be: what it is, and its bytes on the disk."""

    name: str
    path: Path
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a pruning removed."""

    removed: tuple[Item, ...]

    @property
    def bytes(self) -> int:
        """All that was freed."""
        return sum(item.bytes for item in self.removed)


def prune(
    home: str | Path, *, everything: bool = False, older_than: float | None = None, dry_run: bool = False
) -> Report:
    """Delete images of projects that are gone, and the parts and downloads that no image uses.

    `older_than` (seconds) also takes images that were not used for so long, `everything` takes all. Parts
    that a build holds at this moment are left. Raises StoreError.
    """
    store = Store.open(home)
    stale = [item for item in _images(store) if everything or _is_stale(store, item[1], older_than)]
    paths = {path for path, _ in stale}
    used = [record for path, record in records.read_records(store) if path not in paths]
    removed = [
        *_listed(stale),
        *_unused_projects(store, used),
        *_unused_snapshots(store, used),
        *_downloads(store, everything=everything, used=used),
        *_toolboxes(store, everything=everything),
    ]
    if not dry_run:
        for item in removed:
            _remove(store, item)
        for name in ("run", "temporary"):
            claims.sweep(store.root / name)
    return Report(removed=tuple(removed))


def _images(store: Store) -> list[tuple[Path, Record]]:
    return list(records.read_records(store))


def _is_stale(store: Store, record: Record, older_than: float | None) -> bool:
    if not Path(record.project).is_dir():
        return True
    return older_than is not None and time.time() - _last_used(store, record) > older_than


def _last_used(store: Store, record: Record) -> float:
    # Every run sets the time of its launch record (api/warm.py).
    path = store.root / "projects" / record.identity / "launch.json"
    return path.stat().st_mtime if path.exists() else 0.0


def _listed(stale: list[tuple[Path, Record]]) -> Iterator[Item]:
    for path, record in stale:
        yield Item(name=f"image {record.name} of {record.project}", path=path, bytes=path.stat().st_size)


def _unused_projects(store: Store, used: list[Record]) -> Iterator[Item]:
    known = {record.identity for record in used}
    for parent in ("projects", "kept"):
        for folder in _folders(store.root / parent):
            if folder.name not in known:
                what = "byte code and settings" if parent == "projects" else "kept roots"
                yield _item(f"{what} of {folder.name}", folder)


def _unused_snapshots(store: Store, used: list[Record]) -> Iterator[Item]:
    needed = {key for record in used for key in (*record.layers, record.workbench)}
    needed |= {Path(layer).parent.name for layer in _kept_layers(store, used)}
    for folder in _folders(store.root / "snapshots"):
        if folder.name not in needed:
            yield _item(f"part {folder.name[:12]}", folder)


def _kept_layers(store: Store, used: list[Record]) -> Iterator[str]:
    import json

    for record in used:
        for path in (store.root / "kept" / record.identity).glob("*/layers.json"):
            yield from json.loads(path.read_text())


def _downloads(store: Store, *, everything: bool, used: list[Record]) -> Iterator[Item]:
    """Fetched packages serve later builds of the same versions; they go when no image is left or all go.

    Lists of Debian packages, of which every day brings new ones, go when they are old.
    """
    if everything or not used:
        for name in ("content", "cache"):
            for folder in _folders(store.root / name):
                yield _item(f"downloads in {name}/{folder.name}", folder)
        return
    for name in ("apt", "lists"):
        for path in sorted((store.root / "cache" / name).glob("*")):
            if time.time() - path.stat().st_mtime > _LISTS_AGE:
                yield _item(f"package lists in cache/{name}", path)


def _toolboxes(store: Store, *, everything: bool) -> Iterator[Item]:
    if everything:
        for folder in _folders(store.root / "toolbox"):
            yield _item(f"toolbox {folder.name}", folder)


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _item(name: str, path: Path) -> Item:
    size = files.tree_bytes(path) if path.is_dir() else path.stat().st_size
    return Item(name=name, path=path, bytes=size)


def _remove(store: Store, item: Item) -> None:
    """Remove by rename first, so that nobody ever finds half of it."""
    if not item.path.is_dir():
        item.path.unlink(missing_ok=True)
        return
    with store.lock(item.path.name), store.temporary() as folder:
        if item.path.exists():
            item.path.rename(folder / item.path.name)
