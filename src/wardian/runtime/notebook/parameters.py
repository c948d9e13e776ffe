"""Reads `-p NAME=VALUE`, the parameters of a notebook, as papermill's command line does.

A value is an int, a float, true, false or none where it reads as one, else text; beyond papermill, it
is a list, an object or a quoted text where it is JSON that begins with `[`, `{` or `"`.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Sequence
from typing import TypeAlias

from wardian.errors import RunError

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"

_WORDS: dict[str, Value] = {
    "True": True,
    "true": True,
    "False": False,
    "false": False,
    "None": None,
    "null": None,
}
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_FLOAT = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|infinity)|nan", re.I | re.ASCII
)

# int() refuses longer texts (CPython's limit against quadratic conversions); such a value is text.
_LONGEST_INTEGER = 4000


def parse_parameters(words: Sequence[str]) -> dict[str, Value]:
    """The parameters in `words`, the last of a name winning; raises RunError for a word that is none."""
    return dict(parse_parameter(word) for word in words)


def parse_parameter(word: str) -> tuple[str, Value]:
    """Name and value of `NAME=VALUE`; raises RunError."""
    name, equals, text = word.partition("=")
    if not equals:
        raise RunError(f"the parameter {word!r} has no value", hint=f"write -p {word}=VALUE")
    if not name.isidentifier() or keyword.iskeyword(name):
        hint = "use letters, digits and underscores, beginning with no digit"
        raise RunError(f"the parameter name {name!r} is no Python name", hint=hint)
    return name, _parse_value(name, text)


def _parse_value(name: str, text: str) -> Value:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) < _LONGEST_INTEGER:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if text[:1] in ("[", "{", '"'):
        return _parse_json(name, text)
    return text


def _parse_json(name: str, text: str) -> Value:
    """A text that begins like JSON and is none is refused: taken as text, a typing error would run."""
    try:
        value: Value = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"the value of the parameter {name!r} begins like JSON and is none: {error}"
        quoted = json.dumps(text[:40])
        raise RunError(message, hint=f"correct it, or give it as text: -p '{name}={quoted}'") from error
    return value
