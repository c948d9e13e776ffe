"""What differs between two locks."""

from __future__ import annotations

from wardian.ecosystems.debian.model import DebianLock, DebianPackage
from wardian.image.platform import Platform
from wardian.lock.model import Change, Lock, PlatformLock, changes


def lock(**versions: str) -> Lock:
    """A lock of one package `grep`, in a version for each platform."""
    return Lock(spec="sha256:" + "0" * 64, platforms=tuple(part(*item) for item in sorted(versions.items())))


def part(architecture: str, version: str) -> PlatformLock:
    package = DebianPackage(
        name="grep",
        version=version,
        architecture=architecture,
        archive="debian",
        path=f"pool/main/g/grep/grep_{version}_{architecture}.deb",
        size=1,
        sha256="0" * 64,
        stage=0,
    )
    debian = DebianLock(suite="trixie", releases=(), packages=(package,))
    return PlatformLock(platform=Platform(architecture=architecture), debian=debian, python=None)


def test_platforms_are_compared_with_themselves():
    before, after = lock(amd64="3.11-4"), lock(amd64="3.11-4", arm64="3.11-4+b1")
    assert changes(before, before) == ()
    assert changes(before, after) == (Change(ecosystem="debian", name="grep", old=None, new="3.11-4+b1"),)


def test_what_differs_alike_is_told_once():
    before, after = lock(amd64="3.11-4", arm64="3.11-4"), lock(amd64="3.12-1", arm64="3.12-1")
    assert changes(before, after) == (Change(ecosystem="debian", name="grep", old="3.11-4", new="3.12-1"),)
