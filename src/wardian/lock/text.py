"""`wardian.lock` as text: TOML made to be read in a diff, one package a line.

    version = 1
    spec = "sha256:…"          digest of what in the spec affects resolution
    checksum = "sha256:…"      of all other lines, so that an edit by hand is noticed

    [platform."linux/amd64".debian]
    [platform."linux/amd64".python]

Reading trusts nothing: keys, types, hashes and paths are checked before a value exists, and that a plan
can be made of it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tomllib
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from wardian.ecosystems.debian.model import ArchiveRelease, DebianLock, DebianPackage
from wardian.ecosystems.debian.suites import SUITES
from wardian.ecosystems.python.model import Interpreter, PythonLock, PythonPackage
from wardian.errors import DamagedLockError, LockError, NewerLockError, WardianError
from wardian.image.platform import Platform
from wardian.lock.model import Lock, PlatformLock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

VERSION = 1
_HEADER = "# Written by wardian, to be read in a diff. Change the spec, then run `wardian lock`.\n"
_RELOCK = "run `wardian lock` to write it anew"
_CHECKSUM = re.compile(r'^checksum = "([^"]*)"\n', re.MULTILINE)
_SHAPES = {
    "sha256": re.compile(r"[0-9a-f]{64}"),
    # Relative, without `..`: it is appended to an archive's address.
    "path": re.compile(r"(?!.*(^|/)\.\.?(/|$))[A-Za-z0-9][A-Za-z0-9/._+~%:-]*"),
    "file": re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!~-]*"),
    "name": re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*"),
    "version": re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:~!-]*"),
    "architecture": re.compile(r"[a-z0-9-]+"),
    "archive": re.compile(r"[a-z0-9-]+"),
    "suite": re.compile(r"[a-z0-9-]+"),
    "time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "source": re.compile(r"debian|uv"),
    "key": re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*"),
    "build": re.compile(r"[0-9A-Za-z.]*"),
}
_SPEC = re.compile(r"sha256:[0-9a-f]{64}")
_PYTHON = re.compile(r"\d+\.\d+\.\d+[a-z0-9]*")
_T = TypeVar("_T")


def write_lock(lock: Lock) -> str:
    """The text of a lock; the same lock gives the same text."""
    lines = [_HEADER, f"version = {VERSION}\n", f"spec = {json.dumps(lock.spec)}\n", "\n"]
    lines += [line for part in lock.platforms for line in _platform_lines(part)]
    checksum = hashlib.sha256("".join(lines).encode()).hexdigest()
    lines.insert(3, f'checksum = "sha256:{checksum}"\n')
    return "".join(lines)


def _platform_lines(part: PlatformLock) -> Iterator[str]:
    table = f"platform.{json.dumps(str(part.platform))}"
    yield f"[{table}.debian]\nsuite = {json.dumps(part.debian.suite)}\n"
    yield from _array("releases", map(_inline, part.debian.releases))
    yield from _array("packages", map(_inline, part.debian.packages))
    yield "\n"
    if part.python:
        yield f"[{table}.python]\ninterpreter = {_inline(part.python.interpreter)}\n"
        if part.python.requirements is not None:
            yield from _array("requirements", map(json.dumps, part.python.requirements))
        yield from _array("packages", map(_inline, part.python.packages))
        yield from _array("workbench", map(_inline, part.python.workbench))
        yield "\n"


def _array(key: str, values: Iterable[str]) -> Iterator[str]:
    yield f"{key} = [\n"
    for value in values:
        yield f"  {value},\n"
    yield "]\n"


def _inline(record: Any) -> str:
    # A JSON string is a TOML basic string: its escapes are a subset.
    pairs = ((field.name, getattr(record, field.name)) for field in dataclasses.fields(record))
    return "{ " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in pairs if value != "") + " }"


def read_lock(path: Path) -> Lock | None:
    """Read the lock at `path`; None when there is none.

    Raises DamagedLockError where it was edited by hand or is damaged, NewerLockError where a newer wardian
    wrote it, and LockError when the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LockError(f"cannot read {path}: {error.strerror}", hint="make it readable for you") from error
    except (ValueError, RecursionError) as error:
        raise DamagedLockError(f"cannot read {path}: {error}", hint=_RELOCK) from error
    _check_version(path, tables.get("version"))
    found = _CHECKSUM.search(text)
    rest = _CHECKSUM.sub("", text, count=1)
    if not found or found[1] != f"sha256:{hashlib.sha256(rest.encode()).hexdigest()}":
        raise DamagedLockError(
            f"{path} was changed by hand or damaged: its checksum does not fit", hint=_RELOCK
        )
    try:
        return _lock(tables)
    except (KeyError, TypeError, ValueError, AttributeError, WardianError) as error:
        raise DamagedLockError(f"{path} is no lock that wardian wrote: {error}", hint=_RELOCK) from error


def _check_version(path: Path, version: object) -> None:
    if type(version) is not int or version < 1:
        raise DamagedLockError(f"{path} has no version", hint=_RELOCK)
    if version > VERSION:
        raise NewerLockError(
            f"{path} was written by a newer wardian (lock version {version}, this one knows {VERSION})",
            hint="upgrade wardian",
        )


def _lock(tables: dict[str, Any]) -> Lock:
    _check_keys(tables, "version", "spec", "checksum", "platform")
    _check(_SPEC.fullmatch(tables["spec"]), f"{tables['spec']!r} is no digest of a spec")
    parts = [_platform_lock(Platform.parse(name), table) for name, table in tables["platform"].items()]
    _check(parts, "it has no platform")
    return Lock(spec=tables["spec"], platforms=tuple(sorted(parts, key=lambda part: part.platform)))


def _platform_lock(platform: Platform, table: dict[str, Any]) -> PlatformLock:
    _check_keys(table, "debian", "python", optional=("python",))
    return PlatformLock(
        platform=platform,
        debian=_debian_lock(platform, table["debian"]),
        python=_python_lock(table["python"]) if "python" in table else None,
    )


def _debian_lock(platform: Platform, table: dict[str, Any]) -> DebianLock:
    _check_keys(table, "suite", "releases", "packages")
    _check(table["suite"] in SUITES, f"{table['suite']!r} is no suite")
    packages = _records(DebianPackage, table["packages"])
    _check_names(packages)
    stages = {package.stage for package in packages}
    # The base is stage 0, and each stage stands on the one before.
    _check(stages and stages == set(range(len(stages))), f"its stages are {sorted(stages)}")
    for package in packages:
        what = f"{package.name} is for {package.architecture}"
        _check(package.architecture in (platform.debian, "all"), what)
    releases = _records(ArchiveRelease, table["releases"])
    _check(releases, "it has no releases")
    for release in releases:
        datetime.fromisoformat(release.time)
    return DebianLock(suite=table["suite"], releases=releases, packages=packages)


def _python_lock(table: dict[str, Any]) -> PythonLock:
    _check_keys(table, "interpreter", "requirements", "packages", "workbench", optional=("requirements",))
    requirements = table.get("requirements")
    is_texts = type(requirements) is list and all(type(text) is str for text in requirements)
    _check(requirements is None or is_texts, "its requirements are no array of texts")
    lock = PythonLock(
        interpreter=_record(Interpreter, table["interpreter"]),
        packages=_records(PythonPackage, table["packages"]),
        workbench=_records(PythonPackage, table["workbench"]),
        requirements=None if requirements is None else tuple(requirements),
    )
    _check_names(lock.packages)
    _check_names(lock.workbench)
    python = lock.interpreter
    _check(_PYTHON.fullmatch(python.version), f"{python.version!r} is no version of Python")
    if python.source == "uv":
        _check(python.key and python.sha256, "its interpreter has no key or no hash")
    return lock


def _records(kind: type[_T], tables: list[dict[str, Any]]) -> tuple[_T, ...]:
    _check(type(tables) is list, f"{kind.__name__}s are no array")
    return tuple(_record(kind, table) for table in tables)


def _record(kind: type[_T], table: dict[str, Any]) -> _T:
    types = {field.name: field.type for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name, value in table.items():
        if type(value).__name__ != types.get(name):
            raise ValueError(f"{kind.__name__} has no {name} of type {type(value).__name__}")
        if name in _SHAPES:
            _check(_SHAPES[name].fullmatch(value), f"{value!r} is no {name}")
        if types[name] == "int":
            _check(value >= 0, f"{value} is no {name}")
    return kind(**table)


def _check_names(packages: Sequence[DebianPackage] | Sequence[PythonPackage]) -> None:
    names = [package.name for package in packages]
    _check(len(names) == len(set(names)), "it names a package twice")


def _check_keys(table: dict[str, Any], *keys: str, optional: tuple[str, ...] = ()) -> None:
    unknown, missing = table.keys() - {*keys}, {*keys} - table.keys() - {*optional}
    _check(not unknown, f"unknown keys {sorted(unknown)}")
    _check(not missing, f"no {' and no '.join(sorted(missing))}")


def _check(holds: object, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
