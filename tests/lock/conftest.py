"""A good lock, with something of everything."""

from __future__ import annotations

import pytest

from wardian.ecosystems.debian.model import ArchiveRelease, DebianLock, DebianPackage
from wardian.ecosystems.python.model import Interpreter, PythonLock, PythonPackage
from wardian.image.platform import Platform
from wardian.lock.model import Lock, PlatformLock


def debian_package(name: str, *, stage: int = 0, architecture: str = "amd64") -> DebianPackage:
    return DebianPackage(
        name=name,
        version="1:2.3-4+deb13u1",
        architecture=architecture,
        archive="debian",
        path=f"pool/main/{name[0]}/{name}/{name}_2.3-4+deb13u1_{architecture}.deb",
        size=1234,
        sha256="ab" * 32,
        stage=stage,
    )


def python_package(name: str, file: str) -> PythonPackage:
    return PythonPackage(name=name, version="1.0", file=file, size=99, sha256="cd" * 32)


def platform_lock(architecture: str, interpreter: Interpreter) -> PlatformLock:
    return PlatformLock(
        platform=Platform(architecture=architecture),
        debian=DebianLock(
            suite="trixie",
            releases=(
                ArchiveRelease(
                    archive="debian", suite="trixie-updates", sha256="ef" * 32, time="2026-01-10T09:12:03Z"
                ),
            ),
            packages=(
                debian_package("libc6", architecture=architecture),
                debian_package("tzdata", architecture="all"),
                debian_package("zlib", stage=1, architecture=architecture),
            ),
        ),
        python=PythonLock(
            interpreter=interpreter,
            packages=(
                python_package("alpha", "alpha-1.0-py3-none-any.whl"),
                python_package("beta", "beta-1.0.tar.gz"),
            ),
            workbench=(python_package("gamma", "gamma-1.0-py3-none-any.whl"),),
            requirements=("alpha>=1", 'beta; python_version >= "3"'),
        ),
    )


@pytest.fixture(scope="session")
def good() -> Lock:
    managed = Interpreter(
        version="3.12.8",
        source="uv",
        key="cpython-3.12.8-linux-aarch64-gnu",
        build="20250106",
        sha256="12" * 32,
    )
    return Lock(
        spec=f"sha256:{'34' * 32}",
        platforms=(
            platform_lock("amd64", Interpreter(version="3.13.5", source="debian")),
            platform_lock("arm64", managed),
        ),
    )
