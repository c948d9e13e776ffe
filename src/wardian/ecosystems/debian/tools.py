"""The toolbox's packages, from the archives of its own suite for this host."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wardian.toolbox.toolbox import SUITE, Toolbox

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pysequoia import Cert

    from wardian.ecosystems.debian.archives import Archives
    from wardian.ecosystems.debian.index import Index
    from wardian.image.platform import Platform
    from wardian.project.configuration import Configuration
    from wardian.store.store import Store
    from wardian.system.http import Fetcher
    from wardian.system.progress import Progress


def ensure_toolbox(
    store: Store,
    fetcher: Fetcher,
    configuration: Configuration,
    host: Platform,
    *,
    index: Index | None = None,
    progress: Progress | None = None,
    certificates: Sequence[Cert] | None = None,
) -> Toolbox:
    """The toolbox for `host`; where it is not there yet, its packages are fetched and verified.

    `index` saves fetching the lists again where it is one of the toolbox's suite for `host`.
    Raises FetchError, VerificationError.
    """
    if found := Toolbox.find(store, host):
        return found
    from wardian.ecosystems.debian.archives import find_archives
    from wardian.ecosystems.debian.fetch import fetch
    from wardian.ecosystems.debian.refresh import refresh

    archives = find_archives(configuration, suite=SUITE, now=datetime.now(UTC))

    def debs(names: Sequence[str]) -> Iterator[Path]:
        usable = index if index is not None and _fits(index, host, archives) else None
        found = usable or refresh(
            store, fetcher, archives, host, progress=progress, certificates=certificates
        )
        packages = [found.package(name) for name in names]
        arriving = fetch(
            *(store, fetcher, archives, packages),
            releases=found.releases,
            progress=progress,
            title="toolbox",
        )
        for _, path in arriving:
            yield path

    return Toolbox.ensure(store, host, debs=debs, data=_open_data)


@contextlib.contextmanager
def _open_data(path: Path) -> Iterator[tarfile.TarFile]:
    from wardian.ecosystems.debian.deb import open_data

    with path.open("rb") as file, open_data(file, name=path.name) as archive:
        yield archive


def _fits(index: Index, host: Platform, archives: Archives) -> bool:
    suites = {release.suite for release in index.releases}
    return index.architecture == host.debian and archives.suite in suites
