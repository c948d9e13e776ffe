"""Edits an array of packages inside a TOML text, keeping comments, order and layout."""

from __future__ import annotations

import tomllib

from tomlkit import array, dumps, inline_table, parse, table
from tomlkit.items import Array, InlineTable

from wardian.project.keys import Keys, key_text
from wardian.project.positions import locate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# A one-line array longer than this is written with one package a line.
_LINE_LENGTH = 80


def set_packages(
    text: str, tables: tuple[str, ...], packages: tuple[str, ...], name_of: Callable[[str], str]
) -> str:
    """Return the text with the array `packages` of a table holding `packages`.

    Entries that stay keep their place, and one of the same name takes the place of one that does not. The
    table and the array are made where they are absent.
    """
    document = parse(_with_array(text, tables))
    holder = _holder(document, tables)
    if "packages" not in holder:
        holder["packages"] = array()
    entries = holder["packages"]
    assert isinstance(entries, Array)
    _fill(entries, packages, name_of)
    written = entries.as_string()
    if "\n" not in written and len(written) > _LINE_LENGTH:
        entries.multiline(True)
    return dumps(document)


def _fill(entries: Array, packages: tuple[str, ...], name_of: Callable[[str], str]) -> None:
    # Several requirements may have one name, told apart by their markers.
    present = {str(entry) for entry in entries}
    staying = [text for text in packages if text in present]
    new = [text for text in packages if text not in present]
    kept = 0
    while kept < len(entries):
        text = str(entries[kept])
        if text in staying:
            staying.remove(text)
        elif same := [other for other in new if name_of(other) == name_of(text)]:
            entries[kept] = same[0]
            new.remove(same[0])
        else:
            del entries[kept]
            continue
        kept += 1
    for text in new:
        entries.append(text)


def _holder(document: Any, tables: tuple[str, ...]) -> Any:
    place = document
    for name in tables:
        if name not in place:
            place[name] = inline_table() if isinstance(place, InlineTable) else table()
        place = place[name]
    return place


def _with_array(text: str, tables: tuple[str, ...]) -> str:
    """Write an empty array, where there is none, at the end of its table, and that behind its kin.

    tomlkit would write both behind the comments that belong to what follows. Tables that are written as
    inline tables or dotted keys are left to tomlkit.
    """
    place: object = tomllib.loads(text)
    for name in (*tables, "packages"):
        place = place.get(name) if isinstance(place, dict) else None
    if place is not None:
        return text
    lines = text.split("\n")
    header = locate(text).get(tables)
    if header is not None:
        if not lines[header - 1].lstrip().startswith("["):
            return text
        changed = _insert(text, lines, tables, ["packages = []"])
    else:
        changed = _insert(text, lines, tables[:-1], ["", f"[{key_text(tables)}]", "packages = []"])
    try:
        tomllib.loads(changed)
    except ValueError:
        return text
    return changed


def _insert(text: str, lines: list[str], tables: Keys, new: list[str]) -> str:
    """Insert lines behind the last line, comments and blank lines aside, that belongs to a table."""
    places = locate(text)
    inside = [line for keys, line in places.items() if keys[: len(tables)] == tables]
    behind = [line for line in places.values() if line > max(inside)]
    last = min(behind, default=len(lines) + 1) - 1
    while last > max(inside) and lines[last - 1].strip()[:1] in ("", "#"):
        last -= 1
    if not text.strip():
        last, new = 0, new[1:]
    end = "\r" if "\r\n" in text else ""
    rest = lines[last:] or [""]
    return "\n".join([*lines[:last], *(line + end for line in new), *rest])
