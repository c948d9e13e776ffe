"""The user's configuration: where packages come from. It never reaches a lock or an image.

A file (`$WARDIAN_CONFIG`, else `$XDG_CONFIG_HOME/wardian/config.toml`) with two tables:

    [debian]
    archive = "…"            # base address of the archive
    security = "…"
    snapshot = "…/{archive}/{time}/"

    [python]
    index = "…"
    extra-indexes = ["…"]
    find-links = ["…"]
    install-mirror = "…"

Each key may also be given as a variable (system/variables.py), which wins.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.errors import SpecError
from wardian.system import variables

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS: dict[str, dict[str, type]] = {
    "debian": {"archive": str, "security": str, "snapshot": str},
    "python": {"index": str, "extra-indexes": list, "find-links": list, "install-mirror": str},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Addresses as the user gives them; None or empty where the host's own settings are to be used."""

    debian_archive: str | None = None
    debian_security: str | None = None
    debian_snapshot: str | None = None
    python_index: str | None = None
    python_extra_indexes: tuple[str, ...] = ()
    python_find_links: tuple[str, ...] = ()
    python_install_mirror: str | None = None


def read_configuration(environment: Mapping[str, str]) -> Configuration:
    """Read the configuration file and the `WARDIAN_*` variables; raises SpecError."""
    tables = _read(Path(variables.configuration_file(environment)))

    def text(table: str, key: str) -> str | None:
        value = environment.get(_variable(table, key)) or tables.get(table, {}).get(key)
        return str(value) if value else None

    def texts(table: str, key: str) -> tuple[str, ...]:
        if value := environment.get(_variable(table, key)):
            return tuple(value.split())
        listed = tables.get(table, {}).get(key)
        return tuple(map(str, listed)) if isinstance(listed, list) else ()

    return Configuration(
        debian_archive=text("debian", "archive"),
        debian_security=text("debian", "security"),
        debian_snapshot=text("debian", "snapshot"),
        python_index=text("python", "index"),
        python_extra_indexes=texts("python", "extra-indexes"),
        python_find_links=texts("python", "find-links"),
        python_install_mirror=text("python", "install-mirror"),
    )


def _variable(table: str, key: str) -> str:
    return f"WARDIAN_{table}_{key}".upper().replace("-", "_")


def _read(path: Path) -> dict[str, dict[str, object]]:
    try:
        tables = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SpecError(f"cannot read the configuration {path}: {error}", hint="mend or remove it") from error
    for table, keys in tables.items():
        if table not in _KEYS or not isinstance(keys, dict):
            raise SpecError(f"{path}: unknown table {table!r}", hint=f"use {' or '.join(_KEYS)}")
        for key, value in keys.items():
            if not isinstance(value, _KEYS[table].get(key, ())):
                raise SpecError(
                    f"{path}: [{table}] has an unknown key or a wrong type at {key!r}",
                    hint=f"use {', '.join(_KEYS[table])}",
                )
    return tables
