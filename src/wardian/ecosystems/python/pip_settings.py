"""Reads pip's configuration files and variables, for what they say of indexes. It never runs pip.

Files and their order: pip's documentation, "Configuration", "Location" and "Precedence".
"""

from __future__ import annotations

import configparser
import os
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.ecosystems.python.indexes import Indexes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Later sections win, whichever file they are in: a command's own settings over the global ones.
_SECTIONS = ("global", "download", "install")
_KEYS = ("index-url", "extra-index-url", "find-links", "no-index", "cert", "trusted-host", "keyring-provider")


def read(environment: Mapping[str, str], prefix: Path) -> Indexes:
    """The indexes that pip would use. A file that cannot be read is passed over, as pip does."""
    files = [_read_file(path) for path in _files(environment, prefix)]
    settings: dict[str, str] = {}
    for section in _SECTIONS:
        for parser in files:
            settings |= _section(parser, section)
    for key in _KEYS:
        if value := environment.get(f"PIP_{key.upper().replace('-', '_')}"):
            settings[key] = value
    return _indexes(settings)


def _indexes(settings: Mapping[str, str]) -> Indexes:
    names_index = bool(settings.keys() & {"index-url", "extra-index-url", "find-links", "no-index"})
    return Indexes(
        origin="pip's configuration" if names_index else "uv's default",
        default=settings.get("index-url"),
        extra=tuple(settings.get("extra-index-url", "").split()),
        find_links=tuple(os.path.expanduser(place) for place in settings.get("find-links", "").split()),
        no_index=settings.get("no-index", "").lower() in ("1", "true", "yes", "on"),
        certificates=settings.get("cert") if os.path.isfile(settings.get("cert", "")) else None,
        insecure_hosts=tuple(settings.get("trusted-host", "").split()),
        keyring="subprocess" if settings.get("keyring-provider") == "subprocess" else None,
    )


def _files(environment: Mapping[str, str], prefix: Path) -> Iterator[Path]:
    """Every file pip might read, from weakest to strongest."""
    named = environment.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    for folder in reversed((environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")):
        yield Path(folder, "pip/pip.conf")
    yield Path("/etc/pip.conf")
    if not (named and os.path.exists(named)):
        home = Path(environment.get("HOME", "/nonexistent"))
        yield home / ".pip/pip.conf"
        yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config", "pip/pip.conf")
    yield prefix / "pip.conf"
    if named:
        yield Path(named)


def _read_file(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text())
    except (OSError, ValueError, configparser.Error):
        return configparser.RawConfigParser()
    return parser


def _section(parser: configparser.RawConfigParser, name: str) -> dict[str, str]:
    told = parser[name] if parser.has_section(name) else {}
    return {
        key.replace("_", "-"): value.strip() for key, value in told.items() if key.replace("_", "-") in _KEYS
    }
