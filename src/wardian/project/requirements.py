"""Reads requirement files (pip's format) into flat, canonical requirement lines.

Understood: comments, line continuations, markers, extras, hashes, and nested `-r` and `-c` files inside
the project folder. Addresses come from the user's configuration: options that give some are left out
with a note. What cannot be locked by a hash (paths, addresses, editable installs) is an error.
Format: pip's reference, "Requirements File Format".
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from wardian.errors import SpecError
from wardian.project import grammar
from wardian.project.document import read_bytes
from wardian.project.spec import Declared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# With this begins what `wardian export requirements` writes: it repeats a lock, and declares nothing.
EXPORTED = "# Written by wardian from wardian.lock"

# A chain of files longer than this is a mistake; the bound also keeps recursion shallow.
_MOST_FILES = 64

_COMMENT = re.compile(r"(?:^|\s)#.*$")
_OPTION = re.compile(r"(-[A-Za-z]|--[a-z][a-z-]*)(?:\s*=\s*|\s+)?(.*)")
_HASH = re.compile(r"\s+--hash[= ]\s*(?P<algorithm>[a-z0-9]+):(?P<digest>[0-9A-Fa-f]+)(?=\s|$)")
_HASHES = {"sha256": 64, "sha384": 96, "sha512": 128}

_SHORT = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-i": "--index-url",
    "-f": "--find-links",
}
_ADDRESSES = (
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "--no-index",
    "--trusted-host",
    "--pypi-url",
)
# These ask for what wardian does anyway, or concern only pip itself.
_IDLE = ("--require-hashes", "--prefer-binary", "--use-feature", "--use-pep517")


@dataclass(slots=True)
class _Reading:
    """What is gathered over a chain of files."""

    folder: Path
    requirements: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    requires_python: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seen: dict[tuple[Path, bool], None] = field(default_factory=dict)

    def declared(self) -> Declared:
        return Declared(
            requirements=tuple(dict.fromkeys(self.requirements)),
            constraints=tuple(dict.fromkeys(self.constraints)),
            requires_python=tuple(dict.fromkeys(self.requires_python)),
            notes=tuple(dict.fromkeys(self.notes)),
            inputs=tuple(dict.fromkeys(path for path, _ in self.seen)),
        )


def is_exported(path: Path) -> bool:
    """Whether wardian has written the file from a lock; raises SpecError for one that cannot be read."""
    return read_bytes(path).startswith(EXPORTED.encode())


def read_requirements(folder: Path, files: Sequence[str]) -> Declared:
    """Read requirement files, named relative to `folder`, and all that they include.

    A `pyproject.toml` gives its `[project]` dependencies and `requires-python`. Raises SpecError with
    file and line.
    """
    reading = _Reading(folder=folder)
    for name in files:
        path = Path(os.path.normpath(folder / name))
        if path.name == "pyproject.toml":
            _read_project(reading, path)
        else:
            _read_file(reading, path, constraint=False)
    return reading.declared()


def _read_project(reading: _Reading, path: Path) -> None:
    from wardian.project.declarations import read_project

    project = read_project(path)
    reading.seen[path, False] = None
    if project is None:
        raise SpecError(f"{path} has no [project] table to take dependencies from")
    reading.requirements += [grammar.parse_requirement(text).canonical for text in project.dependencies or ()]
    reading.requires_python += [project.requires_python] if project.requires_python else []
    reading.notes += project.notes


def _read_file(reading: _Reading, path: Path, *, constraint: bool) -> None:
    if (path, constraint) in reading.seen:
        return
    if len(reading.seen) >= _MOST_FILES:
        raise SpecError(f"{path}: more than {_MOST_FILES} requirement files include each other")
    text = _decode(path)
    reading.seen[path, constraint] = None
    for number, line in logical_lines(text):
        try:
            _read_line(reading, path, line, constraint=constraint)
        except ValueError as error:
            raise SpecError(f"{path}:{number}: {_shown(line)} {error}", hint=_advice(line)) from error


def _decode(path: Path) -> str:
    raw = read_bytes(path)
    # PowerShell's `pip freeze > requirements.txt` writes UTF-16 with a byte order mark.
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{path} is not {encoding.removesuffix('-sig').upper()} text", hint="save it as UTF-8"
        ) from error
    if "\0" in text:
        raise SpecError(f"{path}:{text.count(chr(10), 0, text.index(chr(0))) + 1}: a NUL stands in the text")
    return text


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield line number and content without comments, blank lines and continuations."""
    parts: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start if parts else number
        # As pip does it: a comment line does not continue, nor does it end what it stands in.
        comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not comment:
            parts.append(line[:-1])
            continue
        parts.append("" if comment else line)
        if content := _COMMENT.sub("", "".join(parts)).strip():
            yield start, content
        parts = []
    if content := _COMMENT.sub("", "".join(parts)).strip():
        yield start, content


def _read_line(reading: _Reading, path: Path, line: str, *, constraint: bool) -> None:
    if line.startswith("-"):
        _read_option(reading, path, line, constraint=constraint)
        return
    canonical = _with_hashes(line)
    (reading.constraints if constraint else reading.requirements).append(canonical)


def _with_hashes(line: str) -> str:
    hashes = set()
    for found in _HASH.finditer(line):
        if len(found["digest"]) != _HASHES.get(found["algorithm"]):
            raise ValueError("has a hash that is no sha256, sha384 or sha512")
        hashes.add(f" --hash={found['algorithm']}:{found['digest'].lower()}")
    rest = _HASH.sub("", line)
    if option := re.search(r"\s(--?[A-Za-z][a-z-]*)", rest):
        raise ValueError(f"has the option {option[1]}, which wardian does not have")
    return grammar.parse_requirement(rest).canonical + "".join(sorted(hashes))


def _read_option(reading: _Reading, path: Path, line: str, *, constraint: bool) -> None:
    found = _OPTION.fullmatch(line)
    option, value = (found[1], found[2].strip("\"' ")) if found else (line, "")
    option = _SHORT.get(option, option)
    if option in ("--requirement", "--constraint"):
        _read_file(reading, _nested(reading, path, value), constraint=constraint or option == "--constraint")
    elif option in _ADDRESSES:
        reading.notes.append(
            f"{_relative(reading, path)} gives {option}, which is left out: "
            "addresses come from your configuration."
        )
    elif option == "--editable":
        raise ValueError("is an editable install, which has no hash and cannot be locked")
    elif option not in _IDLE:
        raise ValueError("is an option that wardian does not have")


def _nested(reading: _Reading, path: Path, value: str) -> Path:
    if "://" in value:
        raise ValueError("is an address; only files inside the project folder can be included")
    nested = Path(os.path.normpath(path.parent / value))
    if not value or not nested.is_relative_to(Path(os.path.normpath(reading.folder))):
        raise ValueError("is no file inside the project folder")
    return nested


def _relative(reading: _Reading, path: Path) -> str:
    return os.path.relpath(path, reading.folder)


def _shown(line: str) -> str:
    # An address may hold a password: what stands between :// and @ is never shown.
    hidden = re.sub(r"(://)[^/@\s]*@", r"\1…@", line)
    return repr(hidden if len(hidden) <= 100 else f"{hidden[:100]}…")


def _advice(line: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]+=[^=].*", line):
        return "write == before a version, as in numpy==2.1.0"
    if line.startswith("--pre"):
        return "name the pre-release in the requirement itself, as in name>=2.0rc1"
    if line.startswith(("-e", "--editable", ".", "/", "file:")) or "://" in line:
        return (
            "write the package's name as the index has it, or remove the line: the project is mounted anyway"
        )
    return "write a requirement such as pandas>=2"
