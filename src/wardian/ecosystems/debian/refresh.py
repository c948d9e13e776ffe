"""Fetching what archives have now, or had at some moment, and verifying all of it."""

from __future__ import annotations

import posixpath
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wardian.ecosystems.debian.decompress import COMPRESSIONS, unpack_list
from wardian.ecosystems.debian.index import Index, PackageList
from wardian.ecosystems.debian.lists import Lists, Seen
from wardian.ecosystems.debian.model import ArchiveRelease
from wardian.ecosystems.debian.release import check_release, list_packages, parse_release
from wardian.ecosystems.debian.signature import pinned_certificates, verify
from wardian.errors import FetchError, VerificationError
from wardian.system.connections import without_credentials
from wardian.system.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pysequoia import Cert

    from wardian.ecosystems.debian.archives import Archives
    from wardian.ecosystems.debian.release import Release
    from wardian.image.platform import Platform
    from wardian.store.store import Store
    from wardian.system.http import Fetcher, Response
    from wardian.system.progress import Progress, Step


def refresh(
    store: Store,
    fetcher: Fetcher,
    archives: Archives,
    platform: Platform,
    *,
    as_of: datetime | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    certificates: Sequence[Cert] | None = None,
    now: datetime | None = None,
) -> Index:
    """The index of `archives.suite`: signatures, dates, then every hash down the chain are verified.

    `as_of` asks the snapshot archive for the releases of that moment; `offline` takes the last ones that
    were seen. `certificates` stand in for the pinned ones. Raises FetchError, VerificationError.
    """
    with (progress or Silent()).step("package lists", unit="B") as step:
        refreshing = _Refreshing(
            store=store,
            lists=Lists(store),
            fetcher=fetcher,
            archives=archives,
            architecture=platform.debian,
            as_of=as_of,
            certificates=pinned_certificates() if certificates is None else certificates,
            now=now or datetime.now(UTC),
            step=step,
        )
        one = refreshing.kept if offline or fetcher.offline else refreshing.refresh
        with ThreadPoolExecutor(4) as pool:
            return Index(
                lists=list(pool.map(lambda pair: one(*pair), archives.releases)), architecture=platform.debian
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    """A release and the bytes that it was read from."""

    data: bytes
    release: Release


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refreshing:
    store: Store
    lists: Lists
    fetcher: Fetcher
    archives: Archives
    architecture: str
    as_of: datetime | None
    certificates: Sequence[Cert]
    now: datetime
    step: Step

    def refresh(self, archive: str, suite: str) -> PackageList:
        """The newest list of one suite, from the first address that serves it well."""
        failures: list[FetchError | VerificationError] = []
        for base in self.archives.bases(archive, as_of=self.as_of):
            try:
                return self._refresh(base, archive, suite)
            except (FetchError, VerificationError) as error:
                failures.append(error)
        raise failures[0]

    def kept(self, archive: str, suite: str) -> PackageList:
        """The last list that was seen."""
        seen = self.lists.seen(archive, suite, self.as_of)
        data = self.lists.release(seen.sha256) if seen else None
        if data is not None:
            verified = self._verify(data, suite, name=f"the kept release of {suite}", is_new=False)
            listed = list_packages(verified.release, self.architecture, name=suite)
            if path := self.lists.packages(listed):
                return self._list(verified, archive, suite, path)
        raise FetchError(
            f"the package lists of {suite} for {self.architecture} were never fetched; wardian is offline",
            hint="run it once without --offline",
        )

    def _refresh(self, base: str, archive: str, suite: str) -> PackageList:
        url = f"{base}dists/{suite}/InRelease"
        seen = self.lists.seen(archive, suite, self.as_of)
        kept = self.lists.release(seen.sha256) if seen else None
        response = self.fetcher.get(url, headers=_conditions(seen, url) if kept else {})
        data = kept if response.status == 304 and kept else response.body
        verified = self._newer(self._verify(data, suite, name=without_credentials(url)), kept, suite)
        path = self._packages(f"{base}dists/{suite}/", verified.release, name=without_credentials(url))
        sha256 = self.lists.keep_release(verified.data)
        self.lists.keep_seen(archive, suite, self.as_of, _seen(url, sha256, response, seen))
        return self._list(verified, archive, suite, path)

    def _verify(self, data: bytes, suite: str, *, name: str, is_new: bool = True) -> _Verified:
        release = parse_release(verify(data, self.certificates, name=name), name=name)
        now = self.now if is_new and self.as_of is None else None
        check_release(release, suite=suite, now=now, name=name)
        if self.as_of is not None and release.date > self.as_of:
            raise VerificationError(
                f"{name} is dated {release.date:%Y-%m-%d %H:%M}, after the moment asked for"
            )
        return _Verified(data=data, release=release)

    def _newer(self, verified: _Verified, kept: bytes | None, suite: str) -> _Verified:
        """Never step back behind a release that was seen: an old one may hide security updates."""
        if kept is None or kept == verified.data or self.as_of is not None:
            return verified
        last = self._verify(kept, suite, name=f"the kept release of {suite}", is_new=False)
        return last if last.release.date > verified.release.date else verified

    def _packages(self, folder: str, release: Release, *, name: str) -> Path:
        listed = list_packages(release, self.architecture, name=name)
        if kept := self.lists.packages(listed):
            return kept
        target = self.lists.packages_path(listed)
        with self.store.temporary() as temporary:
            kind = self._download(folder, release, temporary / "packed", name)
            unpack_list(
                temporary / "packed",
                kind,
                temporary / "plain",
                listed,
                name=without_credentials(f"{folder}{listed.path}{kind}"),
            )
            (temporary / "plain").rename(target)
        return target

    def _download(self, folder: str, release: Release, target: Path, name: str) -> str:
        """Fetch the Packages file in the best compression there is, which is returned."""
        plain = list_packages(release, self.architecture, name=name).path
        kind = next(kind for kind in COMPRESSIONS if plain + kind in release.files)
        listed = release.files[plain + kind]
        urls = [f"{folder}{listed.path}"]
        if release.by_hash:  # stays what it is while the mirror is being updated
            urls.insert(0, f"{folder}{posixpath.dirname(plain)}/by-hash/SHA256/{listed.sha256}")
        self.fetcher.download(urls, target, sha256=listed.sha256, size=listed.size, advance=self.step.advance)
        return kind

    def _list(self, verified: _Verified, archive: str, suite: str, path: Path) -> PackageList:
        import hashlib

        release = ArchiveRelease(
            archive=archive,
            suite=suite,
            sha256=hashlib.sha256(verified.data).hexdigest(),
            time=verified.release.date.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        return PackageList(release=release, path=path, sha256=path.name)


def _conditions(seen: Seen | None, url: str) -> dict[str, str]:
    """Headers that ask for an answer only if it differs from what was seen (RFC 9110, 13.1)."""
    if seen is None or seen.url != without_credentials(url):
        return {}
    conditions = {"If-None-Match": seen.etag, "If-Modified-Since": seen.modified}
    return {name: value for name, value in conditions.items() if value}


def _seen(url: str, sha256: str, response: Response, before: Seen | None) -> Seen:
    if response.status == 304 and before is not None:
        return before
    return Seen(
        url=without_credentials(url),
        sha256=sha256,
        etag=response.headers.get("etag", ""),
        modified=response.headers.get("last-modified", ""),
    )
