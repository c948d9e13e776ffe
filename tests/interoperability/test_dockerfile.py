"""Our image as a base: `FROM` it, then apt-get and pip, as people are used to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.engines import SUITE, Docker
from tests.python.package_index import PackageIndex, serving

from wardian.ecosystems.debian.archives import find_archives
from wardian.project.configuration import read_configuration

from .conftest import SAID, Fern

_CERTIFICATES = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
# How this machine reaches its mirrors is mounted while building, and is no part of what is built.
_DOCKERFILE = """\
FROM {image}
USER root
RUN --mount=type=bind,source=mirrors.sources,target=/etc/apt/sources.list.d/debian.sources \\
    --mount=type=bind,source=apt.conf,target=/etc/apt/apt.conf.d/99-machine \\
    --mount=type=bind,source=certificates,target=/run/certificates \\
    apt-get update && apt-get install -y --no-install-recommends jq && rm -rf /var/lib/apt/lists/*
ARG PIP_INDEX_URL
RUN pip install --no-cache-dir frond==1.0 && python -m pip check
USER 1000
RUN jq --version && frond
"""
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    """A package index with one wheel that has a script."""
    with serving() as served:
        members = {"frond/__init__.py": b"def main():\n    print('frond unrolled')\n"}
        served.add_wheel(
            "frond", "1.0", members=members, entry_points="[console_scripts]\nfrond = frond:main\n"
        )
        yield served


def _write_context(folder: Path, image: str) -> None:
    archives = find_archives(read_configuration(os.environ), suite=SUITE, now=datetime.now(UTC))
    sources = [
        f"Types: deb\nURIs: {archives.bases(archive)[0]}\nSuites: {release}\nComponents: main\n"
        f"Signed-By: {_KEYRING}\n"
        for archive, release in archives.releases
    ]
    (folder / "mirrors.sources").write_text("\n".join(sources))
    (folder / "apt.conf").write_text('Acquire::https::CAInfo "/run/certificates";\n')
    (folder / "certificates").write_bytes(_CERTIFICATES.read_bytes() if _CERTIFICATES.exists() else b"")
    (folder / "Dockerfile").write_text(_DOCKERFILE.format(image=image))


def test_packages_are_added_on_top(fern: Fern, docker: Docker, index: PackageIndex, tmp_path: Path) -> None:
    _write_context(tmp_path, fern.name)
    proxies = [
        word
        for name in ("http_proxy", "https_proxy", "no_proxy")
        if name in os.environ
        for word in ("--build-arg", name)
    ]
    arguments = ("--build-arg", f"PIP_INDEX_URL={index.url}", *proxies)
    docker(*docker.build, *arguments, "-t", "wardian-test-on-top", str(tmp_path))
    assert docker.run("wardian-test-on-top") == SAID  # what the image was made for goes on
    script = "echo '{\"a\": 42}' | jq .a; frond; dpkg --audit"
    said = docker.run("wardian-test-on-top", "-c", script, options=("--entrypoint", "sh"))
    assert said == "42\nfrond unrolled\n"


def test_apt_knows_the_vendor_and_no_machine(fern: Fern, docker: Docker) -> None:
    """As in the vendor's own images: whoever builds on this one need not write apt's sources."""
    docker("pull", "--quiet", fern.name)
    script = "cat /etc/apt/sources.list.d/*; find /etc/apt/sources.list* -type f"
    said = docker.run(fern.name, "-c", script, options=("--entrypoint", "sh"))
    vendor = "debian"
    address = f"http://deb.{vendor}.org"
    assert said.splitlines() == [
        "Types: deb",
        f"URIs: {address}/debian",
        f"Suites: {SUITE} {SUITE}-updates",
        "Components: main",
        f"Signed-By: {_KEYRING}",
        "",
        "Types: deb",
        f"URIs: {address}/debian-security",
        f"Suites: {SUITE}-security",
        "Components: main",
        f"Signed-By: {_KEYRING}",
        "/etc/apt/sources.list.d/debian.sources",
    ]
