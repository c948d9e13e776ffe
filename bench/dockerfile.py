"""The peer's project: a Dockerfile as the guides of Docker and of uv advise, and what builds need beside.

Addresses, certificates and proxies are the machine's, read when the bench runs; they reach builds as
secrets, which are neither in the image nor in a layer's cache key.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import reference
from wardian.ecosystems.debian.archives import find_archives
from wardian.ecosystems.python.configured import read_indexes
from wardian.ecosystems.python.indexes import local_path
from wardian.project.configuration import read_configuration

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE = "bench-base"
UV = "bench-uv"

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

# From the guides: apt's and uv's caches are cache mounts, Recommends are left out, what changes least
# comes first, requirements are bind-mounted, and the environment is made by one command. The guides'
# `COPY --from` of uv's published image is one from an image that holds this machine's uv.
_BIND = "    --mount=type=bind,source=requirements.txt,target=/requirements.txt \\\n"
_DOCKERFILE = """\
FROM {base}
COPY --from={uv} /uv /usr/local/bin/uv
RUN rm -f /etc/apt/apt.conf.d/docker-clean \\
 && echo 'Binary::apt::APT::Keep-Downloaded-Packages "true";' > /etc/apt/apt.conf.d/keep-cache
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \\
    --mount=type=cache,target=/var/lib/apt,sharing=locked \\
    --mount=type=secret,id=certificates,mode=0444 \\
    --mount=type=secret,id=apt,mode=0444,target=/etc/apt/apt.conf.d/zz-bench \\
    apt-get update \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {system}
ENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV UV_LINK_MODE=copy{more}
{copy}RUN --mount=type=cache,target=/root/.cache/uv \\
{bind}    --mount=type=secret,id=certificates,mode=0444 \\
    --mount=type=secret,id=uv \\
    set -a && . /run/secrets/uv \\
 && uv venv --python /usr/bin/python3 /opt/venv && uv pip install --requirement /requirements.txt
WORKDIR /work
"""


def write_project(
    folder: Path, contents: reference.Contents, *, bytecode: bool, copied: bool = False
) -> None:
    """Write the Dockerfile and requirements.txt of `contents`.

    `copied` is for buildah, which takes a layer for the same when only what is mounted has changed.
    """
    (folder / "Dockerfile").write_text(
        _DOCKERFILE.format(
            base=BASE,
            uv=UV,
            system=" ".join(("python3", *contents.system)),
            copy="COPY requirements.txt /requirements.txt\n" if copied else "",
            bind="" if copied else _BIND,
            more=" UV_COMPILE_BYTECODE=1" if bytecode else "",
        )
    )
    (folder / "requirements.txt").write_text("".join(f"{name}\n" for name in contents.python))


def write_secrets(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Write how builds reach the indexes; returns `docker build`'s arguments for it."""
    indexes = read_indexes(read_configuration(environment), environment, prefix=Path(sys.prefix))
    inside = "/run/secrets/certificates"
    variables = {"SSL_CERT_FILE": inside, "UV_INDEX_STRATEGY": indexes.strategy}
    if indexes.default:
        variables["UV_DEFAULT_INDEX"] = indexes.default
    # Folders of this machine are not there in a build; the reference runtime needs none of them.
    if extra := [place for place in indexes.extra if local_path(place) is None]:
        variables["UV_INDEX"] = " ".join(extra)
    bundle = Path(indexes.certificates) if indexes.certificates else _SYSTEM_CERTIFICATES
    texts = {
        "certificates": bundle.read_text() if bundle.exists() else "",
        "apt": f'Acquire::https::CAInfo "{inside}";\n',
        "uv": "".join(f"{name}='{value}'\n" for name, value in variables.items()),
    }
    arguments = []
    for name, text in texts.items():
        (folder / name).write_text(text)
        arguments += ["--secret", f"id={name},src={folder / name}"]
    for name in _PROXIES:
        if os.environ.get(name):
            arguments += ["--build-arg", name]
    return arguments


def sources(environment: Mapping[str, str]) -> list[str]:
    """apt's lines for the suite, from the archives that this machine is configured for."""
    archives = find_archives(read_configuration(environment), suite=reference.SUITE, now=datetime.now(UTC))
    return [
        f"deb [signed-by={_KEYRING}] {archives.bases(archive)[0]} {release} main"
        for archive, release in archives.releases
    ]
