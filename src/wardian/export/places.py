"""Which line of which file asked for something, as comments say it. It reads no file but what is given."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.project.positions import locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wardian.project.detect import Detection
    from wardian.project.keys import Keys

_LONGEST = 1000  # characters of a comment: what a declaration says may be of any length
_WIDTH = 105


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The lines of a written spec by key; none where the spec is inferred."""

    file: str
    prefix: Keys
    lines: Mapping[Keys, int]

    @classmethod
    def of(cls, detection: Detection) -> Places:
        """The places of a detection's document."""
        document = detection.document
        if document is None:
            return cls(file="", prefix=(), lines={})
        return cls(file=document.path.name, prefix=document.prefix, lines=locate(document.text))

    def line(self, *keys: str | int) -> str:
        """`wardian.toml:3` for a key that is written, else nothing."""
        number = self.lines.get((*self.prefix, *keys))
        return f"{self.file}:{number}" if number else ""

    def items(self, names: Iterable[str], *keys: str) -> str:
        """The elements of an array with their lines: `git, curl (wardian.toml:5-6)`."""
        listed = list(names)
        found = [self.lines.get((*self.prefix, *keys, index)) for index in range(len(listed))]
        numbers = sorted({number for number in found if number})
        if not numbers:
            return ", ".join(listed)
        last = f"-{numbers[-1]}" if len(numbers) > 1 else ""
        return f"{', '.join(listed)} ({self.file}:{numbers[0]}{last})"

    def at(self, text: str, *keys: str | int) -> str:
        """`text (wardian.toml:3)`, or `text` alone for a key that is not written."""
        line = self.line(*keys)
        return f"{text} ({line})" if line else text


def comment(*sentences: str) -> list[str]:
    """Lines of a comment; whatever is in a sentence, it stays in its comment."""
    wrapped = (textwrap.wrap(shorten(sentence), _WIDTH, break_on_hyphens=False) for sentence in sentences)
    return [f"# {line}" for lines in wrapped for line in lines]


def shorten(text: str) -> str:
    """One printable line of bounded length."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
