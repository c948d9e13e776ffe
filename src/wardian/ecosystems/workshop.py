"""What locking and building work with on this machine: archives, indexes, outside programs.

Everything is made when it is first needed, once, whichever thread asks.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from wardian.ecosystems.debian.archives import Archives, find_archives
from wardian.ecosystems.debian.suites import SUITES
from wardian.ecosystems.debian.tools import ensure_toolbox
from wardian.ecosystems.python.prefetch import prefetch
from wardian.ecosystems.python.program import Uv, open_uv
from wardian.ecosystems.python.pylock import Target
from wardian.image.platform import Platform
from wardian.project.configuration import Configuration, read_configuration
from wardian.system.http import Fetcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from wardian.ecosystems.python.model import PythonPackage
    from wardian.store.store import Store
    from wardian.system.progress import Progress
    from wardian.toolbox.toolbox import Toolbox

_T = TypeVar("_T")

# Beside a built environment: the digests of the files that were installed, a line each.
FILES = "files.txt"


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """The store, the network and the programs, as configured in `environment`."""

    store: Store
    environment: Mapping[str, str]
    progress: Progress
    offline: bool
    _once: threading.RLock = field(default_factory=threading.RLock)
    _made: dict[str, Any] = field(default_factory=dict)
    _toolbox_guard: threading.Lock = field(default_factory=threading.Lock)
    _prefetch_guard: threading.Lock = field(default_factory=threading.Lock)
    _prefetched: dict[tuple[PythonPackage, ...], Future[None]] = field(default_factory=dict)

    @property
    def configuration(self) -> Configuration:
        """The user's configuration; raises SpecError."""
        return self._make("configuration", lambda: read_configuration(self.environment))

    @property
    def fetcher(self) -> Fetcher:
        """The one pool of connections."""
        return self._make("fetcher", lambda: Fetcher(environment=self.environment, offline=self.offline))

    @property
    def uv(self) -> Uv:
        """uv with its indexes; raises HostError."""
        return self._make(
            "uv",
            lambda: open_uv(
                self.store, self.configuration, environment=self.environment, fetcher=self.fetcher
            ),
        )

    @property
    def host(self) -> Platform:
        """The platform of this machine."""
        return Platform.host()

    def _make(self, name: str, make: Callable[[], _T]) -> _T:
        with self._once:  # reentrant: one is made with another
            if name not in self._made:
                self._made[name] = make()
            made: _T = self._made[name]
            return made

    def archives(self, suite: str) -> Archives:
        """Where a suite's packages come from on this machine; raises SpecError."""
        return find_archives(self.configuration, suite=suite, now=datetime.now(UTC))

    def target(self, suite: str, python: str, platform: Platform) -> Target:
        """What Python packages are chosen for."""
        return Target(python=python, platform=platform, glibc=SUITES[suite].glibc)

    def toolbox(self) -> Toolbox:
        """The outside programs, fetched where they are not there yet; raises FetchError."""
        with self._toolbox_guard:  # not the other guards: it may take a download's time
            return ensure_toolbox(
                self.store, self.fetcher, self.configuration, self.host, progress=self.progress
            )

    def prefetch(self, packages: tuple[PythonPackage, ...], target: Target) -> Future[None]:
        """Begin to fetch locked Python packages into uv's cache.

        What is under way or done is not begun again. What has failed is, by whoever asks next, within the
        same build too.
        """
        with self._prefetch_guard:
            known = self._prefetched.get(packages)
            if known and not (known.done() and known.exception()):
                return known
            future = self._prefetched[packages] = Future()
        # A daemon, so that Ctrl-C need not wait for it.
        threading.Thread(target=self._prefetch, args=(packages, target, future), daemon=True).start()
        return future

    def _prefetch(self, packages: tuple[PythonPackage, ...], target: Target, future: Future[None]) -> None:
        try:
            if not self.offline:
                linked = self._linked()
                missing = [package for package in packages if package.sha256 not in linked]
                prefetch(self.uv, missing, target=target, progress=self.progress)
            future.set_result(None)
        except BaseException as error:
            future.set_exception(error)

    def _linked(self) -> set[str]:
        """Digests of the files that environments of this store are made of: uv has them in its cache.

        Where its cache was emptied since, installing finds out and fetches them all.
        """
        return {
            digest
            for path in self.store.root.glob(f"snapshots/*/{FILES}")
            for digest in path.read_text().split()
        }

    def runtime(self) -> Path:
        """The OCI runtime."""
        return self.toolbox().program("crun")
