"""The store's layout on disk ($WARDIAN_HOME), its locks and its temporary folders.

    version                 the layout's version
    content/sha256/ab/…     fetched files and images' blobs, named by their digest
    snapshots/KEY/          a built part: `root/` and `snapshot.json`; complete when that can be read
    images/ID.json          which snapshots make the image of a project folder
    layers/KEY.FORM.json    which blob a layer was packed into, by its recipe and its compression
    references/ID.json      an image's name, and the digest of its manifest or index (image/library.py)
    projects/ID/            what is remembered of a project folder, or of an image that was run by its name:
                            launch record, byte code, settings
    kept/ID/NAME/           writable roots that `--keep` keeps
    toolbox/KEY/            outside programs
    cache/NAME/             may be deleted at any time
    run/, temporary/        work in progress; each folder is locked by the process that owns it
    locks/NAME              flock(2) files; `use` says that something runs or is built (usage.py)

ID is a project folder's identity (api/warm.py) or that of an image's name (api/image_runs.py). The store is
made for its owner alone: launch records and apt's sources may hold what others should not read.

A folder appears under its final name by rename, so a process that dies leaves nothing half-made; what
it leaves in `temporary` and `run` is swept by later processes, which see that nobody holds its lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.errors import StoreError
from wardian.store import claims, usage
from wardian.system import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSION = 1


class Store:
    """One `$WARDIAN_HOME`. Any number of processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def open(cls, home: str | os.PathLike[str]) -> Store:
        """Open the store at `home`, making it if need be.

        Raises StoreError when it cannot be written, is damaged, or when a newer version of wardian wrote it.
        """
        root = Path(home)
        if ":" in str(root):
            # The toolbox's programs find their libraries by a list of folders that it separates (ld.so(8)).
            raise StoreError(
                f"the store cannot be {root}: its path has a colon",
                hint="set WARDIAN_HOME to a folder whose path has none",
            )
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_version(root)
        except OSError as error:
            raise StoreError(
                f"cannot use the store {root}: {error.strerror}",
                hint="set WARDIAN_HOME to a folder that you can write",
            ) from error
        return cls(root)

    def content(self, sha256: str) -> Path:
        """Where the file of that digest (64 hexadecimal digits) lies; it may not be there."""
        return self.root / "content/sha256" / sha256[:2] / sha256

    def contents(self) -> Path:
        """The folder of all that `content` names."""
        return self._folder("content/sha256")

    def cache(self, name: str) -> Path:
        """A folder that may vanish between two runs, made if need be."""
        return self._folder("cache", name)

    def toolbox(self) -> Path:
        """The folder of outside programs."""
        return self._folder("toolbox")

    def snapshot(self, key: str) -> Path:
        """Where the snapshot of that key lies; snapshots.py says whether it is complete."""
        return self.root / "snapshots" / key

    def images(self) -> Path:
        """The folder of all images' records."""
        return self._folder("images")

    def image(self, identity: str) -> Path:
        """The record of a project's image."""
        return self.images() / f"{identity}.json"

    def layers(self) -> Path:
        """The folder of all packed layers' records."""
        return self._folder("layers")

    def references(self) -> Path:
        """The folder of all images' names."""
        return self._folder("references")

    def project(self, identity: str) -> Path:
        """The folder of what is remembered of a project."""
        return self._folder("projects", identity)

    def kept(self, identity: str, name: str) -> Path:
        """The folder of a writable root that is kept."""
        return self.root / "kept" / identity / name

    @contextlib.contextmanager
    def lock(self, name: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the named lock. The kernel releases it when the process dies.

        Where another holds it, `waiting` is called, and the lock waited for.
        """
        descriptor = _lock_file(self._folder("locks") / name, waiting)
        try:
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def use(self, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Keep `prune` from what is in use while the block lasts; others may use it too.

        A pruning that is under way is waited for, after `waiting` is called.
        """
        self._folder("locks")
        descriptor = usage.shared(str(self.root), waiting)
        try:
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Have the store alone; raises StoreError while anything else uses it."""
        self._folder("locks")
        descriptor = usage.exclusive(str(self.root))
        if descriptor is None:
            raise StoreError(
                f"the store {self.root} is in use: a build or a run is under way",
                hint="wait for its end, and try again",
            )
        try:
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def temporary(self) -> Iterator[Path]:
        """A new folder on the store's file system, removed at the end with all that is left in it."""
        parent = self._folder("temporary")
        with claims.claimed(parent) as folder:
            yield Path(folder)

    def _folder(self, *names: str) -> Path:
        folder = self.root.joinpath(*names)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot make {folder}: {error.strerror}", hint="check the store's permissions and free space"
            ) from error
        return folder


def _check_version(root: Path) -> None:
    marker = root / "version"
    try:
        text = marker.read_bytes().strip()
    except FileNotFoundError:
        text = b""
    if not text:
        files.write_atomic(marker, f"{VERSION}\n")
    elif not re.fullmatch(rb"[0-9]{1,9}", text):
        raise StoreError(
            f"the store {root} is damaged: its file `version` holds no number",
            hint=f"write {VERSION} into {marker}, or set WARDIAN_HOME to another folder",
        )
    elif int(text) > VERSION:
        raise StoreError(
            f"the store {root} was written by a newer wardian (layout {int(text)}, this one knows {VERSION})",
            hint="upgrade wardian, or set WARDIAN_HOME to another folder",
        )


def _lock_file(path: Path, waiting: Callable[[], None] | None) -> int:
    """Lock a file, made if need be.

    A pruning may take it away between its making and its locking: then it is made again.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        os.close(descriptor)
