"""The verified index of a suite for one architecture: what can be installed, with hashes.

It looks up; refresh.py fetches, solve.py decides.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from wardian.ecosystems.debian import near
from wardian.ecosystems.debian.lists import Lists
from wardian.ecosystems.debian.model import DebianPackage
from wardian.ecosystems.debian.packages import PackagesFile
from wardian.ecosystems.debian.release import check_release, list_packages, parse_release
from wardian.ecosystems.debian.signature import pinned_certificates, verify
from wardian.ecosystems.debian.versions import DebianVersion
from wardian.errors import ResolveError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pysequoia import Cert

    from wardian.ecosystems.debian.model import ArchiveRelease
    from wardian.ecosystems.debian.packages import Stanza
    from wardian.image.platform import Platform
    from wardian.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageList:
    """The packages of one release: its Packages file, uncompressed, at `path`."""

    release: ArchiveRelease
    path: Path
    sha256: str


class Index:
    """Several releases as one. Looks up stanzas; decides nothing."""

    def __init__(self, *, lists: Sequence[PackageList], architecture: str) -> None:
        self.lists = tuple(lists)
        self.architecture = architecture

    @classmethod
    def load(
        cls,
        store: Store,
        releases: Sequence[ArchiveRelease],
        platform: Platform,
        *,
        certificates: Sequence[Cert] | None = None,
    ) -> Index | None:
        """The index of exactly these releases if the cache still has all of it, else None."""
        trusted = pinned_certificates() if certificates is None else certificates
        kept = Lists(store)
        found = []
        for release in releases:
            data = kept.release(release.sha256)
            if data is None:
                return None
            name = f"the kept release of {release.suite}"
            parsed = parse_release(verify(data, trusted, name=name), name=name)
            check_release(parsed, suite=release.suite, now=None, name=name)
            listed = list_packages(parsed, platform.debian, name=name)
            path = kept.packages(listed)
            if path is None:
                return None
            found.append(PackageList(release=release, path=path, sha256=listed.sha256))
        return cls(lists=found, architecture=platform.debian)

    @property
    def releases(self) -> tuple[ArchiveRelease, ...]:
        """What this index was made from."""
        return tuple(item.release for item in self.lists)

    @property
    def key(self) -> str:
        """A digest of all that can be looked up here."""
        parts = [self.architecture, *(f"{item.release.archive} {item.sha256}" for item in self.lists)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @cached_property
    def _files(self) -> tuple[PackagesFile, ...]:
        return tuple(PackagesFile(item.path) for item in self.lists)

    def stanza(self, name: str, version: str | None = None) -> Stanza | None:
        """The stanza of a package in that version, else in the newest; None when it is not there."""
        found = [stanza for _, stanza in self._find(name, version)]
        return max(found, key=lambda stanza: DebianVersion(stanza["Version"]), default=None)

    def package(self, name: str, version: str | None = None, *, stage: int = 0) -> DebianPackage:
        """What a lock says of a package; raises ResolveError when the index has none such."""
        found = list(self._find(name, version))
        if not found:
            wanted = f"{name} {version}" if version else name
            raise ResolveError(f"no Debian package {wanted} in {self.title}")
        # Where two archives list the same version, it is the same file: the first in order is named.
        release, stanza = max(found, key=lambda pair: DebianVersion(pair[1]["Version"]))
        return _package(release, stanza, stage)

    def versions(self, name: str) -> tuple[str, ...]:
        """The versions of a package, oldest first."""
        found = {stanza["Version"] for _, stanza in self._find(name, None)}
        return tuple(sorted(found, key=DebianVersion))

    def providers(self, name: str) -> tuple[str, ...]:
        """The packages that provide the virtual package `name`."""
        return tuple(sorted({stanza["Package"] for file in self._files for stanza in file.providers(name)}))

    def near(self, name: str) -> tuple[str, ...]:
        """Up to five names that `name` may have been meant to be, likeliest first."""
        return near.find(name, {known for file in self._files for known in file.names()})

    def _find(self, name: str, version: str | None) -> Iterator[tuple[ArchiveRelease, Stanza]]:
        for item, file in zip(self.lists, self._files, strict=True):
            for stanza in file.stanzas(name):
                if version is None or stanza["Version"] == version:
                    yield item.release, stanza

    @property
    def title(self) -> str:
        """The suites and the architecture, for messages."""
        return f"{', '.join(item.release.suite for item in self.lists)} for {self.architecture}"


def _package(release: ArchiveRelease, stanza: Stanza, stage: int) -> DebianPackage:
    try:
        return DebianPackage(
            name=stanza["Package"],
            version=stanza["Version"],
            architecture=stanza["Architecture"],
            archive=release.archive,
            path=stanza["Filename"],
            size=int(stanza["Size"]),
            sha256=stanza["SHA256"],
            stage=stage,
        )
    except (KeyError, ValueError) as error:
        name = stanza.get("Package")
        raise VerificationError(f"the index of {release.suite} describes {name} wrongly: {error}") from error
