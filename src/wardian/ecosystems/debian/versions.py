"""Debian version numbers: their order and the relations between them (Debian policy 5.6.12, 7.1)."""

from __future__ import annotations

import re
from functools import total_ordering

_PART = re.compile(r"([^0-9]*)([0-9]*)")


@total_ordering
class DebianVersion:
    """A version, `[epoch:]upstream[-revision]`, in dpkg's order."""

    __slots__ = ("_key", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        epoch, _, rest = text.partition(":") if ":" in text else ("", "", text)
        upstream, separator, revision = rest.rpartition("-")
        if not separator:
            upstream, revision = rest, "0"  # dpkg holds no revision and revision 0 to be the same
        self._key = (int(epoch) if epoch.isdigit() else 0, _order(upstream), _order(revision))

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DebianVersion) and self._key == other._key

    def __lt__(self, other: DebianVersion) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)


def _order(text: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Digits compare as numbers, all else by letter: `~` before the end, letters before signs."""
    parts = [((*map(_weight, letters), 0), int(digits or 0)) for letters, digits in _PART.findall(text)]
    # The pattern's last, empty match is the end itself: it makes "1" compare with "1~" and "1a".
    return tuple(parts)


def _weight(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256


def satisfies(version: str, relation: str, bound: str) -> bool:
    """Whether `version` stands in `relation` (`<<`, `<=`, `=`, `>=`, `>>`, or none) to `bound`."""
    if not relation:
        return True
    left, right = DebianVersion(version), DebianVersion(bound)
    return {
        "<<": left < right,
        "<=": left <= right,
        "=": left == right,
        ">=": left >= right,
        ">>": left > right,
        "<": left <= right,  # obsolete spellings, which dpkg reads so
        ">": left >= right,
    }.get(relation, False)
