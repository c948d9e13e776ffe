"""Describes the spec to other programs and to people, from the model alone: JSON Schema and key table."""

from __future__ import annotations

from wardian.project.keys import Keys, key_text
from wardian.project.kinds import Either, Key, Kind, List, Map, Schema, Table, declared_keys
from wardian.project.spec import Spec, Task


def spec_schema() -> Schema:
    """Return the JSON Schema (2020-12) of `wardian.toml`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "wardian.toml",
        "description": "What a project runs in.",
        **Table(model=Spec).schema(),
    }


def key_table() -> str:
    """Return the reference of all keys as a Markdown table."""
    rows = ["| key | value | default | |", "|---|---|---|---|"]
    for keys, key in _walk((), Spec):
        cells = (f"`{key_text(keys)}`", _nature(key.kind), _default(key), _says(key))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _walk(prefix: Keys, model: type) -> list[tuple[Keys, Key]]:
    rows: list[tuple[Keys, Key]] = []
    for name, key in declared_keys(model).items():
        rows.append(((*prefix, name), key))
        if isinstance(key.kind, Table):
            rows += _walk((*prefix, name), key.kind.model)
        if name == "tasks":
            rows += _walk((*prefix, name, "NAME"), Task)
    return rows


def _nature(kind: Kind) -> str:
    if isinstance(kind, Table):
        return "table"
    if isinstance(kind, List | Map | Either):
        return kind.expected
    choices = getattr(kind, "choices", ())
    return " or ".join(f'`"{choice}"`' for choice in choices) or kind.expected


def _default(key: Key) -> str:
    if key.required:
        return "required"
    return (
        f"`{key.default}`"
        if key.default[:1] in ('"', "[", "{") or key.default in ("true", "false")
        else key.default
    )


def _says(key: Key) -> str:
    return f"{key.says} Example: `{key.example}`" if key.example else key.says
