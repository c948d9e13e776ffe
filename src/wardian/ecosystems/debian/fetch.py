"""Bringing locked packages into the store, several at once, each as soon as it is there."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from wardian.errors import FetchError, VerificationError
from wardian.system.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wardian.ecosystems.debian.archives import Archives
    from wardian.ecosystems.debian.model import ArchiveRelease, DebianPackage
    from wardian.store.store import Store
    from wardian.system.http import Fetcher
    from wardian.system.progress import Progress, Step

# Connections to a host are bounded by the Fetcher; more threads would only wait.
_THREADS = 8


def fetch(
    store: Store,
    fetcher: Fetcher,
    archives: Archives,
    packages: Sequence[DebianPackage],
    *,
    releases: Sequence[ArchiveRelease],
    progress: Progress | None = None,
    title: str = "Debian packages",
) -> Iterator[tuple[DebianPackage, Path]]:
    """Each package with its verified `.deb` in the store, in the order in which they arrive.

    `title` is what the work is called to who watches. Those of lower stages are asked for first, large
    ones before small ones. A file that the mirror has no more is taken from the snapshot archive as of
    `releases`. To stop iterating stops the downloads.
    Raises FetchError, VerificationError, HostError.
    """
    missing = []
    for package in packages:
        if _is_there(path := store.content(package.sha256), package):
            yield package, path
        else:
            missing.append(package)
    if missing:
        times = _times(releases)
        yield from _download(store, fetcher, archives, missing, times, progress or Silent(), title)


class _StoppedError(Exception):
    """Another download failed, or nobody waits any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    store: Store
    fetcher: Fetcher
    archives: Archives
    times: dict[str, datetime]
    folder: Path
    step: Step
    stop: threading.Event

    def fetch(self, package: DebianPackage) -> tuple[DebianPackage, Path]:
        if self.stop.is_set():
            raise _StoppedError
        target = self.store.content(package.sha256)
        urls = self.archives.pool(package.archive, package.path, published=self.times.get(package.archive))
        try:
            # Not beside its target, where a process that is killed would leave it for ever.
            self.fetcher.download(
                urls,
                self.folder / package.sha256,
                sha256=package.sha256,
                size=package.size,
                advance=self._advance,
            )
        except (FetchError, VerificationError) as error:
            error.message = f"{package.name} {package.version}: {error.message}"
            error.args = (error.message,)
            raise
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / package.sha256).rename(target)
        return package, target

    def _advance(self, amount: int) -> None:
        self.step.advance(amount)
        if self.stop.is_set() and amount > 0:
            raise _StoppedError


def _download(
    store: Store,
    fetcher: Fetcher,
    archives: Archives,
    packages: Sequence[DebianPackage],
    times: dict[str, datetime],
    progress: Progress,
    title: str,
) -> Iterator[tuple[DebianPackage, Path]]:
    wanted: dict[str, list[DebianPackage]] = {}
    for package in sorted(packages, key=lambda package: (package.stage, -package.size)):
        wanted.setdefault(package.sha256, []).append(package)  # an edited lock may name a file twice
    total = sum(same[0].size for same in wanted.values())
    with (
        store.temporary() as folder,
        progress.step(title, total=total, unit="B") as step,
        ThreadPoolExecutor(_THREADS) as pool,
    ):
        work = _Work(
            store=store,
            fetcher=fetcher,
            archives=archives,
            times=times,
            folder=folder,
            step=step,
            stop=threading.Event(),
        )
        futures = [pool.submit(work.fetch, same[0]) for same in wanted.values()]
        try:
            for future in as_completed(futures):
                package, path = future.result()
                for same in wanted[package.sha256]:
                    yield same, path
        finally:
            work.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _is_there(path: Path, package: DebianPackage) -> bool:
    try:
        return path.stat().st_size == package.size
    except FileNotFoundError:
        return False


def _times(releases: Sequence[ArchiveRelease]) -> dict[str, datetime]:
    """When each archive was last published, of the releases that a lock was made from."""
    times: dict[str, datetime] = {}
    for release in releases:
        time = datetime.fromisoformat(release.time)
        times[release.archive] = max(time, times.get(release.archive, time))
    return times
