"""A lock: every package of every platform, with its hash. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from wardian.ecosystems.debian.model import DebianLock
from wardian.ecosystems.python.model import PythonLock
from wardian.image.platform import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformLock:
    """What one platform's image is made of; `python` is None where the spec wants no Python."""

    platform: Platform
    debian: DebianLock
    python: PythonLock | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One package's difference between two locks; None where it is absent."""

    ecosystem: str
    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What the spec of digest `spec` resolved to; `platforms` in name order."""

    spec: str
    platforms: tuple[PlatformLock, ...]

    def platform(self, platform: Platform) -> PlatformLock | None:
        """The part for `platform`, if it is locked."""
        return next((part for part in self.platforms if part.platform == platform), None)


def changes(old: Lock | None, new: Lock) -> tuple[Change, ...]:
    """The versions that differ, platform by platform, in name order; what differs alike is told once."""
    before, after = _versions(old), _versions(new)
    found = {
        Change(ecosystem=key[1], name=key[2], old=before.get(key), new=after.get(key))
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    }
    return tuple(sorted(found, key=lambda change: (change.ecosystem, change.name, str(change.old))))


def _versions(lock: Lock | None) -> dict[tuple[str, str, str], str]:
    """Versions by platform, ecosystem and name."""
    versions: dict[tuple[str, str, str], str] = {}
    for part in lock.platforms if lock else ():
        platform = str(part.platform)
        versions |= {(platform, "debian", package.name): package.version for package in part.debian.packages}
        if part.python:
            versions[platform, "python", "python"] = part.python.interpreter.version
            python = {(platform, "python", package.name): package.version for package in part.python.packages}
            versions |= python
    return versions
