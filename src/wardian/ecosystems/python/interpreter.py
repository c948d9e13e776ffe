"""Which Python an image has: the suite's own where that will do, else one of uv's managed interpreters.

The managed ones (python-build-standalone) are listed by uv, locked by digest and fetched by us: from
uv's default place, `UV_PYTHON_INSTALL_MIRROR`, or `install-mirror` in wardian's configuration.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from wardian.ecosystems.python import archive, errors
from wardian.ecosystems.python.indexes import local_path
from wardian.ecosystems.python.model import Interpreter
from wardian.errors import FetchError, ResolveError, SpecError
from wardian.system.http import MissingError
from wardian.system.progress import Silent

if TYPE_CHECKING:
    from datetime import datetime

    from packaging.specifiers import SpecifierSet

    from wardian.ecosystems.python.program import Uv
    from wardian.image.platform import Platform
    from wardian.store.store import Store
    from wardian.system.progress import Progress

# Machines that uv calls otherwise than uname(2).
_MACHINES = {"ppc64le": "powerpc64le"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """One interpreter that uv knows."""

    key: str
    version: str
    address: str

    @property
    def build(self) -> str:
        """The date of its release, which stands in its file's name: cpython-3.12.8+20250106-…"""
        found = re.search(r"\+(\d{8}T?\d*)-", unquote(self.address))
        return found[1] if found else ""


def choose(
    uv: Uv,
    *,
    asked: str,
    suite_version: str,
    platform: Platform,
    keep: Interpreter | None = None,
    upgrade: bool = False,
    mirror: str | None = None,
    as_of: datetime | None = None,
) -> Interpreter:
    """The interpreter for `[python] version` (`asked`: "3.12", "3.12.4", ">=3.11", or "" for any).

    `suite_version` is what the suite's Debian index gives, as in "3.13.5". A locked managed interpreter
    is kept while it fits, unless `upgrade`. With `as_of`, only builds of earlier days are taken. Raises
    SpecError for a version that cannot be read, ResolveError when no Python fits, FetchError.
    """
    wanted = specifiers(asked)
    if wanted.contains(suite_version, prereleases=True):
        return Interpreter(version=suite_version, source="debian")
    if keep and keep.source == "uv" and not upgrade and wanted.contains(keep.version):
        return keep
    listed = _list(uv, platform, mirror)
    if as_of:  # uv knows the latest build of each version alone: an older version may be the newest then
        listed = [entry for entry in listed if entry.build and entry.build[:8] < f"{as_of:%Y%m%d}"]
    fitting = list(wanted.filter([entry.version for entry in listed]))
    if not fitting:
        raise _nothing(asked, suite_version, platform, listed, as_of)
    best = max((entry for entry in listed if entry.version in fitting), key=_age)
    return Interpreter(
        version=best.version, source="uv", key=best.key, build=best.build, sha256=_digest(uv, best)
    )


def specifiers(asked: str) -> SpecifierSet:
    """`asked` as PEP 440 specifiers: "3.12" means 3.12.*, "3.12.4" exactly that. Raises SpecError."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    text = asked.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        text = f"=={text}.*"
    elif re.fullmatch(r"\d+\.\d+\.\d+\w*", text):
        text = f"=={text}"
    try:
        return SpecifierSet(text)
    except InvalidSpecifier as error:
        raise SpecError(
            f"[python] version {asked!r} is no Python version", hint='write "3.12", "3.12.4" or ">=3.11"'
        ) from error


def _age(entry: _Listed) -> tuple[Any, str]:
    from packaging.version import Version

    return Version(entry.version), entry.build


def _nothing(
    asked: str, suite: str, platform: Platform, listed: list[_Listed], as_of: datetime | None
) -> ResolveError:
    minors = {tuple(map(int, re.findall(r"\d+", entry.version)[:2])) for entry in listed}
    there = ", ".join("{}.{}".format(*minor) for minor in sorted(minors) if len(minor) == 2)
    return ResolveError(
        f"there is no Python {asked} for {platform}: the suite has {suite}, uv manages {there or 'none'}"
        + (f" of before {as_of:%Y-%m-%d}" if as_of else ""),
        hint="change [python] version",
    )


def _list(uv: Uv, platform: Platform, mirror: str | None) -> list[_Listed]:
    machine = _MACHINES.get(platform.machine, platform.machine)
    with uv.work() as folder:
        status, printed, told = uv.output(
            [
                *("python", "list", "--only-downloads", "--all-versions", "--all-platforms", "--all-arches"),
                *("--output-format", "json"),
            ],
            folder=folder,
            UV_PYTHON_DOWNLOADS="automatic",
            **({"UV_PYTHON_INSTALL_MIRROR": mirror} if mirror else {}),
        )
    if status:
        raise errors.explain(told, doing="cannot list uv's Python interpreters")
    wanted = {
        "implementation": "cpython",
        "variant": "default",
        "os": "linux",
        "libc": "gnu",
        "arch": machine,
    }
    return [
        _Listed(key=entry["key"], version=entry["version"], address=entry["url"])
        for entry in json.loads(printed)
        if wanted.items() <= entry.items() and entry.get("url")
    ]


def _digest(uv: Uv, entry: _Listed) -> str:
    """The archive's SHA-256: from the user's own list, else the release's SHA256SUMS, else its bytes."""
    if (told := _told_digest(uv, entry)) or (told := _summed_digest(uv, entry)):
        return told
    return hashlib.sha256(uv.fetcher.get(entry.address).body).hexdigest()


def _told_digest(uv: Uv, entry: _Listed) -> str:
    source = uv.environment.get("UV_PYTHON_DOWNLOADS_JSON_URL")
    if not source:
        return ""
    path = local_path(source)
    text = path.read_bytes() if path is not None else uv.fetcher.get(source).body
    for found in json.loads(text).values():
        if found.get("url") == entry.address or str(found.get("url")).endswith(_name(entry.address)):
            return str(found.get("sha256") or "")
    return ""


def _summed_digest(uv: Uv, entry: _Listed) -> str:
    try:
        sums = uv.fetcher.get(f"{entry.address.rpartition('/')[0]}/SHA256SUMS").body.decode()
    except MissingError:
        return ""
    found = re.search(rf"^([0-9a-f]{{64}}) [ *]{re.escape(unquote(_name(entry.address)))}$", sums, re.M)
    return found[1] if found else ""


def _name(address: str) -> str:
    return urlsplit(address).path.rpartition("/")[2]


def fetch(
    uv: Uv,
    store: Store,
    interpreter: Interpreter,
    *,
    platform: Platform,
    mirror: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """The locked managed interpreter's archive, in the store. Raises FetchError, VerificationError."""
    path = store.content(interpreter.sha256)
    if path.exists():
        return path
    addresses = _addresses(interpreter, _list(uv, platform, mirror))
    if not addresses:
        raise FetchError(f"uv knows no place for {interpreter.key}", hint="upgrade uv, or lock anew")
    path.parent.mkdir(parents=True, exist_ok=True)
    with (progress or Silent()).step(f"Python {interpreter.version}", unit="B") as step:
        uv.fetcher.download(addresses, path, sha256=interpreter.sha256, size=None, advance=step.advance)
    return path


def address(uv: Uv, interpreter: Interpreter, *, platform: Platform, mirror: str | None = None) -> str:
    """Where the locked managed interpreter's archive is fetched from first; empty where uv knows no place."""
    return next(iter(_addresses(interpreter, _list(uv, platform, mirror))), "")


def _addresses(interpreter: Interpreter, listed: list[_Listed]) -> list[str]:
    """Where the locked build lies. A newer uv may list a later build of it, or none: then the address
    is that of another one with version and build exchanged.
    """
    exact = [entry for entry in listed if entry.key == interpreter.key]
    found = []
    for entry in exact or listed[:1]:
        asked = (
            replace(entry, address=entry.address.replace(entry.build, interpreter.build))
            if entry.build
            else entry
        )
        found.append(asked.address.replace(f"-{entry.version}%2B", f"-{interpreter.version}%2B"))
    return found


def unpack(path: Path, into: Path) -> None:
    """Unpack a managed interpreter's archive as `into`, which becomes /opt/python. See archive.unpack."""
    archive.unpack(path, into)
