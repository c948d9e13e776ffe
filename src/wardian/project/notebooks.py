"""Reads the Python of a notebook (nbformat): code cells without magics, and what `%pip` installs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from wardian.errors import SpecError
from wardian.project.document import read_bytes

# Outputs stand in the file too: pictures make notebooks large.
_LARGEST = 64 << 20

# Cell magics of IPython whose body is Python still; any other cell is in another language.
_PYTHON_CELLS = ("time", "timeit", "capture", "prun", "memit", "mprun", "lprun", "python", "python3")
_ASSIGNED = re.compile(r"^(\s*[A-Za-z_][\w.,\s]*=\s*)[%!].*$")
_HELP = re.compile(r"^\s*[A-Za-z_][\w.]*\?{1,2}\s*$")
_INSTALL = re.compile(
    r"^\s*(?:%|!)\s*(?:uv\s+)?(?:\S*python[\d.]*\S*\s+-m\s+|\{sys\.executable\}\s+-m\s+)?pip3?\s+install\s+(?P<words>.+)$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """`cells` are the code cells as they are; `language` is the kernel's, `python` where none is named."""

    language: str
    cells: tuple[str, ...]


def read_notebook(path: Path) -> Notebook:
    """Read a notebook; raises SpecError for a file that is none."""
    raw = read_bytes(path, limit=_LARGEST)
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path} is no notebook: it is not JSON ({_reason(error)})") from error
    cells = content.get("cells") if isinstance(content, dict) else None
    if cells is None and isinstance(content, dict):
        cells = _old_cells(content)
    if not isinstance(cells, list):
        raise SpecError(f"{path} is no notebook: it has no list of cells (nbformat 4)")
    return Notebook(language=_language(content), cells=tuple(filter(None, map(_source, cells))))


def _reason(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)


def _old_cells(content: dict[str, object]) -> object:
    # nbformat 3 keeps cells in worksheets, and a code cell's text as `input`.
    sheets = content.get("worksheets")
    if not isinstance(sheets, list):
        return None
    return [cell for sheet in sheets if isinstance(sheet, dict) for cell in _listed(sheet.get("cells"))]


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _language(content: dict[str, object]) -> str:
    metadata = content.get("metadata")
    for table, key in (("kernelspec", "language"), ("language_info", "name")):
        inner = metadata.get(table) if isinstance(metadata, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get(key), str):
            return str(inner[key]).lower()
    return "python"


def _source(cell: object) -> str:
    if not isinstance(cell, dict) or cell.get("cell_type") != "code":
        return ""
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def strip_magics(cell: str) -> str:
    """Return a cell as Python, line for line: magics, shell lines and help are blanked."""
    lines = cell.split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    if lines[first].lstrip().startswith("%%"):
        words = lines[first].lstrip()[2:].split()
        if not words or words[0] not in _PYTHON_CELLS:
            return ""
        lines[first] = ""
    plain: list[str] = []
    continued = False
    for line in lines:
        special = continued or line.lstrip().startswith(("%", "!", "?")) or bool(_HELP.match(line))
        continued = special and line.rstrip().endswith("\\")
        indent = line[: len(line) - len(line.lstrip())]
        # `pass` keeps an indented block, such as `try:` over `%load_ext`, whole.
        plain.append(f"{indent}pass" if special else _ASSIGNED.sub(r"\1None", line))
    return "\n".join(plain)


def installed_words(cell: str) -> list[list[str]]:
    """Return the arguments of each `%pip install`, `!pip install` or `!python -m pip install` line."""
    import shlex

    found: list[list[str]] = []
    for line in re.sub(r"\\\n", " ", cell).split("\n"):
        if match := _INSTALL.match(line):
            try:
                words = shlex.split(re.split(r"\s(?:&&|\|\|?|;|>|2>)", match["words"])[0], comments=True)
            except ValueError:
                words = match["words"].split()
            found.append(words)
    return found
