"""What dpkg's database says of installed packages, as far as bills of materials tell it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wardian.export.layered import Layered

_STATUS = "var/lib/dpkg/status"


def read_status(tree: Layered) -> Mapping[str, Mapping[str, str]]:
    """The fields of each package by its name; of a field that spans lines, the first line."""
    text = (tree.read(_STATUS) or b"").decode(errors="replace")
    found = {}
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields = dict(_fields(stanza))
        if name := fields.get("Package"):
            found[name] = fields
    return found


def siblings(status: Mapping[str, Mapping[str, str]], package: str) -> list[str]:
    """The other packages that are built from the same source, in order."""
    source = _source(status.get(package, {}), package)
    return sorted(
        name for name, fields in status.items() if name != package and _source(fields, name) == source
    )


def _source(fields: Mapping[str, str], package: str) -> str:
    return fields.get("Source", package).partition(" ")[0]


def _fields(stanza: str) -> Iterator[tuple[str, str]]:
    for line in stanza.splitlines():
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            yield name, value.strip()
