"""Pruning: what no image needs any more is deleted. Nothing is lost but time, and with `--all` kept roots.

Images are those that were built for a project, and those that have a name (image_pruning.py).

It has the store alone: what runs or is built at this moment is in use, whatever the records say.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.api import image_pruning, warm
from wardian.build import image as records
from wardian.store import claims
from wardian.store.store import Store
from wardian.system import files, variables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wardian.api.image_pruning import Needed
    from wardian.build.image import Record
    from wardian.image.kept import Kept


_CACHE_AGE = 30 * 86400  # seconds; a lock that is older is solved on new lists
_AGEING = {"apt": "package lists", "lists": "package lists", "partial": "unfinished download"}


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
    home: str | Path | None = None,
    *,
    everything: bool = False,
    older_than: float | None = None,
    dry_run: bool = False,
) -> Report:
    """Delete images of projects that are gone, the parts and blobs that no image uses, and old lists.

    `home` is the store ($WARDIAN_HOME). `older_than` (seconds) also takes images that were not used for
    so long, pulled and loaded ones too, and packages that were fetched so long ago; else fetched packages
    go when no project's image is left. `everything` takes all. Roots that runs kept (`--keep`) hold
    people's work: `everything` alone takes them, and `older_than` those of projects that are gone. Raises
    StoreError, also while anything is built or run.
    """
    store = Store.open(home or variables.home(os.environ))
    wish = _Wish(everything=everything, older_than=older_than)
    if dry_run:
        return Report(removed=tuple(_unneeded(store, wish)))
    with store.exclusive():
        removed = tuple(_unneeded(store, wish))
        with store.temporary() as folder:
            for number, item in enumerate(removed):
                _remove(item.path, folder / str(number))
        for name in ("run", "temporary"):
            claims.sweep(store.root / name)
        _remove_locks(store)
    return Report(removed=removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    everything: bool
    older_than: float | None

    def takes_image(self, store: Store, record: Record) -> bool:
        if self.everything:
            return True
        is_old = self.older_than is not None and time.time() - _last_used(store, record) > self.older_than
        if not _is_gone(record.project):
            return is_old
        # Kept roots need their image's record: it tells whose they are.
        return is_old or not _folders(store.root / "kept" / record.identity)

    def takes_name(self, images: _Images, path: Path, kept: Kept) -> bool:
        """Whether an image's name goes: that of a built one with its project's image."""
        if self.everything:
            return True
        if kept.origin == "built":
            # Scripts with an environment of their own have records of their own, which say nothing of it.
            return _is_gone(kept.project) or warm.identify(kept.project) in images.identities
        return self.is_old(path)

    def is_old(self, path: Path) -> bool:
        """Whether a file was written so long ago that it goes."""
        return self.older_than is not None and time.time() - path.stat().st_mtime > self.older_than

    def takes_kept(self, record: Record | None) -> bool:
        """Whether an image's kept roots go with it; of those without a record nothing is known."""
        if self.everything:
            return True
        return self.older_than is not None and record is not None and _is_gone(record.project)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Images:
    """The images' records: those that go, with their identities, those that stay, and what cannot be read."""

    going: dict[Path, Record]
    identities: frozenset[str]
    staying: tuple[Record, ...]
    unreadable: tuple[Path, ...]

    @classmethod
    def read(cls, store: Store, wish: _Wish) -> _Images:
        found = dict(records.read_records(store))
        going = {path: record for path, record in found.items() if wish.takes_image(store, record)}
        return cls(
            going=going,
            identities=frozenset(record.identity for record in going.values()),
            staying=tuple(record for path, record in found.items() if path not in going),
            unreadable=tuple(path for path in sorted(store.images().glob("*.json")) if path not in found),
        )


def _unneeded(store: Store, wish: _Wish) -> Iterator[Item]:
    images = _Images.read(store, wish)
    for path, record in images.going.items():
        yield _item(f"image {record.name} of {record.project}", path)
    for path in images.unreadable if wish.everything else ():
        yield _item(f"unreadable record {path.stem}", path)
    names = image_pruning.Names.read(store, lambda path, kept: wish.takes_name(images, path, kept))
    for path, name in names.going.items():
        yield _item(f"name {name.name.familiar} of a {name.origin} image", path)
    for path in names.unreadable if wish.everything else ():
        yield _item(f"unreadable name {path.stem}", path)
    kept = [folder for folder in _folders(store.root / "kept") if not _takes_kept(wish, images, folder.name)]
    used = set(image_pruning.launched(store, names)) | _remembered(wish, images)
    yield from _projects(store, used, {folder.name for folder in kept})
    # What cannot be read may need any part.
    if wish.everything or not (names.unreadable or images.unreadable):
        needed = image_pruning.Needed.by(store, names)
        yield from _snapshots(store, images, kept, needed)
        yield from _blobs(store, needed, wish) if images.staying else _downloads(store, needed)
        for path in image_pruning.forgotten_layers(store, needed):
            yield _item(f"record of the packed layer {path.stem[:12]}", path)
    if images.staying or images.unreadable:
        yield from _old_cache(store)
    if wish.everything:
        for folder in _folders(store.root / "toolbox"):
            yield _item(f"toolbox {folder.name}", folder)


def _takes_kept(wish: _Wish, images: _Images, identity: str) -> bool:
    going = {record.identity: record for record in images.going.values()}
    return wish.takes_kept(going.get(identity))


def _remembered(wish: _Wish, images: _Images) -> set[str]:
    """The identities of projects whose image stays."""
    used = {record.identity for record in images.staying}
    if not wish.everything:
        used |= {path.stem for path in images.unreadable}
    return used


def _projects(store: Store, used: set[str], kept: set[str]) -> Iterator[Item]:
    for folder in _folders(store.root / "projects"):
        if folder.name not in used:
            yield _item(f"byte code and settings of {folder.name}", folder)
    for folder in _folders(store.root / "kept"):
        if folder.name not in kept:
            yield _item(f"kept roots of {folder.name}", folder)


def _snapshots(store: Store, images: _Images, kept: list[Path], needed: Needed) -> Iterator[Item]:
    keys = {key for record in images.staying for key in (*record.layers, *record.beside)}
    try:
        keys |= {Path(layer).parent.name for folder in kept for layer in _kept_layers(folder)}
    except (OSError, ValueError, TypeError, RecursionError):
        return  # what cannot be read may need any part
    for folder in _folders(store.root / "snapshots"):
        if folder.name not in keys | needed.snapshots:
            yield _item(f"part {folder.name[:12]}", folder)


def _kept_layers(folder: Path) -> Iterator[str]:
    for path in folder.glob("*/layers.json"):
        yield from map(str, json.loads(path.read_bytes()))


def _blobs(store: Store, needed: Needed, wish: _Wish) -> Iterator[Item]:
    orphans = {path: name for name, path in image_pruning.orphans(store, needed)}
    # Else what was fetched stays with the images: their projects' next build may want it.
    for path in sorted(store.contents().glob("??/*")) if wish.older_than is not None else ():
        if path.name not in needed.blobs and path not in orphans and wish.is_old(path):
            yield _item(f"download {path.name[:12]}", path)
    for path, name in orphans.items():
        yield _item(name, path)


def _downloads(store: Store, needed: Needed) -> Iterator[Item]:
    """Fetched packages, which serve later builds of the same versions until no project's image is left."""
    if not needed.blobs:
        for folder in _folders(store.root / "content"):
            yield _item(f"downloads in content/{folder.name}", folder)
    for path in sorted(store.contents().glob("??/*")) if needed.blobs else ():
        if path.name not in needed.blobs:
            yield _item(f"download {path.name[:12]}", path)
    for folder in _folders(store.root / "cache"):
        yield _item(f"downloads in cache/{folder.name}", folder)


def _old_cache(store: Store) -> Iterator[Item]:
    """What is of no use when it is old: every day brings new lists, and a broken pull is soon tried again."""
    for name, what in _AGEING.items():
        for path in sorted((store.root / "cache" / name).glob("*")):
            if time.time() - path.lstat().st_mtime > _CACHE_AGE:
                yield _item(f"{what} in cache/{name}", path)


def _is_gone(folder: str) -> bool:
    """Whether a project's folder is no more. One that cannot be looked at may be there."""
    try:
        return not stat.S_ISDIR(os.stat(folder).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def _last_used(store: Store, record: Record) -> float:
    # Every run sets the time of its launch record (api/warm.py).
    path = store.root / "projects" / record.identity / "launch.json"
    return path.stat().st_mtime if path.exists() else 0.0


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _item(name: str, path: Path) -> Item:
    size = files.tree_bytes(path) if path.is_dir() else path.lstat().st_size
    return Item(name=name, path=path, bytes=size)


def _remove(path: Path, aside: Path) -> None:
    """Remove by rename first, so that a process that dies here leaves no half of it."""
    with contextlib.suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            path.rename(aside)
            files.remove_tree(aside)
        else:
            path.unlink()


def _remove_locks(store: Store) -> None:
    """Remove the locks of what is no more, unless somebody holds one; `Store.lock` makes them anew."""
    there = {folder.name for folder in _folders(store.root / "snapshots")}
    for path in (store.root / "locks").iterdir():
        if path.name == "use" or path.name in there:
            continue
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
