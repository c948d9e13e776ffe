"""The Debian part of a lock: index, toolbox and solution put together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wardian.ecosystems.debian.archives import find_archives
from wardian.ecosystems.debian.index import Index
from wardian.ecosystems.debian.model import DebianLock
from wardian.ecosystems.debian.refresh import refresh
from wardian.ecosystems.debian.solve import solve
from wardian.ecosystems.debian.tools import ensure_toolbox
from wardian.errors import ResolveError
from wardian.system.progress import Silent
from wardian.toolbox.toolbox import SUITE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pysequoia import Cert

    from wardian.image.platform import Platform
    from wardian.project.configuration import Configuration
    from wardian.store.store import Store
    from wardian.system.http import Fetcher
    from wardian.system.progress import Progress
    from wardian.toolbox.toolbox import Toolbox

# What makes a Debian system out of packages: `apt-get install` works in it, certificates, the time zones
# and `locale` are there.
BASE_ROOTS = ("?essential", "?priority(required)", "apt", "ca-certificates", "libc-bin", "tzdata")


def resolve(
    store: Store,
    fetcher: Fetcher,
    configuration: Configuration,
    platform: Platform,
    *,
    suite: str,
    roots: Sequence[str],
    host: Platform,
    base_roots: Sequence[str] = BASE_ROOTS,
    keep: DebianLock | None = None,
    upgrade: bool | Collection[str] = False,
    as_of: datetime | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    certificates: Sequence[Cert] | None = None,
    now: datetime | None = None,
) -> DebianLock:
    """Lock `roots` and `base_roots` of `suite` for `platform`, which may be another than `host`.

    Without `as_of`, and where `upgrade` frees nothing, what `keep` locks is solved on the very lists that
    it was locked with, as long as the cache has them: nothing is fetched and nothing else changes.
    `certificates` stand in for the pinned ones, `now` for the clock.
    Raises SpecError, ResolveError, FetchError, VerificationError.
    """
    progress = progress or Silent()
    now = now or datetime.now(UTC)
    archives = find_archives(configuration, suite=suite, now=now)
    kept = keep if keep is not None and keep.suite == suite else None

    def toolbox(index: Index | None) -> Toolbox:
        return ensure_toolbox(
            *(store, fetcher, configuration, host), index=index, progress=progress, certificates=certificates
        )

    def solved(index: Index, tools: Toolbox) -> DebianLock:
        with progress.step("Debian packages resolved"):
            packages = solve(
                *(store, tools, index), roots=roots, base_roots=base_roots, keep=kept, upgrade=upgrade
            )
        return DebianLock(suite=suite, releases=index.releases, packages=packages)

    if kept is not None and not _frees(upgrade, kept) and as_of is None:
        index = Index.load(store, kept.releases, platform, certificates=certificates)
        if index is not None:
            try:
                return solved(index, toolbox(index))
            except ResolveError:
                if offline or fetcher.offline:
                    raise  # else the archive of today may have what that of then had not

    # The toolbox shares its lists with what is to be locked, or else is made meanwhile.
    shares = (suite, platform) == (SUITE, host) and as_of is None
    with ThreadPoolExecutor(1) as pool:
        meanwhile = None if shares else pool.submit(toolbox, None)
        index = refresh(
            *(store, fetcher, archives, platform),
            as_of=as_of,
            offline=offline,
            progress=progress,
            certificates=certificates,
            now=now,
        )
        return solved(index, meanwhile.result() if meanwhile else toolbox(index))


def _frees(upgrade: bool | Collection[str], kept: DebianLock) -> bool:
    """Whether `upgrade`, which may name packages of other ecosystems too, means anything here."""
    if isinstance(upgrade, bool):
        return upgrade
    return not {package.name for package in kept.packages}.isdisjoint(upgrade)
