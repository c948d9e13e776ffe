"""The store's layout on disk ($WARDIAN_HOME), its locks and its temporary folders.

    version                 the layout's version
    content/sha256/ab/…     fetched files, named by their digest
    snapshots/KEY/          a built part: `root/` and `snapshot.json`; complete when it is there
    images/KEY.json         which snapshots make an image
    projects/ID/            what is remembered of a project folder: image, launch record, byte code
    kept/ID/NAME/           writable roots that `--keep` keeps
    toolbox/KEY/            outside programs
    cache/NAME/             may be deleted at any time
    run/, temporary/        work in progress; each folder is locked by the process that owns it
    locks/NAME              flock(2) files

A folder appears under its final name by rename, so a process that dies leaves nothing half-made; what
it leaves in `temporary` and `run` is swept by later processes, which see that nobody holds its lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.errors import StoreError
from wardian.store import claims
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

        Raises StoreError when it cannot be written, or when a newer version of wardian wrote it.
        """
        root = Path(home)
        if ":" in str(root):
            # The toolbox's programs find their libraries by a list of folders that it separates (ld.so(8)).
            raise StoreError(
                f"the store cannot be {root}: its path has a colon",
                hint="set WARDIAN_HOME to a folder whose path has none",
            )
        marker = root / "version"
        try:
            root.mkdir(parents=True, exist_ok=True)
            text = marker.read_text().strip() if marker.exists() else ""
        except OSError as error:
            raise StoreError(
                f"cannot use the store {root}: {error.strerror}",
                hint="set WARDIAN_HOME to a folder that you can write",
            ) from error
        if not text:
            files.write_atomic(marker, f"{VERSION}\n")
        elif not text.isdigit() or int(text) > VERSION:
            raise StoreError(
                f"the store {root} was written by a newer wardian (layout {text}, this one knows {VERSION})",
                hint="upgrade wardian, or set WARDIAN_HOME to another folder",
            )
        return cls(root)

    def content(self, sha256: str) -> Path:
        """Where the file of that digest (64 hexadecimal digits) lies; it may not be there."""
        return self.root / "content/sha256" / sha256[:2] / sha256

    def cache(self, name: str) -> Path:
        """A folder that may vanish between two runs, made if need be."""
        return self._folder("cache", name)

    def toolbox(self) -> Path:
        """The folder of outside programs."""
        return self._folder("toolbox")

    def snapshot(self, key: str) -> Path:
        """Where the snapshot of that key lies; it is complete when it is there."""
        return self.root / "snapshots" / key

    def image(self, key: str) -> Path:
        """The record of an image."""
        return self._folder("images") / f"{key}.json"

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
        descriptor = os.open(self._folder("locks") / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting:
                    waiting()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
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
