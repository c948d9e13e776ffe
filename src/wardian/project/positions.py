"""Finds on which line of a TOML text each key stands. It validates nothing: tomllib has done that.

tomllib tells no positions, and tomlkit, which keeps them implicitly, takes 30 ms to import and far
longer to parse. This scanner runs only when an error is about to be told.
"""

from __future__ import annotations

import bisect
import contextlib
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wardian.project.keys import Keys

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_INLINE_BLANK = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Longest opening first. A multi-line string may end in up to two quotes of its own.
_STRINGS = (
    re.compile(r'"""(?:[^\\"]|\\.|"(?!""))*"{3,5}', re.DOTALL),
    re.compile(r"'''(?:[^']|'(?!''))*'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^\\"\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_SCALAR = re.compile(r"[^\s,\]}#]+(?: \d[^\s,\]}#]*)?")


class _Scanner:
    """Walks valid TOML once, noting the offset of every key, table and array element."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.offsets: dict[Keys, int] = {(): 0}
        self.arrays: dict[Keys, int] = {}

    def scan(self) -> None:
        table: Keys = ()
        while self._blank(_BLANK) < len(self.text):
            start = self.at
            if self.text[start] == "[":
                table = self._header(start)
            else:
                self._pair(table)

    def _header(self, start: int) -> Keys:
        many = self.text.startswith("[[", start)
        self.at += 2 if many else 1
        table: Keys = ()
        parts = self._key()
        for part in parts[:-1]:
            table = (*table, part)
            self.offsets.setdefault(table, start)
            table = self._inside(table)
        table = (*table, parts[-1])
        self.offsets.setdefault(table, start)
        if many:
            self.arrays[table] = self.arrays.get(table, -1) + 1
            self.offsets[(*table, self.arrays[table])] = start
        self.at += 2 if many else 1
        return self._inside(table)

    def _inside(self, table: Keys) -> Keys:
        return (*table, self.arrays[table]) if table in self.arrays else table

    def _pair(self, table: Keys) -> None:
        start = self.at
        parts = self._key()
        for length in range(1, len(parts) + 1):
            self.offsets.setdefault((*table, *parts[:length]), start)
        self._expect("=")
        self._value((*table, *parts))

    def _key(self) -> Keys:
        parts: Keys = ()
        while True:
            self._blank(_INLINE_BLANK)
            parts = (*parts, self._key_part())
            self._blank(_INLINE_BLANK)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def _key_part(self) -> str:
        if match := _BARE_KEY.match(self.text, self.at):
            self.at = match.end()
            return match[0]
        start = self.at
        self._string()
        quoted = self.text[start : self.at]
        return _unescape(quoted[1:-1]) if quoted[0] == '"' else quoted[1:-1]

    def _value(self, keys: Keys) -> None:
        self._blank(_INLINE_BLANK)
        first = self.text[self.at]
        if first == "[":
            self._array(keys)
        elif first == "{":
            self._inline_table(keys)
        elif first in "\"'":
            self._string()
        else:
            self._match(_SCALAR)

    def _array(self, keys: Keys) -> None:
        self.at += 1
        index = 0
        while self._blank(_BLANK) < len(self.text) and self.text[self.at] != "]":
            self.offsets[(*keys, index)] = self.at
            self._value((*keys, index))
            index += 1
            self._blank(_BLANK)
            if self.text.startswith(",", self.at):
                self.at += 1
        self._expect("]")

    def _inline_table(self, keys: Keys) -> None:
        self.at += 1
        while self._blank(_BLANK) < len(self.text) and self.text[self.at] != "}":
            self._pair(keys)
            self._blank(_BLANK)
            if self.text.startswith(",", self.at):
                self.at += 1
        self._expect("}")

    def _string(self) -> None:
        for pattern in _STRINGS:
            if match := pattern.match(self.text, self.at):
                self.at = match.end()
                return
        raise _UnreadableError

    def _match(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise _UnreadableError
        self.at = match.end()

    def _expect(self, character: str) -> None:
        self._blank(_INLINE_BLANK)
        if not self.text.startswith(character, self.at):
            raise _UnreadableError
        self.at += 1

    def _blank(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at


class _UnreadableError(Exception):
    """Text that is no TOML; what was found before it stays good."""


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    import tomllib

    try:
        return str(tomllib.loads(f'k = "{text}"')["k"])
    except ValueError:
        return text


def locate(text: str) -> dict[Keys, int]:
    """Return the line (from 1) of every table, key and array element of valid TOML.

    Of a text that is no TOML, or nested deeper than Python's stack, it returns what it understood.
    """
    scanner = _Scanner(text)
    with contextlib.suppress(_UnreadableError, RecursionError, IndexError):
        scanner.scan()
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    return {keys: bisect.bisect_right(starts, offset) for keys, offset in scanner.offsets.items()}
