"""Reads uv's configuration files and variables, for what they say of indexes. It never runs uv.

Files: uv's documentation, "Configuration files"; only the user's and the system's, for a project's own
uv.toml belongs to another tool's view of that project.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wardian.ecosystems.python.indexes import Indexes
from wardian.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_T = TypeVar("_T")
_LISTS = ("extra", "find_links", "insecure_hosts")
_NAMING = ("default", "extra", "find_links", "no_index")


def read(environment: Mapping[str, str]) -> Indexes | None:
    """The indexes that uv is configured for, or None when nothing of uv's names one.

    Raises SpecError for a file that is no TOML, or whose settings are not of uv's types.
    """
    found: dict[str, Any] = {}
    for path in _files(environment):
        found = _over(_read_file(path), found)
    found = _over(_from_variables(environment), found)
    if not any(found.get(name) for name in _NAMING):
        return None
    return Indexes(origin="uv's configuration", **{"strategy": "first-index", **found})


def _over(stronger: Mapping[str, Any], weaker: Mapping[str, Any]) -> dict[str, Any]:
    """Both settings: lists one after the other, the stronger's first; of the rest the stronger's."""
    lists = {name: (*stronger.get(name, ()), *weaker.get(name, ())) for name in _LISTS}
    joined = {name: tuple(dict.fromkeys(places)) for name, places in lists.items() if places}
    return {**weaker, **stronger, **joined}


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    """uv's files, from weakest to strongest."""
    if environment.get("UV_NO_CONFIG") in ("1", "true"):
        return
    if named := environment.get("UV_CONFIG_FILE"):
        yield Path(named)
        return
    yield Path("/etc/uv/uv.toml")
    for folder in reversed((environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")):
        yield Path(folder, "uv/uv.toml")
    home = Path(environment.get("HOME", "/nonexistent"))
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config", "uv/uv.toml")


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return _from_table(tomllib.loads(path.read_text()), path.parent)
    except OSError:
        return {}
    except (ValueError, RecursionError) as error:
        raise SpecError(f"cannot read uv's configuration {path}: {error}", hint="mend the file") from error


def _from_table(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What one file says; its `pip` table is the more special and wins. Raises ValueError."""
    table = {**table, **(_typed(table, "pip", dict) or {})}
    listed = _list(table, "index", dict)
    address = _typed(table, "index-url", str)
    default = next(
        (_named(entry, folder) for entry in listed if entry.get("default")),
        _absolute(address, folder) if address else None,
    )
    extra = [
        _named(entry, folder) for entry in listed if not entry.get("default") and not entry.get("explicit")
    ]
    found = {
        "default": default,
        "extra": (*extra, *(_absolute(place, folder) for place in _list(table, "extra-index-url", str))),
        "find_links": tuple(_absolute(place, folder) for place in _list(table, "find-links", str)),
        "no_index": _typed(table, "no-index", bool),
        "strategy": _typed(table, "index-strategy", str),
        "insecure_hosts": tuple(_list(table, "allow-insecure-host", str)),
        "keyring": _typed(table, "keyring-provider", str),
    }
    return {name: value for name, value in found.items() if value}


def _named(entry: Mapping[str, Any], folder: Path) -> str:
    name, address = _typed(entry, "name", str), _typed(entry, "url", str)
    if address is None:
        raise ValueError("an index has no url")
    address = _absolute(address, folder)
    return f"{name}={address}" if name else address


def _typed(table: Mapping[str, Any], key: str, kind: type[_T]) -> _T | None:
    value = table.get(key)
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"{key} has another type there than uv gives it")
    return value


def _list(table: Mapping[str, Any], key: str, kind: type[_T]) -> list[_T]:
    values: list[_T] = _typed(table, key, list) or []
    if not all(isinstance(value, kind) for value in values):
        raise ValueError(f"{key} has another type there than uv gives it")
    return values


def _absolute(place: str, folder: Path) -> str:
    return place if "://" in place else str(folder / os.path.expanduser(place))


def _from_variables(environment: Mapping[str, str]) -> dict[str, Any]:
    def words(name: str, separator: str | None = None) -> tuple[str, ...]:
        return tuple(filter(None, environment.get(name, "").split(separator)))

    found = {
        "default": environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL"),
        "extra": words("UV_INDEX") + words("UV_EXTRA_INDEX_URL"),
        "find_links": words("UV_FIND_LINKS", ","),
        "no_index": environment.get("UV_NO_INDEX") in ("1", "true"),
        "strategy": environment.get("UV_INDEX_STRATEGY"),
        "insecure_hosts": words("UV_INSECURE_HOST"),
        "keyring": environment.get("UV_KEYRING_PROVIDER"),
    }
    return {name: value for name, value in found.items() if value}
