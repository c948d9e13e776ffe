"""The user's configuration: where packages come from. It never reaches a lock or an image.

A file (`$WARDIAN_CONFIG`, else `$XDG_CONFIG_HOME/wardian/config.toml`) with three tables:

    [debian]
    archive = "…"            # base address of the archive
    security = "…"
    snapshot = "…/{archive}/{time}/"

    [python]
    index = "…"
    extra-indexes = ["…"]
    find-links = ["…"]
    install-mirror = "…"

    [registries."registry.example:5000"]
    mirrors = ["…"]
    insecure = true

Each key may also be given as a variable (system/variables.py), which wins.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.errors import SpecError
from wardian.registry.settings import RegistrySettings, Settings, check_host, check_mirror
from wardian.system import variables

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS: dict[str, dict[str, type]] = {
    "debian": {"archive": str, "security": str, "snapshot": str},
    "python": {"index": str, "extra-indexes": list, "find-links": list, "install-mirror": str},
}

_REGISTRIES = "registries"


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
    registries: Settings = field(default_factory=dict)


def read_configuration(environment: Mapping[str, str]) -> Configuration:
    """Read the configuration file and the `WARDIAN_*` variables; raises SpecError."""
    tables = _read(
        Path(variables.configuration_file(environment)), named=bool(environment.get("WARDIAN_CONFIG"))
    )

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
        registries=_registries(tables, environment),
    )


def _variable(table: str, key: str) -> str:
    return f"WARDIAN_{table}_{key}".upper().replace("-", "_")


def _read(path: Path, *, named: bool) -> dict[str, dict[str, object]]:
    """The file's tables, checked; none where it does not exist, unless it was `named`."""
    try:
        tables = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        if not named:
            return {}
        raise SpecError(
            f"the configuration that WARDIAN_CONFIG names does not exist: {path}",
            hint="set WARDIAN_CONFIG to the file that is meant, or unset it",
        ) from error
    except (OSError, ValueError) as error:
        raise SpecError(f"cannot read the configuration {path}: {error}", hint="mend or remove it") from error
    registries = tables.pop(_REGISTRIES, {})
    _check_registries(path, registries)
    for table, keys in tables.items():
        if table not in _KEYS or not isinstance(keys, dict):
            known = " or ".join((*_KEYS, _REGISTRIES))
            raise SpecError(f"{path}: unknown table {table!r}", hint=f"use {known}")
        for key, value in keys.items():
            if not isinstance(value, _KEYS[table].get(key, ())):
                raise SpecError(
                    f"{path}: [{table}] has an unknown key or a wrong type at {key!r}",
                    hint=f"use {', '.join(_KEYS[table])}",
                )
    return {**tables, _REGISTRIES: registries}


def _check_registries(path: Path, registries: object) -> None:
    if not isinstance(registries, dict):
        raise SpecError(f"{path}: registries is no table", hint='write [registries."registry.example"]')
    for name, keys in registries.items():
        what = f"{path}: [registries.{name!r}]"
        check_host(name, what)
        for key, value in keys.items() if isinstance(keys, dict) else [("", None)]:
            if not isinstance(value, {"mirrors": list, "insecure": bool}.get(key, ())):
                raise SpecError(
                    f"{what} has an unknown key or a wrong type at {key!r}",
                    hint='use mirrors = ["…"] and insecure = true',
                )


def _registries(tables: Mapping[str, Mapping[str, object]], environment: Mapping[str, str]) -> Settings:
    """What is said of registries, in the file and by variables."""
    found = {
        name.lower(): RegistrySettings(
            mirrors=tuple(check_mirror(str(item), f"a mirror of {name}") for item in keys.get("mirrors", ())),
            insecure=bool(keys.get("insecure")),
        )
        for name, keys in tables.get(_REGISTRIES, {}).items()
        if isinstance(keys, dict)
    }
    if words := environment.get("WARDIAN_REGISTRY_MIRRORS", "").split():
        found = {name: replace(told, mirrors=()) for name, told in found.items()}
        for word in words:
            _add_mirror(found, word)
    for host in environment.get("WARDIAN_REGISTRY_INSECURE", "").split():
        name = check_host(host, "WARDIAN_REGISTRY_INSECURE")
        found[name] = replace(found.get(name, RegistrySettings()), insecure=True)
    return found


def _add_mirror(found: dict[str, RegistrySettings], word: str) -> None:
    name, equals, mirror = word.partition("=")
    if not equals:
        raise SpecError(
            f"WARDIAN_REGISTRY_MIRRORS: {word!r} does not say what it mirrors",
            hint="write REGISTRY=MIRROR, such as docker.io=mirror.example",
        )
    name = check_host(name, "WARDIAN_REGISTRY_MIRRORS")
    told = found.get(name, RegistrySettings())
    mirror = check_mirror(mirror, "WARDIAN_REGISTRY_MIRRORS")
    found[name] = replace(told, mirrors=(*told.mirrors, mirror))
