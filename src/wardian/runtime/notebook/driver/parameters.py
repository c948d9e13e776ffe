# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-call"
"""Injects parameters by papermill's convention.

A cell tagged `parameters` holds the defaults; the values given go into a cell tagged
`injected-parameters` right after it, which takes the place of an earlier one. Without a `parameters`
cell it stands at the top. (papermill's documentation, "Parameterize".)
"""

from __future__ import annotations

import ast
import difflib
import keyword
import math
from typing import Any

import nbformat

from .events import DriverError


def inject(notebook: Any, parameters: dict[str, Any]) -> list[str]:
    """Add or replace the cell of parameters; returns warnings. Raises DriverError for an impossible name."""
    if not parameters:
        return []
    for name in parameters:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise DriverError("parameters", f"the parameter name {name!r} is no Python name")
    defaults = _tagged(notebook, "parameters")
    warnings = _doubts(notebook.cells[defaults].source if defaults is not None else None, parameters)
    _insert(notebook, _cell(parameters), after=defaults)
    return warnings


def _insert(notebook: Any, cell: Any, *, after: int | None) -> None:
    if notebook.get("nbformat_minor", 0) < 5:
        cell.pop("id", None)  # cells have ids from nbformat 4.5 on (JEP 62)
    earlier = _tagged(notebook, "injected-parameters")
    if earlier is not None:
        notebook.cells[earlier] = cell
    else:
        notebook.cells.insert(0 if after is None else after + 1, cell)


def _cell(parameters: dict[str, Any]) -> Any:
    lines = [f"{name} = {_literal(value)}" for name, value in parameters.items()]
    metadata = {"tags": ["injected-parameters"]}
    return nbformat.v4.new_code_cell("\n".join(["# Parameters", *lines]), metadata=metadata)


def _literal(value: Any) -> str:
    """Python source for a value that came as JSON; repr() has no source for nan and infinities."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, list):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_literal(item)}" for key, item in value.items()) + "}"
    return repr(value)


def _tagged(notebook: Any, tag: str) -> int | None:
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and tag in cell.metadata.get("tags", []):
            return index
    return None


def _doubts(source: str | None, parameters: dict[str, Any]) -> list[str]:
    if source is None:
        return ["the notebook has no cell tagged 'parameters': the values are set at its top"]
    known = _assigned(source)
    if known is None:
        return []
    return [_unknown(name, known) for name in parameters if name not in known]


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    advice = f"; did you mean {near[0]!r}?" if near else ""
    return f"the cell tagged 'parameters' sets no {name!r}{advice}"


def _assigned(source: str) -> list[str] | None:
    """The names that the cell assigns, or None when it holds magics and is no plain Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    nodes = ast.walk(tree)
    return [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
