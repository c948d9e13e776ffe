"""Which distribution owns which file of an environment, as their RECORDs say it.

A RECORD is a table of path, hash and size (recording installed projects, "The RECORD file"). It comes from
packages: its paths are compared, and never followed, and its hashes are believed of no path that another
distribution names too.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wardian.errors import BuildError

# Those that RECORDs may use: no weaker ones, and what every Python has (binary distribution format).
_ALGORITHMS = frozenset(("sha256", "sha384", "sha512"))
_LARGEST = 256 << 20  # bytes of one RECORD; a hundred thousand files take 15 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Who names which path below an environment. `single` is by path; `shared` by path, name and hash."""

    single: Mapping[str, str]
    shared: Mapping[str, Mapping[str, str]]

    def owners(self, files: Mapping[str, Path]) -> dict[str, tuple[str, ...]]:
        """The distributions that own each path; `files` are the installed ones, of `shared` at least.

        Of several that name a path, those own it whose hash is that of the file: perhaps none does. What
        follows from a distribution's digest may then be kept by it, whatever it is installed with.
        """
        owners = {path: (name,) for path, name in self.single.items()}
        return owners | {path: _holders(found, files.get(path)) for path, found in self.shared.items()}

    def conflicting(self) -> tuple[str, ...]:
        """The distributions that name a path which others name too: the order of installing them decides.

        Even where their hashes are the same: these are claims, and not checked by who installs.
        """
        return tuple(sorted({name for found in self.shared.values() for name in found}))


def _holders(found: Mapping[str, str], file: Path | None) -> tuple[str, ...]:
    if file is None:
        return ()
    true: dict[str, str] = {}
    for algorithm in {told.partition("=")[0] for told in found.values()} & _ALGORITHMS:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, algorithm).digest()
        true[algorithm] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    named = ((name, told.partition("=")) for name, told in sorted(found.items()))
    return tuple(name for name, (algorithm, _, told) in named if told and true.get(algorithm) == told)


def read(environment: Path, names: Collection[str] | None = None) -> Claims:
    """Read the RECORDs below `environment`; of `names` alone, where they are given.

    Raises BuildError for a RECORD that cannot be read, or that another distribution brought.
    """
    found: dict[str, tuple[str, str]] = {}
    shared: dict[str, dict[str, str]] = {}
    chosen = [entry for entry in _distributions(environment) if names is None or entry[1] in names]
    for folder, name in chosen:
        site = folder.rpartition("/")[0]
        for path, told in _rows(environment / folder / "RECORD", name):
            place = _place(site, path)
            first, digest = found.setdefault(place, (name, told))
            if first != name:
                shared.setdefault(place, {first: digest})[name] = told
    for folder, name in chosen:
        _check_own(f"{folder}/RECORD", name, found, shared)
    found.pop("", None)
    shared.pop("", None)
    single = {path: name for path, (name, _) in found.items() if path not in shared}
    return Claims(single=single, shared=shared)


def _check_own(
    path: str, name: str, found: Mapping[str, tuple[str, str]], shared: Mapping[str, Mapping[str, str]]
) -> None:
    """A RECORD that another distribution has put there says whatever that one wants."""
    for other in shared.get(path, [found[path][0]] if path in found else []):
        if other != name:
            raise BuildError(
                f"the Python package {other} brings a RECORD of {name}",
                hint=f"do not use it: remove {other}, or ask for another version of it",
            )


def normalize(name: str) -> str:
    """A project's name as all spellings of it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _distributions(environment: Path) -> Iterator[tuple[str, str]]:
    """The dist-info folders below `environment`, in order, and the names of their distributions."""
    for folder in sorted(environment.glob("lib/python3.*/site-packages/*.dist-info")):
        if (folder / "RECORD").is_file() and not (folder / "RECORD").is_symlink() and not folder.is_symlink():
            yield str(folder.relative_to(environment)), normalize(folder.name.split("-")[0])


def _rows(record: Path, name: str) -> Iterator[tuple[str, str]]:
    if os.lstat(record).st_size > _LARGEST:
        raise BuildError(f"the RECORD of the Python package {name} is too large to be one")
    with open(record, newline="", encoding="utf-8", errors="surrogateescape") as file:
        try:
            for row in csv.reader(file):
                if row:
                    yield row[0], row[1] if len(row) > 1 else ""
        except csv.Error as error:
            raise BuildError(f"the RECORD of the Python package {name} cannot be read: {error}") from error


def _place(site: str, path: str) -> str:
    """Where a RECORD's path leads below the environment, or "" where it leads out of it.

    Its lib64 is a link to lib, as venv makes it.
    """
    if path.startswith("/") or "\0" in path:
        return ""
    place = f"{site}/{path}"
    if ".." in path or "//" in path or "./" in path:
        place = posixpath.normpath(place)
    if place.startswith("lib64/"):
        place = f"lib/{place[6:]}"
    return "" if place.startswith("../") or place in (".", "..") else place
