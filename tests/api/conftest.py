"""Projects with locks of the tests' own, on a machine that reaches nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from wardian import Project
from wardian.ecosystems.debian.model import ArchiveRelease, DebianLock, DebianPackage
from wardian.image.platform import Platform
from wardian.lock.model import Lock, PlatformLock
from wardian.lock.text import write_lock
from wardian.project.detect import detect

HOST = Platform.host()
OTHER = Platform(architecture="arm64" if HOST.architecture != "arm64" else "amd64")
SPEC = '[system]\npackages = ["tree"]\n'


def part(platform: Platform = HOST) -> PlatformLock:
    package = DebianPackage(
        name="tree",
        version="2.2.1-1",
        architecture=platform.debian,
        archive="debian",
        path="pool/main/t/tree/tree_2.2.1-1.deb",
        size=1,
        sha256="ab" * 32,
        stage=0,
    )
    release = ArchiveRelease(archive="debian", suite="trixie", sha256="cd" * 32, time="2026-01-10T09:12:03Z")
    debian = DebianLock(suite="trixie", releases=(release,), packages=(package,))
    return PlatformLock(platform=platform, debian=debian, python=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    (path / "wardian.toml").write_text(SPEC)
    return path


@pytest.fixture
def lock(folder: Path) -> Callable[..., str]:
    """Write a lock that fits the folder's spec (or not); returns its text."""

    def write(*platforms: Platform, fits: bool = True) -> str:
        made = Lock(
            spec=f"sha256:{detect(folder).lock_digest}",
            platforms=tuple(part(platform) for platform in platforms or (HOST,)),
        )
        text = write_lock(made if fits else replace(made, spec=f"sha256:{'0' * 64}"))
        (folder / "wardian.lock").write_text(text)
        return text

    return write


@pytest.fixture
def opened(folder: Path, tmp_path: Path) -> Callable[..., Project]:
    """Open the project offline, with a store that has nothing: whatever is resolved or built fails."""

    def open_project(**options: bool) -> Project:
        environment = {"HOME": str(tmp_path), "WARDIAN_DEBIAN_ARCHIVE": "file:///nowhere/debian"}
        return Project.open(folder, home=tmp_path / "store", environment=environment, offline=True, **options)

    return open_project
