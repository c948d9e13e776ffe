"""Patterns as .dockerignore has them, matched as Docker matches them (moby's patternmatcher).

They are anchored at the project folder, `*` and `?` stop at a slash as in Go's filepath.Match, `**` takes
any number of folders, and what matches a folder matches all in it. Texts are Unicode, as in Docker.
"""

from __future__ import annotations

import posixpath
import re

from wardian.project.keys import quoted
from wardian.project.wildcards import DEEP, ONE, REST, SLASH, STAR, Pattern, expression

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SPECIAL = re.compile(r"[*?\[\\]")
# Go matches in linear time; where ** stands inside of names, no order of trying is as good as any other.
_MOST_INSIDE = 4


class DockerPatterns:
    """A list of patterns that decides as Docker does (patternmatcher, MatchesUsingParentResults).

    Which patterns matched is a set of their numbers, as the bits of an integer: what matched a folder counts
    for all in it, but only if it was asked about the folder. A pattern is not asked that could not change
    what the ones before it said.
    """

    def __init__(self, patterns: Iterable[Pattern] = ()) -> None:
        self._patterns = tuple(patterns)
        self._tests = tuple(
            (1 << index, pattern.negated, pattern.literal, re.compile(expression(pattern)).match)
            for index, pattern in enumerate(self._patterns)
        )

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def __add__(self, other: DockerPatterns) -> DockerPatterns:
        return DockerPatterns((*self._patterns, *other._patterns))

    def match(self, path: str, above: int) -> tuple[bool, int]:
        """Tell whether a path is left out, and which patterns matched it; `above` matched its folder."""
        out, matched = False, 0
        for bit, negated, literal, test in self._tests:
            if not above & bit:
                if negated != out:
                    continue
                if not (path == literal if literal is not None else test(path)):
                    continue
            matched |= bit
            out = not negated
        return out, matched

    def may_return(self, path: str) -> bool:
        """Tell whether something in a folder that is left out might not be."""
        names = path.split("/")
        return any(pattern.negated and pattern.reaches(names) for pattern in self._patterns)


def parse_dockerignore(data: bytes, origin: str) -> DockerPatterns:
    """Read the content of a .dockerignore; raises SpecError for a pattern that Docker refuses."""
    from wardian.errors import SpecError

    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    patterns = []
    for number, line in enumerate(text.split("\n"), 1):
        body = line.strip()
        if line.startswith("#") or not body:
            continue
        try:
            patterns.append(parse_pattern(body))
        except ValueError as error:
            raise SpecError(
                f"{origin}:{number}: {quoted(body)} is no pattern: {error}",
                hint="write it as Docker wants it, with a backslash before [ ? * where a name has them",
            ) from error
    return DockerPatterns(patterns)


def parse_pattern(line: str) -> Pattern:
    """Read one line (moby, ignorefile.ReadAll and patternmatcher.New); raises ValueError with the reason."""
    negated = line.startswith("!")
    body = line[negated:].strip()
    # Docker cleans a line twice, and looks for the ! again in between.
    body = re.sub("^/+(?=.)", "", posixpath.normpath(body)).strip() if body else ""
    if body.startswith("!") and not negated:
        negated, body = True, body[1:]
    body = posixpath.normpath(body) if body else ""
    if not body or (negated and body == "/"):
        raise ValueError("nothing follows the !")
    if len(body) > 4096:
        raise ValueError("it is too long")
    special = _SPECIAL.search(body)
    tokens = _after_suffix_rule(body, list(_tokens(body)))
    if sum(_inside(tokens, index) for index in range(len(tokens))) > _MOST_INSIDE:
        raise ValueError(f"it has more than {_MOST_INSIDE} ** inside of names")
    return Pattern(
        text=line,
        tokens=tuple(tokens) if special else (),
        negated=negated,
        literal=None if special else body,
        leading=tuple(body.split("/")) if not special else tuple(body[: special.start()].split("/")[:-1]),
    )


def _inside(tokens: list[str], index: int) -> bool:
    return tokens[index] == DEEP and index > 0 and tokens[index - 1] != SLASH


def _after_suffix_rule(body: str, tokens: list[str]) -> list[str]:
    """Docker takes `**` before a text without other wildcards for any beginning, be it inside of a name."""
    if body.startswith("**") and not body.startswith("**/") and not _SPECIAL.search(body, 2):
        return [r"[^\0]*", *tokens[1:]]
    return tokens


def _tokens(body: str) -> Iterable[str]:
    at = 0
    while at < len(body):
        character = body[at]
        at += 1
        if character == "*" and body.startswith("*", at):
            at += 1 + body.startswith("/", at + 1)
            yield DEEP if at < len(body) else REST
        elif character == "*":
            yield STAR
        elif character == "?":
            yield ONE
        elif character == "[":
            token, at = _set(body, at)
            yield token
        elif character == "/":
            yield SLASH
        else:
            if character == "\\":
                character, at = _escaped(body, at)
            yield SLASH if character == "/" else re.escape(character)


def _set(body: str, at: int) -> tuple[str, int]:
    """Translate a character class from behind its bracket (Go, filepath.Match)."""
    negated = body.startswith("^", at)
    at += negated
    parts: list[str] = []
    while not parts or not body.startswith("]", at):
        low, at = _member(body, at)
        high = low
        if body.startswith("-", at):
            high, at = _member(body, at + 1)
        if low <= high:
            parts.append(f"{_rune(low)}-{_rune(high)}")
        else:
            raise ValueError("a range in its brackets ends before it begins")
    # A class may take a slash, as in Docker.
    return f"(?!\\0)[{'^' if negated else ''}{''.join(parts)}]", at + 1


def _member(body: str, at: int) -> tuple[str, int]:
    if at >= len(body) or body[at] in "-]":
        raise ValueError("its brackets are not right")
    if body[at] == "\\":
        return _escaped(body, at + 1)
    return body[at], at + 1


def _escaped(body: str, at: int) -> tuple[str, int]:
    if at >= len(body):
        raise ValueError("nothing follows its last backslash")
    return body[at], at + 1


def _rune(character: str) -> str:
    return f"\\U{ord(character):08x}"
