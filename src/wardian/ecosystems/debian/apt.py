"""Running apt's resolver in private folders: no host configuration, no root, no network, no dpkg.

Its lists are files that were verified before; it prints what it would fetch, and fetches nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import unquote

from wardian.errors import HostError, InternalError, ResolveError
from wardian.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from wardian.ecosystems.debian.index import Index
    from wardian.store.store import Store
    from wardian.toolbox.toolbox import Toolbox

# Where apt believes its archives to be. Nothing is ever read there.
_NOWHERE = "/archives"
_URI = re.compile(r"'[^']+' (\S+) \d+.*")
# What apt says where disk or memory fail, and errno's as it writes them: `- write (28: No space left …)`.
# A conflict is told in lines below that of its error, which may hold any name.
_HOST = re.compile(r"\bwrite error\b|\bIO Error\b|could not be parsed or opened|- \w+ \(\d+: ", re.IGNORECASE)
# `--print-uris` rather than `--simulate`: that takes 2.5 s for 180 packages, this 0.5 s.
_CONFIGURATION = """\
Dir "{work}";
Dir::Etc "{work}/etc";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trustedparts "/dev/null";
Dir::State "{work}/state";
Dir::State::lists "{work}/lists";
Dir::State::status "{work}/status";
Dir::Cache "{work}/cache";
Dir::Cache::srcpkgcache "";
Dir::Log "{work}";
Dir::Bin::dpkg "/nonexistent";
Dir::Bin::methods "{methods}";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
Acquire::Languages "none";
Debug::NoLocking "true";
"""


def solve_with_apt(
    store: Store, toolbox: Toolbox, index: Index, *, wanted: Sequence[str], pins: Mapping[str, str]
) -> dict[str, str]:
    """Names and versions that installing `wanted` into an empty system takes, without Recommends.

    `wanted` are apt's arguments; `pins` are versions to be preferred, by name. Raises ResolveError with
    apt's explanation, and HostError where apt could not work.
    """
    work = _prepare(store, toolbox, index)
    with store.temporary() as temporary:
        (temporary / "preferences").write_text(
            "\n".join(
                f"Package: {name}\nPin: version {pins[name]}\nPin-Priority: 1001\n" for name in sorted(pins)
            )
        )
        command = [
            *(os.fspath(toolbox.program("apt-get")), "-qq", "--print-uris"),
            *("-o", f"Dir::Etc::preferences={temporary / 'preferences'}", "install", "--", *wanted),
        ]
        environment = {
            "APT_CONFIG": f"{work}/apt.conf",
            "LC_ALL": "C",
            "TMPDIR": os.fspath(temporary),
            "HOME": os.fspath(temporary),
            "PATH": "",
        }
        ended = subprocess.run(
            command, env=environment, cwd=temporary, capture_output=True, text=True, check=False
        )
    if ended.returncode:
        _check_host(ended.returncode, ended.stderr)
        raise ResolveError(_explain(ended.stderr), hint="ask for other versions, or leave one of them out")
    return _parse(ended.stdout)


def _check_host(status: int, said: str) -> None:
    """Whether apt itself could work: raises HostError where it was killed, or disk or memory failed."""
    if status < 0:
        raise HostError(
            f"apt-get was killed by signal {-status}",
            hint="see whether the machine has enough memory, and try again",
        )
    failed = next((line for line in said.splitlines() if line.startswith("E:") and _HOST.search(line)), None)
    if failed:
        raise HostError(
            f"apt-get failed: {failed.removeprefix('E: ')}",
            hint="check the store's free space and permissions, and try again",
        )


def _prepare(store: Store, toolbox: Toolbox, index: Index) -> Path:
    """apt's private folder for these lists. It stays, and with it apt's cache of them."""
    key = hashlib.sha256(f"{index.key} {toolbox.root}".encode()).hexdigest()[:32]
    work = store.cache("apt") / key
    if (work / "apt.conf").exists():
        return work
    with store.lock(f"apt-{key}"):
        if (work / "apt.conf").exists():  # by whom we have waited for
            return work
        for name in ("etc", "lists/partial", "state", "cache"):
            (work / name).mkdir(parents=True, exist_ok=True)
        sources = []
        for item in index.lists:
            archive, suite = item.release.archive, item.release.suite
            sources.append(f"deb [trusted=yes] file:{_NOWHERE}/{archive} {suite} main\n")
            path = f"{_NOWHERE}/{archive}/dists/{suite}/main/binary-{index.architecture}/Packages"
            link = work / "lists" / path.replace("/", "_")
            link.unlink(missing_ok=True)
            link.symlink_to(item.path)
        write_atomic(work / "etc/sources.list", "".join(sources), durable=True)
        write_atomic(work / "status", "")
        # Last: its presence says that all is there.
        write_atomic(
            work / "apt.conf",
            _CONFIGURATION.format(work=work, methods=toolbox.methods(), architecture=index.architecture),
            durable=True,
        )
    return work


def _parse(output: str) -> dict[str, str]:
    found = {}
    for line in output.splitlines():
        match = _URI.fullmatch(line.strip())
        parts = unquote(match[1]).removesuffix(".deb").split("_") if match else []
        if len(parts) != 3:
            raise InternalError(f"apt printed what is not understood: {line!r}")
        found[parts[0]] = parts[1]
    return found


def _explain(text: str) -> str:
    """apt's own words, shortened: the conflict that its solver found, else its errors."""
    lines = [line.rstrip() for line in text.splitlines() if not line.startswith("W:")]
    start = next((n for n, line in enumerate(lines) if "Unable to satisfy dependencies" in line), None)
    told = lines[start + 1 :] if start is not None else [f"   {line.removeprefix('E: ')}" for line in lines]
    short = [re.sub(r":(amd64|arm64|ppc64el|s390x|riscv64|any)\b", "", line) for line in told[:12]]
    return "\n".join(
        ["the Debian packages do not fit together:", *(line.removeprefix(" ") for line in short)]
    )
