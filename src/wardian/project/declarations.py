"""Reads what other tools' files declare: pyproject.toml, PEP 723 blocks, apt.txt, .python-version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from wardian.errors import SpecError
from wardian.project import grammar
from wardian.project.document import Document, parse_toml, read_text
from wardian.project.kinds import List, Place, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DEPENDENCIES = List(
    item=Text(expected="a requirement (PEP 508)", check=grammar.check_requirement, examples=("pandas>=2",)),
    expected="an array of requirements (PEP 508)",
)
_REQUIRES_PYTHON = Text(expected="a version specifier", check=grammar.python_specifier, examples=(">=3.11",))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectTable:
    """What `[project]` or a PEP 723 block declares; `dependencies` is None where the key is absent."""

    dependencies: tuple[str, ...] | None = None
    requires_python: str = ""
    notes: tuple[str, ...] = ()


def read_project(path: Path) -> ProjectTable | None:
    """Read a pyproject.toml's `[project]` (PEP 621), None where it has none; raises SpecError."""
    document = Document.read(path, prefix=("project",))
    table = document.table()
    if table is None:
        return None
    declared = _read_table(document, table)
    dynamic = table.get("dynamic") if isinstance(table, dict) else None
    if isinstance(dynamic, list) and "dependencies" in dynamic:
        note = f"{path.name} computes its dependencies (dynamic), which is not read."
        return ProjectTable(requires_python=declared.requires_python, notes=(note,))
    return declared


def _read_table(document: Document, table: object) -> ProjectTable:
    place = Place(document=document, root=ProjectTable)
    if not isinstance(table, dict):
        raise place.wrong_type(table, "a table")
    given = table.get("dependencies")
    requires = table.get("requires-python")
    return ProjectTable(
        dependencies=_DEPENDENCIES.read(given, place / "dependencies") if given is not None else None,
        requires_python=_REQUIRES_PYTHON.read(requires, place / "requires-python")
        if requires is not None
        else "",
    )


def read_script_metadata(path: Path, texts: Iterable[str]) -> ProjectTable | None:
    """Read the PEP 723 block of a script, None where it has none; raises SpecError.

    `texts` are the script's text, or the code cells of a notebook.
    """
    found = [block for text in texts for block in _script_blocks(text)]
    if not found:
        return None
    if len(found) > 1:
        raise SpecError(
            f"{path} has {len(found)} script blocks; PEP 723 allows one", hint="merge them into one"
        )
    first, content = found[0]
    table = parse_toml(content, str(path), first_line=first)
    # Blank lines in front make the places in this document those in the script.
    return _read_table(Document(path=path, text="\n" * (first - 1) + content), table)


def _script_blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield first line and content of each `script` block.

    The specification's regular expression, line by line: on hostile text it would take quadratic time.
    A block ends at the last `# ///` of the run of comment lines that it begins.
    """
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    at = 0
    while at < len(lines):
        if lines[at] != "# /// script":
            at += 1
            continue
        end = at + 1
        while end < len(lines) and (lines[end] == "#" or lines[end].startswith("# ")):
            end += 1
        closing = [index for index in range(at + 1, end) if lines[index] == "# ///"]
        if closing:
            yield at + 2, "\n".join(line[2:] for line in lines[at + 1 : closing[-1]])
        at = end


def read_apt(path: Path) -> tuple[str, ...]:
    """Read an apt.txt (REES): Debian packages, one or several a line; raises SpecError."""
    packages: dict[str, None] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        for word in line.partition("#")[0].split():
            try:
                packages[grammar.check_debian_package(word)] = None
            except ValueError as error:
                raise SpecError(
                    f"{path}:{number}: {word[:80]!r} {error}", hint="write one package a line"
                ) from error
    return tuple(packages)


def read_python_version(path: Path) -> str:
    """Read a .python-version (pyenv's, uv's): the first version in it, empty where it names none.

    Raises SpecError for what is no version of CPython.
    """
    for number, line in enumerate(read_text(path).splitlines(), 1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        version = re.sub(r"^(?:c?python)[-@]?(?=\d)", "", word)
        version = re.sub(r"^(\d+\.\d+(?:\.\d+)?)-\S*$", r"\1", version)
        if word == "system":
            return ""
        try:
            return grammar.check_python_version(version)
        except ValueError as error:
            raise SpecError(
                f"{path}:{number}: {word[:80]!r} is no version of CPython",
                hint="write a version such as 3.12",
            ) from error
    return ""
