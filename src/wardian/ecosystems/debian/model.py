"""What a lock says of Debian packages. Pure data: no address, no path of this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPackage:
    """One `.deb`, as an archive's Packages index describes it (Debian policy, chapter 5).

    `path` is the pool path (`Filename`), relative to the archive's root. `archive` is the name of the
    archive that lists it. `stage` says in which round it is configured: 0 is the base, later rounds
    hold what was added to the lock later, so that earlier rounds stand as they are (but see
    `relations.LARGEST_STAGE`).
    """

    name: str
    version: str
    architecture: str
    archive: str
    path: str
    size: int
    sha256: str
    stage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRelease:
    """One `InRelease` that a solution was made from. `time` is its `Date`, RFC 3339 in UTC."""

    archive: str
    suite: str
    sha256: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianLock:
    """The Debian part of a lock for one platform; `packages` in name order."""

    suite: str
    releases: tuple[ArchiveRelease, ...]
    packages: tuple[DebianPackage, ...]
