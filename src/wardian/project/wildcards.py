"""Lists of patterns on paths, of which the last that matches decides; told apart from who wrote them.

What a pattern's characters mean is gitignore.py's and dockerignore.py's affair: they make tokens, and here
tokens become one regular expression for a whole list. Nothing here reads a file.

A pattern is matched without ever trying all ways to share a text among its wildcards: where more wildcards
follow, the first place where a wildcard's text can end is as good as any other, and is kept (an atomic
group). So a hostile pattern costs the square of a path's length at most, not its power.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Tokens beside regular expressions of exactly one character.
SLASH = "/"
STAR = "*"  # any characters of one name
DEEP = "**/"  # any folders, or none
REST = "**"  # at the end: whatever follows

# A folder's path ends in a NUL, which no path holds: that is how a pattern for folders alone knows one.
FOLDER = "\0"
ONE = r"[^/\0]"
_MANY = r"[^/\0]*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One pattern: of a path, or, with `anywhere`, of a name in any folder.

    `literal` is the text of a pattern without wildcards, None where it has some. `leading` are the names that
    the path begins with for certain, `names` all that are written out, and `last` the last name, None unless
    it is written out. `negated` patterns take back what earlier ones said.
    """

    text: str
    tokens: tuple[str, ...]
    negated: bool = False
    anywhere: bool = False
    folders: bool = False
    literal: str | None = None
    leading: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    last: str | None = None

    def reaches(self, names: Sequence[str]) -> bool:
        """Tell whether it might match something below the folder with this path; in doubt, yes."""
        return self.anywhere or all(a == b for a, b in zip(self.leading, names, strict=False))


class Patterns:
    """A list of patterns, in the order of their weight."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self.patterns = tuple(patterns)
        self.negated = tuple(pattern for pattern in self.patterns if pattern.negated)
        self._literals: dict[tuple[bool, bool, str], int] = {}
        for index, pattern in enumerate(self.patterns):
            if pattern.literal is not None:
                self._literals[pattern.anywhere, pattern.folders, pattern.literal] = index
        self._names = _Alternatives(self.patterns, anywhere=True)
        self._paths = _Alternatives(self.patterns, anywhere=False)

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def find(self, path: str, name: str, *, folder: bool) -> int:
        """Return the number of the last pattern that matches exactly this path, -1 where none does."""
        literals, end = self._literals, FOLDER if folder else ""
        found = max(literals.get((True, False, name), -1), literals.get((False, False, path), -1))
        if folder:
            found = max(found, literals.get((True, True, name), -1), literals.get((False, True, path), -1))
        return max(found, self._names.find(name + end), self._paths.find(path + end))


class _Alternatives:
    """The patterns with wildcards of one kind, the last one first, as one regular expression."""

    def __init__(self, patterns: Sequence[Pattern], *, anywhere: bool) -> None:
        chosen = [
            (index, expression(pattern))
            for index, pattern in enumerate(patterns)
            if pattern.literal is None and pattern.anywhere == anywhere
        ]
        chosen.reverse()
        self._numbers = [index for index, _ in chosen]
        self._match = re.compile("|".join(f"({text})" for _, text in chosen)).match if chosen else None

    def find(self, text: str) -> int:
        found = self._match(text) if self._match else None
        return self._numbers[(found.lastindex or 1) - 1] if found else -1


def expression(pattern: Pattern) -> str:
    """Return the regular expression of a pattern's tokens, for a path with FOLDER behind it if it is one."""
    parts, rest = [], list(pattern.tokens)
    while rest:
        deep = rest[0] == DEEP
        rest = rest[1:] if deep else rest
        end = rest.index(DEEP) if DEEP in rest else len(rest)
        chunk, rest = rest[:end], rest[end:]
        if deep and rest and chunk[-1:] == [SLASH]:
            parts.append(rf"(?>(?:[^\0]*?/)??{_chunk(chunk)})")
        else:
            parts.append((r"(?:[^\0]*/)?" if deep else "") + _chunk(chunk))
    return "".join(parts) + (r"\0\Z" if pattern.folders else r"\0?\Z")


def _chunk(tokens: list[str]) -> str:
    """Translate what stands between two DEEP."""
    names: list[list[str]] = [[]]
    for token in tokens:
        if token == SLASH:
            names.append([])
        else:
            names[-1].append(token)
    return "/".join(map(_name, names))


def _name(tokens: list[str]) -> str:
    pieces: list[str] = [""]
    for token in tokens:
        if token == STAR:
            pieces.append("")
        else:
            pieces[-1] += r"[^\0]*" if token == REST else token
    first, *others = pieces
    if not others:
        return first
    middle = "".join(f"(?>{_MANY}?{piece})" for piece in others[:-1] if piece)
    return f"{first}{middle}{_MANY}{others[-1]}"
