"""Locks and sources of the tests' own, on a machine that reaches nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from wardian.ecosystems.debian.model import ArchiveRelease, DebianLock, DebianPackage
from wardian.ecosystems.python.model import Interpreter, PythonLock, PythonPackage
from wardian.export.source import Source
from wardian.image.platform import Platform
from wardian.lock.model import PlatformLock
from wardian.project.detect import detect

AMD64, ARM64 = Platform(architecture="amd64"), Platform(architecture="arm64")
MANAGED = Interpreter(
    version="3.12.9",
    source="uv",
    key="cpython-3.12.9-linux-x86_64-gnu",
    build="20250317",
    sha256="ee" * 32,
)


def debian(name: str, version: str = "1.0-1", platform: Platform = AMD64) -> DebianPackage:
    path = f"pool/main/{name[0]}/{name}/{name}_{version.partition(':')[2] or version}_{platform.debian}.deb"
    return DebianPackage(
        name=name,
        version=version,
        architecture=platform.debian,
        archive="debian",
        path=path,
        size=1,
        sha256="ab" * 32,
        stage=0,
    )


def wheel(name: str, version: str = "2.0", file: str = "") -> PythonPackage:
    file = file or f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    return PythonPackage(name=name, version=version, file=file, size=1, sha256="cd" * 32)


def lock(platform: Platform = AMD64, **python: Any) -> PlatformLock:
    releases = tuple(
        ArchiveRelease(archive=archive, suite=suite, sha256="ef" * 32, time=time)
        for archive, suite, time in (
            ("debian", "trixie", "2025-09-06T09:15:44Z"),
            ("debian", "trixie-updates", "2025-10-01T02:09:05Z"),
            ("debian-security", "trixie-security", "2025-10-01T00:53:03Z"),
        )
    )
    packages = tuple(debian(name, platform=platform) for name in ("bc", "python3", "python3-pip-whl"))
    parts = {"interpreter": Interpreter(version="3.13.5", source="debian"), "packages": (wheel("six"),)}
    return PlatformLock(
        platform=platform,
        debian=DebianLock(suite="trixie", releases=releases, packages=packages),
        python=PythonLock(**{**parts, **python}),
    )


def source(folder: Path, text: str = "", *locks: PlatformLock, **more: Any) -> Source:
    """The source of a project whose wardian.toml is `text`."""
    folder.mkdir(exist_ok=True)
    (folder / "wardian.toml").write_text(text)
    made = Source(folder=folder, detection=detect(folder), locks=locks or (lock(),))
    return replace(made, **more)
