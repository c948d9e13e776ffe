"""How a stage of a Dockerfile gets at files of its context, and keeps what it downloads.

With mounts for BuildKit, buildah and podman. Docker's classic builder knows none: for it, files are copied
and caches removed; what is run is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.export.instructions import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wardian.export.source import Source

# Folders of the context; while a stage needs one, it is in /tmp.
DEBIAN, PYTHON, CODE = "debian", "python", "code"

LISTS = "/var/cache/apt/lists"
SOURCES = "/tmp/debian.list"
# What apt is told while it builds; the base's own sources stay as they are for who builds on the image.
APT_FILE = "apt.conf"
APT_CONFIGURATION = f"""\
Dir::Etc::SourceList "{SOURCES}";
Dir::Etc::SourceParts "-";
APT::Get::Assume-Yes "true";
APT::Install-Recommends "false";
Acquire::Retries "5";
Dir::State::Lists "{LISTS}";
"""
APT_ARGUMENTS = (f"ARG APT_CONFIG=/tmp/{DEBIAN}/{APT_FILE}", "ARG DEBIAN_FRONTEND=noninteractive")
# It holds apt's lists too: apt removes what it does not know from the folder of its lists, and with it the
# file that buildah locks a cache by, which then waits for itself in the next stage.
_APT_CACHE = "type=cache,target=/var/cache/apt,sharing=locked"
_PIP_CACHE = "type=cache,target=/root/.cache/pip"

ON = " \\\n      "  # a command goes on in the next line


def packages_file(source: Source, architecture: str, stem: str) -> str:
    """The name of the file that holds one platform's packages."""
    return f"{stem}.{architecture}.txt" if len(source.locks) > 1 else f"{stem}.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One of the two forms of a Dockerfile."""

    source: Source
    mounts: bool

    def listed(self, folder: str, stem: str) -> str:
        """A shell's word for the file of the platform that is being built."""
        architecture = "$(dpkg --print-architecture)"
        name = packages_file(self.source, architecture, stem)
        return f'"/tmp/{folder}/{name}"' if architecture in name else f"/tmp/{folder}/{name}"

    def apt(self, commands: Sequence[str]) -> list[str]:
        """What makes the folder of Debian's files available, and a RUN of commands that use apt."""
        prepared = [f"mkdir -p {LISTS}/partial", "apt-get update", *commands]
        if not self.mounts:
            prepared.append(f"rm -rf {LISTS} /var/cache/apt/*.bin /var/cache/apt/archives/*.deb")
        return self._run(DEBIAN, prepared, _APT_CACHE)

    def pip(self, commands: Sequence[str]) -> list[str]:
        """The same for Python's files, and commands that use pip."""
        return self._run(PYTHON, commands, _PIP_CACHE)

    @property
    def pip_options(self) -> tuple[str, ...]:
        """What pip is told of its cache."""
        return () if self.mounts else ("--no-cache-dir",)

    def _run(self, folder: str, commands: Sequence[str], cache: str) -> list[str]:
        if self.mounts:
            return run(commands, (f"type=bind,source={folder},target=/tmp/{folder}", cache))
        return [f"COPY {folder} /tmp/{folder}", *run(commands)]
