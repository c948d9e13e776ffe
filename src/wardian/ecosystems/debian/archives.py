"""Which addresses the Debian archives of a suite are fetched from on this machine. It fetches nothing.

In order: the user's configuration; the host's own apt sources; the dated snapshot archive. No address
stands in this file: a lock names archives, and each machine has its own addresses for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.ecosystems.debian.sources import read_sources
from wardian.ecosystems.debian.suites import SUITES
from wardian.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wardian.ecosystems.debian.sources import Source
    from wardian.project.configuration import Configuration

MAIN = "debian"
SECURITY = "debian-security"

# The archive is published first and photographed later (four times a day), so what a release of a
# certain date lists is surely there in a photograph of the next day; superseded files stay that long.
_UNTIL_PHOTOGRAPHED = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archives:
    """Base addresses, each ending in `/`, in order of preference; `snapshot` is a template."""

    suite: str
    main: tuple[str, ...]
    security: tuple[str, ...]
    snapshot: str

    @property
    def releases(self) -> tuple[tuple[str, str], ...]:
        """Archive and suite of each release that makes up `suite`."""
        suite = self.suite
        return ((MAIN, suite), (MAIN, f"{suite}-updates"), (SECURITY, f"{suite}-security"))

    def bases(self, archive: str, *, as_of: datetime | None = None) -> tuple[str, ...]:
        """Where releases of `archive` are looked for; with `as_of`, in the snapshot archive alone."""
        if as_of is not None:
            return (self.dated(archive, as_of),)
        return self.security if archive == SECURITY else self.main

    def pool(self, archive: str, path: str, *, published: datetime | None) -> tuple[str, ...]:
        """Where a pool file may lie: the mirrors, then photographs from after and at `published`."""
        bases = list(self.bases(archive))
        if published is not None:
            bases += [self.dated(archive, published + _UNTIL_PHOTOGRAPHED), self.dated(archive, published)]
        return tuple(dict.fromkeys(f"{base}{path}" for base in bases))

    def dated(self, archive: str, time: datetime) -> str:
        """The base address of `archive` in the snapshot archive; it answers with the nearest earlier one."""
        stamp = time.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        return _base(self.snapshot.replace("{archive}", archive).replace("{time}", stamp))


def find_archives(
    configuration: Configuration, *, suite: str, now: datetime, root: Path = Path("/")
) -> Archives:
    """The archives of `suite` as this machine reaches them; `root` holds the host's `etc/apt`.

    Raises SpecError for a suite or a snapshot template that cannot be used.
    """
    if suite not in SUITES:
        raise SpecError(f"unknown Debian suite {suite!r}", hint=f"use one of {', '.join(SUITES)}")
    template = configuration.debian_snapshot or _snapshot_template("debian")
    if "{archive}" not in template or "{time}" not in template:
        raise SpecError(
            f"the snapshot address {template!r} lacks {{archive}} or {{time}}",
            hint="write it with both, in [debian] snapshot of the configuration",
        )
    sources = read_sources(root)
    archives = Archives(suite=suite, main=(), security=(), snapshot=_base(template))
    main = _choose(configuration.debian_archive, (s for s in sources if not s.is_security))
    security = _choose(configuration.debian_security, (s for s in sources if s.is_security))
    if not configuration.debian_security:
        beside = _beside(main)
        # Who names a mirror of the archive most likely wants the security archive from there as well.
        security = (*beside, *security) if configuration.debian_archive else (*security, *beside)
        security = (*security, archives.dated(SECURITY, now))
    return replace(
        archives, main=main or (archives.dated(MAIN, now),), security=tuple(dict.fromkeys(security))
    )


def _snapshot_template(vendor: str) -> str:
    return f"https://snapshot.{vendor}.org/archive/{{archive}}/{{time}}/"


def _choose(configured: str | None, sources: Iterable[Source]) -> tuple[str, ...]:
    if configured:
        return (_base(configured),)
    return tuple(dict.fromkeys(_base(source.uri) for source in sources))


def _beside(main: tuple[str, ...]) -> tuple[str, ...]:
    """Mirrors that carry both archives keep them beside each other."""
    names = (base.rstrip("/").rpartition("/") for base in main)
    return tuple(f"{parent}/{SECURITY}/" for parent, _, name in names if name == MAIN)


def _base(address: str) -> str:
    return address.rstrip("/") + "/"
