"""Reads what uv resolved (pylock.toml, PEP 751) and picks the one file of each package to install.

The addresses in it are used here, for a size that an index does not tell, and go no further.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from wardian.ecosystems.python.model import PythonPackage
from wardian.errors import InternalError, ResolveError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.markers import Marker

    from wardian.image.platform import Platform

# The oldest glibc for which wheels of an architecture may be tagged (PEP 600; x86_64 alone has
# manylinux1), and the names of before PEP 600 that stand for one.
_OLDEST_GLIBC = {"x86_64": 5}
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# uv 0.13 knows no later one as target; a wheel that needs a later one is not picked.
_NEWEST_GLIBC = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The Python and the machine that packages are chosen for. `glibc` as in (2, 41)."""

    python: str
    platform: Platform
    glibc: tuple[int, int]

    @property
    def minor(self) -> tuple[int, int]:
        """The Python's language version, as in (3, 13)."""
        major, minor = self.python.split(".")[:2]
        return int(major), int(minor)

    @property
    def uv_platform(self) -> str:
        """The target as uv's `--python-platform` names it."""
        if self.platform.machine == "riscv64":
            return "riscv64-unknown-linux"  # uv has no riscv64 name with a glibc version
        return f"{self.platform.machine}-manylinux_2_{self._newest}"

    @property
    def arguments(self) -> list[str]:
        """uv's arguments for this target."""
        return ["--python-version", self.python, "--python-platform", self.uv_platform]

    @property
    def _newest(self) -> int:
        return min(self.glibc[1], _NEWEST_GLIBC)

    def fits(self, marker: Marker) -> bool:
        """Whether an environment marker (PEP 508) holds; one that cannot be told does."""
        from packaging.markers import UndefinedComparison

        found = {
            "implementation_name": "cpython",
            "implementation_version": self.python,
            "os_name": "posix",
            "platform_machine": self.platform.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.python,
            "python_version": "{}.{}".format(*self.minor),
            "sys_platform": "linux",
        }
        try:
            return marker.evaluate(found)
        except (UndefinedComparison, ValueError):
            return True

    def tags(self) -> list[str]:
        """The wheel tags that fit (PEP 425, 600), best first."""
        from packaging.tags import compatible_tags, cpython_tags

        platforms = list(self._platforms())
        name = "cp{}{}".format(*self.minor)
        best = cpython_tags(self.minor, [name], platforms)
        return [str(tag) for tag in (*best, *compatible_tags(self.minor, name, platforms))]

    def _platforms(self) -> Iterator[str]:
        machine = self.platform.machine
        for minor in range(self._newest, _OLDEST_GLIBC.get(machine, 17) - 1, -1):
            yield f"manylinux_2_{minor}_{machine}"
            if minor in _LEGACY:
                yield f"{_LEGACY[minor]}_{machine}"
        yield f"linux_{machine}"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A distribution file that an index lists. `size` is None where the index does not tell."""

    name: str
    address: str
    sha256: str
    size: int | None

    @property
    def is_wheel(self) -> bool:
        """Whether it is installed as it is, or has to be built."""
        return self.name.endswith(".whl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A package that uv chose, with the files that fit the target."""

    name: str
    version: str
    files: tuple[File, ...]


def read(text: str) -> tuple[Resolved, ...]:
    """Read uv's pylock.toml. Raises ResolveError for a package that comes from no index."""
    return tuple(_resolved(entry) for entry in tomllib.loads(text).get("packages", []))


def _resolved(entry: Mapping[str, Any]) -> Resolved:
    if other := entry.keys() & {"vcs", "directory", "archive"}:
        raise ResolveError(
            f"{entry['name']} comes from a {other.pop()}, which cannot be locked",
            hint="name a version that the package index has",
        )
    listed = [*entry.get("wheels", []), *([entry["sdist"]] if "sdist" in entry else [])]
    return Resolved(
        name=entry["name"], version=str(entry["version"]), files=tuple(_file(found) for found in listed)
    )


def _file(entry: Mapping[str, Any]) -> File:
    address = entry.get("url") or entry.get("path") or ""
    name = entry.get("name") or unquote(urlsplit(address).path).rpartition("/")[2]
    return File(
        name=name, address=address, sha256=entry.get("hashes", {}).get("sha256", ""), size=entry.get("size")
    )


def choose(
    found: Resolved,
    tags: Sequence[str],
    *,
    kept: PythonPackage | None,
    allowed: frozenset[str],
    target: Target,
) -> File:
    """The file to install: the one locked before if it is still listed, else the best wheel, else the source.

    `allowed` holds the digests that the requirement itself demands; empty for any. Raises ResolveError
    when nothing fits, VerificationError when no file is an allowed one.
    """
    files = [file for file in found.files if not allowed or file.sha256 in allowed]
    if found.files and not files:
        raise VerificationError(
            f"no file of {found.name} {found.version} has a hash that its requirement gives",
            hint="correct the --hash of the requirement",
        )
    if kept is not None and kept.version == found.version:
        for file in files:
            if file.sha256 == kept.sha256:
                return file
    ranks = {tag: rank for rank, tag in enumerate(tags)}
    if wheels := sorted((file for file in files if file.is_wheel), key=lambda file: _rank(file.name, ranks)):
        return wheels[0]
    return next(iter(files), None) or _nothing(found, target)


def _nothing(found: Resolved, target: Target) -> File:
    python = "{}.{}".format(*target.minor)
    raise ResolveError(
        f"{found.name} {found.version} has no wheel for Python {python} on {target.platform}, and no source",
        hint=f"ask for another version of {found.name}, or of Python",
    )


def _rank(name: str, ranks: Mapping[str, int]) -> tuple[int, int, str]:
    """Best first: the tag's place, then the later build (PEP 427), then a name, so that it is certain.

    uv lists only wheels that it would install; one whose tags are unknown here comes last.
    """
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        _, _, build, tags = parse_wheel_filename(name)
    except InvalidWheelFilename:
        return len(ranks) + 1, 0, name
    return min(ranks.get(str(tag), len(ranks)) for tag in tags), -(build[0] if build else 0), name


def package(found: Resolved, file: File, size: int) -> PythonPackage:
    """What the lock says of it. Raises VerificationError for a file without a SHA-256."""
    if not file.sha256:
        raise VerificationError(f"the index gives no SHA-256 for {file.name}")
    return PythonPackage(
        name=found.name, version=found.version, file=file.name, size=size, sha256=file.sha256
    )


def write(packages: Iterable[PythonPackage]) -> str:
    """A pylock.toml that tells uv which versions to prefer, for want of reasons against them."""
    lines = ['lock-version = "1.0"', 'created-by = "wardian"']
    for entry in packages:
        if '"' in entry.name + entry.version or "\\" in entry.name + entry.version:
            raise InternalError(f"a package with a quote in its name: {entry.name!r}")
        lines += ["[[packages]]", f'name = "{entry.name}"', f'version = "{entry.version}"']
    return "\n".join(lines) + "\n"
