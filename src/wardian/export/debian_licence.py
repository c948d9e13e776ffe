"""Licences of Debian packages, out of their copyright files (copyright-format 1.0, "DEP 5").

Names that Debian and SPDX both have become SPDX's; all others, and files that are in no format, become
`LicenseRef-` with their text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.export.licence import Licence, all_of, bounded, known, reference

if TYPE_CHECKING:
    from wardian.export.layered import Layered

_FORMAT = re.compile(r"\s*Format(-Specification)?:", re.IGNORECASE)
_GNU = re.compile(r"(a|l)?gpl-?v?([0-9])(?:\.([0-9]))?(?:\.0)?(\+?)", re.IGNORECASE)
_GFDL = re.compile(r"gfdl(-niv)?-(1\.[123])(\+?)", re.IGNORECASE)
# Debian's names, in lower case (copyright-format 1.0, section 7.1), where SPDX calls the same otherwise.
_NAMES = {
    "expat": "MIT",
    "artistic": "Artistic-1.0-Perl",
    "artistic-1": "Artistic-1.0-Perl",
    "artistic-2": "Artistic-2.0",
    "perl": "Artistic-1.0-Perl OR GPL-1.0-or-later",
    "zlib/libpng": "Zlib",
    "apache-2": "Apache-2.0",
    "mpl-2": "MPL-2.0",
    "psf": "PSF-2.0",
    "psf-2": "PSF-2.0",
    "python": "PSF-2.0",
    "zope-2.1": "ZPL-2.1",
    "cc0": "CC0-1.0",
    "bsl-1": "BSL-1.0",
    "bzip": "bzip2-1.0.6",
    "fsfap": "FSFAP",
    "tcl/tk": "TCL",
    "x11": "X11",
}
_MOST_PARAGRAPHS = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stated:
    """A `License` field: the short name's line, and the text below it."""

    name: str
    text: str
    for_files: bool


def debian_licence(tree: Layered, packages: Sequence[str]) -> Licence:
    """The licence of an installed package: the first of `packages` that has a copyright file.

    The others are of the same source: a package may have a link to the documentation of one of these
    (policy 12.5), and such a link falls victim to dpkg's filters.
    """
    for package in packages:
        data = tree.read(f"usr/share/doc/{package}/copyright")
        if data is not None:
            return parse_copyright(data.decode(errors="replace"), packages[0])
    return Licence()


def parse_copyright(text: str, package: str) -> Licence:
    """The licence that a copyright file states."""
    stated = list(_stated(text)) if _FORMAT.match(text) else []
    files = [item for item in stated if item.for_files] or stated
    if not any(item.name for item in files):
        name = reference(package, "copyright")
        return Licence(expression=name, texts={name: bounded(text)})
    texts: dict[str, str] = {}
    described = {item.name.lower(): item.text for item in stated if item.text}
    parts = [_Expression(package, described, texts).read(item) for item in files if item.name]
    return Licence(expression=all_of(parts), texts=dict(sorted(texts.items())))


def _stated(text: str) -> Iterator[_Stated]:
    """The `License` fields of the paragraphs, in order."""
    paragraphs = re.split(r"\n(?:[ \t]*\n)+", text.replace("\r\n", "\n"))
    for number, paragraph in enumerate(paragraphs[:_MOST_PARAGRAPHS]):
        found = re.search(r"^License:[ \t]*(.*(?:\n[ \t].*)*)", paragraph, re.MULTILINE | re.IGNORECASE)
        if found:
            name, _, rest = found[1].partition("\n")
            files = re.search(r"^Files:", paragraph, re.MULTILINE | re.IGNORECASE) or number == 0
            yield _Stated(name=name.strip(), text=_unfolded(rest), for_files=bool(files))


def _unfolded(text: str) -> str:
    """A field's continuation lines: a space less, and a dot alone for an empty line (policy 5.6.13)."""
    return "\n".join("" if line.strip() == "." else line[1:] for line in text.split("\n"))


class _Expression:
    """Reads short names with `and`, `or` and commas, which bind less (copyright-format 1.0, section 7.2)."""

    def __init__(self, package: str, described: dict[str, str], texts: dict[str, str]) -> None:
        self._package = package
        self._described = described
        self._texts = texts

    def read(self, stated: _Stated) -> str:
        """The SPDX expression of a field."""
        parts = re.split(r"\s*,\s*(and|or)\s+|\s*,\s*", stated.name, flags=re.IGNORECASE)
        names, words = parts[::2], [(word or "and").upper() for word in parts[1::2]]
        read = [self._sequence(name, stated) for name in names if name]
        if len(read) == 1:
            return read[0]
        grouped = [f"({part})" if " " in part else part for part in read]
        return "".join(_alternate(grouped, words))

    def _sequence(self, text: str, stated: _Stated) -> str:
        words = re.split(r"\s+(and|or)\s+", text.strip(), flags=re.IGNORECASE)
        names = [self._name(name, stated) for name in words[::2]]
        joined = [f"({name})" if " OR " in name and len(names) > 1 else name for name in names]
        return "".join(_alternate(joined, [word.upper() for word in words[1::2]]))

    def _name(self, name: str, stated: _Stated) -> str:
        if found := spdx_name(name):
            return found
        refer = reference(self._package, name)
        text = self._described.get(name.lower()) or stated.text or f"The copyright file calls it {name}."
        self._texts[refer] = bounded(text) or name
        return refer


def _alternate(names: Sequence[str], words: Sequence[str]) -> Iterator[str]:
    for number, name in enumerate(names):
        yield f" {words[number - 1]} {name}" if number else name


def spdx_name(name: str) -> str:
    """SPDX's name of what Debian calls `name`; empty where it has none for certain."""
    short = name.strip().lower()
    if gnu := _GNU.fullmatch(short):
        kind, major, minor, later = gnu.groups()
        return known(f"{(kind or '').upper()}GPL-{major}.{minor or 0}-{'or-later' if later else 'only'}")
    if gfdl := _GFDL.fullmatch(short):
        sections = "-no-invariants" if gfdl[1] else ""
        return known(f"GFDL-{gfdl[2]}{sections}-{'or-later' if gfdl[3] else 'only'}")
    return _NAMES.get(short) or ("" if " " in short else known(name.strip()))
