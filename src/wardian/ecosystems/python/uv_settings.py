"""Reads uv's configuration files and variables, for what they say of indexes. It never runs uv.

Files: uv's documentation, "Configuration files"; only the user's and the system's, for a project's own
uv.toml belongs to another tool's view of that project.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.ecosystems.python.indexes import Indexes
from wardian.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAMING = ("default", "extra", "find_links", "no_index")


def read(environment: Mapping[str, str]) -> Indexes | None:
    """The indexes that uv is configured for, or None when nothing of uv's names one.

    Raises SpecError for a file that is no TOML.
    """
    found: dict[str, Any] = {}
    for path in _files(environment):
        found |= _from_table(_read_file(path), path.parent)
    found |= _from_variables(environment)
    if not any(found.get(name) for name in _NAMING):
        return None
    return Indexes(origin="uv's configuration", **{"strategy": "first-index", **found})


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
        return tomllib.loads(path.read_text())
    except OSError:
        return {}
    except ValueError as error:
        raise SpecError(f"cannot read uv's configuration {path}: {error}", hint="mend the file") from error


def _from_table(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What one file says; its `pip` table is the more special and wins."""
    table = {**table, **table.get("pip", {})}
    listed = table.get("index", [])
    default = next((entry["url"] for entry in listed if entry.get("default")), table.get("index-url"))
    extra = [_named(entry) for entry in listed if not entry.get("default") and not entry.get("explicit")]
    found = {
        "default": default,
        "extra": (*extra, *table.get("extra-index-url", [])),
        "find_links": tuple(_absolute(place, folder) for place in table.get("find-links", [])),
        "no_index": table.get("no-index"),
        "strategy": table.get("index-strategy"),
        "insecure_hosts": tuple(table.get("allow-insecure-host", [])),
        "keyring": table.get("keyring-provider"),
    }
    return {name: value for name, value in found.items() if value}


def _named(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']}={entry['url']}" if entry.get("name") else str(entry["url"])


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
