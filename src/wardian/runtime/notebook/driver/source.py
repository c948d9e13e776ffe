# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-call"
"""Reads a notebook file, of any version that nbformat knows, and refuses what is none."""

from __future__ import annotations

import json
import re
from typing import Any

import nbformat

from .events import DriverError

# The newest major version that exists (nbformat 4, since 2015).
_NEWEST = 4

# Kernel names by which other languages' kernels install themselves, for notebooks that name no language.
_FOREIGN_KERNEL = re.compile(r"^(ir|julia|bash|deno|tslab|javascript|xcpp|scala|almond|ruby|octave|matlab)\b")

_SAVE_AS_NOTEBOOK = "open it in Jupyter and save it again as a notebook (.ipynb)"


def read_notebook(path: str) -> Any:
    """The notebook at `path`, upgraded to nbformat 4; raises DriverError when it cannot be executed."""
    text = _text(path)
    _refuse_other_documents(text)
    notebook = _upgrade(text)
    _refuse_foreign_language(notebook)
    if not any(is_executed(cell) for cell in notebook.cells):
        raise DriverError(
            "empty",
            "no code cell to execute",
            hint="save the notebook in your editor, then run it again",
        )
    return notebook


def is_executed(cell: Any) -> bool:
    """Whether nbclient executes the cell: code that is not blank, nor tagged `skip-execution`."""
    tags = cell.metadata.get("tags", [])
    return cell.cell_type == "code" and bool(cell.source.strip()) and "skip-execution" not in tags


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except OSError as error:
        raise DriverError("invalid", f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DriverError("invalid", "no notebook: not UTF-8", hint=_SAVE_AS_NOTEBOOK) from error
    if not text.strip():
        raise DriverError("invalid", "no notebook: the file is empty", hint=_SAVE_AS_NOTEBOOK)
    return text


def _refuse_other_documents(text: str) -> None:
    """nbformat's own errors are tracebacks of its parts; these are the ways in which files are wrong."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DriverError("invalid", f"no notebook: {_reason(error)}", hint=_SAVE_AS_NOTEBOOK) from error
    version = document.get("nbformat") if isinstance(document, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        message = "no notebook: JSON without the key 'nbformat'"
        raise DriverError("invalid", message, hint=_SAVE_AS_NOTEBOOK)
    if not 1 <= version <= _NEWEST:
        message = f"notebook format {version}, and formats up to {_NEWEST} are known"
        raise DriverError("invalid", message, hint=_SAVE_AS_NOTEBOOK)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON at line {error.lineno}, column {error.colno} ({error.msg})"
    return "its JSON is nested too deeply"


def _upgrade(text: str) -> Any:
    try:
        notebook = nbformat.convert(nbformat.reader.reads(text), _NEWEST)
        _, notebook = nbformat.validator.normalize(notebook)
        nbformat.validate(notebook, relax_add_props=True)
    except Exception as error:  # converters assume a valid notebook and raise whatever comes
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        message = f"no valid notebook: {reason}"
        raise DriverError("invalid", message, hint=_SAVE_AS_NOTEBOOK) from error
    return notebook


def _refuse_foreign_language(notebook: Any) -> None:
    kernel = notebook.metadata.get("kernelspec", {})
    name = str(kernel.get("name", ""))
    language = kernel.get("language") or notebook.metadata.get("language_info", {}).get("name")
    if language and str(language).lower() not in ("python", "python3", "ipython"):
        foreign = f"in {language}"
    elif not language and _FOREIGN_KERNEL.match(name):
        foreign = f"for the kernel {name!r}"
    else:
        return
    raise DriverError(
        "language",
        f"written {foreign}, and only Python notebooks can be executed",
        hint="choose a Python kernel for the notebook in Jupyter and save it",
    )
