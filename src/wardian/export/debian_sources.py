"""Where a Dockerfile's apt finds exactly the locked versions: the dated snapshot archive, or a mirror.

A release that the lock was made from lists some packages for hours only, and the snapshot archive takes a
photograph of all every six hours; it answers with the nearest earlier one. A stable suite changes at point
releases alone, so it is asked for as of a day later, when its release had surely been photographed. Its
updates change any time: what the release listed first is found a day later, what it listed last at its own
time, so both are asked.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from wardian.ecosystems.debian.archives import MAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wardian.ecosystems.debian.model import ArchiveRelease, DebianLock

_VENDOR = "debian"
_LATER = timedelta(days=1)
_MIRRORS = {True: "DEBIAN_MIRROR", False: "DEBIAN_SECURITY_MIRROR"}


def arguments() -> list[str]:
    """The build arguments that addresses are made of, each with its default."""
    # apt verifies what it gets by signature; a base image has no certificates yet.
    return [
        f"ARG SNAPSHOT=http://snapshot.{_VENDOR}.org/archive",
        *(f'ARG {name}=""' for name in _MIRRORS.values()),
    ]


def sources(locks: Sequence[DebianLock]) -> list[str]:
    """The words of a shell's `printf 'deb … %s %s main\\n'`: an address and a suite each."""
    found: dict[str, None] = {}
    for lock in locks:
        for release in lock.releases:
            for time in _times(release, stable=release.suite == lock.suite):
                mirror = _MIRRORS[release.archive == MAIN]
                dated = f"$SNAPSHOT/{release.archive}/{time:%Y%m%dT%H%M%SZ}"
                found.setdefault(f'"${{{mirror}:-{dated}}}" {release.suite}')
    return list(found)


def moment(locks: Sequence[DebianLock]) -> str:
    """The day of the latest release that the locks were made from."""
    return max(release.time for lock in locks for release in lock.releases)[:10]


def _times(release: ArchiveRelease, *, stable: bool) -> Iterator[datetime]:
    time = datetime.fromisoformat(release.time).astimezone(UTC)
    if not stable:
        yield time
    yield time + _LATER
