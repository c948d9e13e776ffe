"""Patterns as .gitignore has them (gitignore(5)), matched as git matches them, byte by byte.

git's own rules are followed to their corners (dir.c, wildmatch.c), for a file that git ignores has to stay
out; a library for them (pathspec) was tried and differs from git in a third of hostile patterns, some of
which it refuses. Texts are bytes read as Latin-1, so that any name has one.
"""

from __future__ import annotations

import re

from wardian.project.wildcards import DEEP, ONE, REST, SLASH, STAR, Pattern, Patterns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SPECIAL = re.compile(r"[*?\[\\]")
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": r" \t\n\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


class NeverError(ValueError):
    """A pattern that matches nothing, as git takes it."""


def parse_gitignore(data: bytes) -> Patterns:
    """Read the content of a .gitignore; nothing in it is an error, as for git."""
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return parse_lines(line.removesuffix(b"\r").split(b"\0")[0].decode("latin-1") for line in lines)


def parse_texts(texts: Iterable[str]) -> Patterns:
    """Read patterns that are Unicode texts, as a spec has them."""
    return parse_lines(text.encode("utf-8", "surrogateescape").decode("latin-1") for text in texts)


def parse_lines(lines: Iterable[str]) -> Patterns:
    """Read lines, each a pattern, a comment or blank; what never matches is left out."""
    patterns = []
    for line in lines:
        try:
            patterns.append(parse_pattern(line))
        except NeverError:
            continue
    return Patterns(patterns)


def check_pattern(text: str) -> str:
    """Accept a pattern that can match; raises ValueError with the reason."""
    if len(text) > 4096:
        raise ValueError("is too long for a pattern")
    if text.startswith("#"):
        raise ValueError("is a comment (write \\# for a name that begins so)")
    try:
        parse_pattern(text.encode("utf-8", "surrogateescape").decode("latin-1"))
    except NeverError as error:
        raise ValueError(f"matches nothing: {error}") from error
    if {"..", "."} & set(text.removeprefix("!").split("/")):
        raise ValueError("matches nothing: paths are those below the project folder, without . and ..")
    return text


def parse_pattern(line: str) -> Pattern:
    """Read one line (dir.c, parse_path_pattern); raises NeverError for what matches nothing."""
    text = _trim(line)
    if text.startswith("#"):
        raise NeverError("it is a comment")
    body = text.removeprefix("!")
    folders = body.endswith("/")
    body = body[:-1] if folders else body
    if not body:
        raise NeverError("it is empty")
    anywhere = "/" not in body
    body = body.removeprefix("/")
    special = _SPECIAL.search(body)
    written = [_unescaped(name) for name in body.split("/")]
    return Pattern(
        text=text,
        tokens=() if special is None else tuple(_tokens(body, special.start(), anywhere)),
        negated=text.startswith("!"),
        anywhere=anywhere,
        folders=folders,
        literal=body if special is None else None,
        leading=_leading(body),
        names=frozenset(name for name in written if name is not None),
        last=written[-1],
    )


def _leading(body: str) -> tuple[str, ...]:
    special = _SPECIAL.search(body)
    return tuple(body.split("/")) if special is None else tuple(body[: special.start()].split("/")[:-1])


def _unescaped(name: str) -> str | None:
    plain = re.sub(r"\\(.)", r"\1", name, flags=re.DOTALL)
    return plain if not re.search(r"[*?\[]", re.sub(r"\\.", "", name, flags=re.DOTALL)) else None


def _trim(line: str) -> str:
    """Take off trailing spaces, but for one behind a backslash (dir.c, trim_trailing_spaces)."""
    bare = line.rstrip(" ")
    slashes = len(bare) - len(bare.rstrip("\\"))
    return bare + " " if slashes % 2 and len(line) > len(bare) else bare


def _tokens(body: str, start: int, anywhere: bool) -> Iterable[str]:
    """Translate (wildmatch.c, dowild); `start` is where the text before the first wildcard ends.

    git compares that text by itself, and so takes ** right behind it for one at a folder's beginning.
    """
    at = 0
    while at < len(body):
        character = body[at]
        if character == "*":
            end = at + len(body[at:]) - len(body[at:].lstrip("*"))
            bounded = not anywhere and (at == start or body[at - 1] == "/") and end - at > 1
            token, at = _stars(body, end, bounded)
            yield token
        elif character == "?":
            yield ONE
            at += 1
        elif character == "[":
            token, at = _set(body, at + 1)
            yield token
        elif character == "/":
            yield SLASH
            at += 1
        else:
            at += character == "\\"
            if at == len(body):
                raise NeverError("nothing follows its last backslash")
            yield SLASH if body[at] == "/" else re.escape(body[at])
            at += 1


def _stars(body: str, end: int, bounded: bool) -> tuple[str, int]:
    if bounded and end == len(body):
        return REST, end
    if bounded and body[end] == "/":
        return DEEP, end + 1
    if bounded and body.startswith("\\/", end):
        return r"[^\0]*", end
    return STAR, end


def _set(body: str, at: int) -> tuple[str, int]:
    """Translate a bracket expression from behind its bracket."""
    negated = body[at : at + 1] in ("!", "^") and body[at : at + 1] != ""
    at += negated
    parts: list[str] = []
    previous = ""
    first = True
    while first or body[at : at + 1] != "]":
        first = False
        character, at, escaped = _member(body, at)
        if character == "-" and not escaped and previous and body[at : at + 1] not in ("", "]"):
            character, at, _ = _member(body, at)
            if previous <= character:
                parts.append(f"{_byte(previous)}-{_byte(character)}")
            previous = ""
        elif character == "[" and not escaped and (named := re.compile(r":([^\]]*)\]").match(body, at)):
            if not named[1].endswith(":"):
                parts.append(r"\[")
                previous = character
                continue
            if named[1][:-1] not in _CLASSES:
                raise NeverError("it names a class that is none")
            parts.append(_CLASSES[named[1][:-1]])
            at, previous = named.end(), ""
        else:
            parts.append(_byte(character))
            previous = character
    inside = "".join(parts)
    if not inside:
        return (ONE if negated else r"(?!)"), at + 1
    return f"(?![/\\0])[{'^' if negated else ''}{inside}]", at + 1


def _member(body: str, at: int) -> tuple[str, int, bool]:
    """Return one character of a bracket expression, and where the next stands."""
    escaped = body[at : at + 1] == "\\"
    at += escaped
    if at >= len(body):
        raise NeverError("it has a bracket that is not closed")
    return body[at], at + 1, escaped


def _byte(character: str) -> str:
    return f"\\x{ord(character):02x}"
