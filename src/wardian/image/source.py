"""The files of an image that lies outside the store, as a folder or a tar archive: hostile, and bounded.

It knows neither layouts nor archives, only files by name; found.py and archive.py read them.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wardian.errors import HostError, ImageError
from wardian.image.decompress import PIECE
from wardian.image.descriptor import Descriptor, Digest
from wardian.image.library import match
from wardian.image.manifest import LARGEST
from wardian.image.members import Members, clean
from wardian.system import disk

if TYPE_CHECKING:
    from wardian.image.library import Library

# An image has at most a few hundred; the file system of a machine, packed, has many more.
_MOST_FILES = 10_000


class Source(Protocol):
    """Files by their names."""

    @property
    def what(self) -> str:
        """What errors call the whole."""

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""

    def size(self, name: str) -> int:
        """A file's bytes; raises ImageError where it is not there."""

    def document(self, name: str) -> bytes:
        """A file of JSON; raises ImageError where it is not there or too large to be one."""

    def pieces(self, name: str) -> Iterator[bytes]:
        """A file's bytes; raises ImageError."""

    def deliver(self, name: str, descriptor: Descriptor, library: Library) -> None:
        """Put the file into the store. Raises VerificationError where it is not what `descriptor` says."""


@dataclass(frozen=True, slots=True)
class FolderSource:
    """The files below a folder. Links are not followed, but for the folders on the way."""

    folder: Path

    @property
    def what(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def has(self, name: str) -> bool:
        """Whether there is a regular file of that name."""
        try:
            return stat.S_ISREG(self._path(name).lstat().st_mode)
        except OSError:
            return False

    def size(self, name: str) -> int:
        """A file's bytes; raises ImageError where it is not there."""
        try:
            return self._path(name).lstat().st_size
        except OSError as error:
            raise ImageError(f"{self.what}: {name} cannot be read: {error.strerror}") from error

    def document(self, name: str) -> bytes:
        """A file of JSON; raises ImageError where it is not there or too large to be one."""
        return bounded_document(self.pieces(name), f"{self.what}: {name}")

    def pieces(self, name: str) -> Iterator[bytes]:
        """A file's bytes; raises ImageError."""
        try:
            # A pipe would be waited for; for a regular file the flag means nothing.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(self._path(name), flags), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise ImageError(f"{self.what}: {name} is no file")
                while piece := file.read(PIECE):
                    yield piece
        except OSError as error:
            raise ImageError(f"{self.what}: {name} cannot be read: {error.strerror}") from error

    def deliver(self, name: str, descriptor: Descriptor, library: Library) -> None:
        """Copy the file into the store."""
        library.copy(self.pieces(name), descriptor, f"{self.what}: {name}")

    def _path(self, name: str) -> Path:
        return self.folder / clean(name, self.what)


class StagedSource:
    """The regular files of a tar archive, which `stage` has laid into a temporary folder of the store."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._files: dict[str, tuple[Path, Descriptor]] = {}

    @property
    def what(self) -> str:
        """What errors call the archive."""
        return self._what

    def has(self, name: str) -> bool:
        """Whether there was a regular file of that name."""
        return name in self._files

    def size(self, name: str) -> int:
        """A file's bytes; raises ImageError where it is not there."""
        return self._find(name)[1].size

    def document(self, name: str) -> bytes:
        """A file of JSON; raises ImageError where it is not there or too large to be one."""
        return bounded_document(self.pieces(name), f"{self.what}: {name}")

    def pieces(self, name: str) -> Iterator[bytes]:
        """A file's bytes; raises ImageError."""
        try:
            with open(self._find(name)[0], "rb") as file:
                while piece := file.read(PIECE):
                    yield piece
        except OSError as error:
            raise ImageError(f"{self.what}: {name} cannot be read: {error.strerror}") from error

    def deliver(self, name: str, descriptor: Descriptor, library: Library) -> None:
        """Move the file into the store."""
        path, found = self._find(name)
        match(found, descriptor, f"{self.what}: {name}")
        if not library.has(descriptor):
            library.adopt(path, descriptor)

    def stage(self, pieces: Iterable[bytes], folder: Path) -> None:
        """Lay the archive's files into `folder`. Raises ImageError for what no image has, HostError."""
        links: dict[str, str] = {}
        members = Members(pieces, self.what)
        for number, member in enumerate(members):
            name = clean(member.name, self.what)
            if member.isreg():
                self._add(name, _write(members, member, folder / str(number), self.what))
            elif member.issym():
                links[name] = clean_link(name, member.linkname, self.what)
            elif member.islnk():
                links[name] = clean(member.linkname, self.what)
            elif not member.isdir():
                raise ImageError(f"{self.what} is no image: its member {name[:200]!r} is a device or a pipe")
            if number >= _MOST_FILES:
                raise ImageError(f"{self.what} is no image: it has more than {_MOST_FILES} files")
        for name, target in links.items():  # as `docker save` once named a layer that two images share
            if target in self._files:
                self._add(name, self._files[target])

    def _add(self, name: str, file: tuple[Path, Descriptor]) -> None:
        if name in self._files and self._files[name][1] != file[1]:
            raise ImageError(f"{self.what} has two different files {name[:200]!r}")
        self._files[name] = file

    def _find(self, name: str) -> tuple[Path, Descriptor]:
        if name not in self._files:
            raise ImageError(f"{self.what} has no file {name[:200]!r}")
        return self._files[name]


def bounded_document(pieces: Iterable[bytes], what: str) -> bytes:
    """The whole of what cannot be large; raises ImageError where it is."""
    found = bytearray()
    for piece in pieces:
        found += piece
        if len(found) > LARGEST:
            raise ImageError(f"{what} has more than {LARGEST} bytes; such a document has fewer")
    return bytes(found)


def clean_link(name: str, target: str, what: str) -> str:
    """The path that the symbolic link `name` leads to; raises ImageError where that is outside."""
    path = os.path.normpath(os.path.join(os.path.dirname(name), target))
    if os.path.isabs(target) or path.startswith("../") or path == "..":
        raise ImageError(f"{what} has a link that leads out of it: {name[:200]!r}")
    return path


def _write(members: Members, member: tarfile.TarInfo, path: Path, what: str) -> tuple[Path, Descriptor]:
    if member.issparse():
        raise ImageError(f"{what} is no image: its member {member.name[:200]!r} has holes")
    if member.size > PIECE and not disk.has_room(path.parent, member.size):
        raise HostError(
            f"there is no room for {what}: its member {member.name[:200]!r} has {member.size} bytes",
            hint="free some space, for example by `wardian prune`, and try again",
        )
    digest = hashlib.sha256()
    try:
        with open(path, "xb") as file:
            for piece in members.content(member):
                digest.update(piece)
                file.write(piece)
    except OSError as error:
        raise HostError(f"cannot write {path}: {error.strerror}", hint="free some space") from error
    found = Digest(f"sha256:{digest.hexdigest()}")
    return path, Descriptor(media_type="", digest=found, size=member.size)
