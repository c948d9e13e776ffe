"""Dockerfile instructions as text, quoted so that every builder reads the same (Dockerfile reference)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from wardian.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SPECIAL = re.compile(r'["\\$]')
_UNQUOTED = re.compile(r"""["'\\$]""")
_ESCAPED = r"\\\g<0>"


def run(commands: Sequence[str], mounts: Sequence[str] = ()) -> list[str]:
    """A RUN of commands that each have to succeed; `mounts` are values of `--mount`.

    A command that spans lines says so as a shell does, by backslashes.
    """
    first = f"RUN {commands[0]}"
    if mounts:
        first = " \\\n    ".join([f"RUN --mount={mounts[0]}", *(f"--mount={each}" for each in mounts[1:])])
        first += f" \\\n    {commands[0]}"
    return " \\\n && ".join([first, *commands[1:]]).split("\n")


def pairs(name: str, values: Mapping[str, str]) -> list[str]:
    """ENV or LABEL with all its pairs, one a line; nothing for no pair. Raises ImageError."""
    if not values:
        return []
    written = [f"{_word(name, key, key)}={_quoted(name, key, value)}" for key, value in values.items()]
    return " \\\n    ".join([f"{name} {written[0]}", *written[1:]]).split("\n")


def words(name: str, command: Sequence[str]) -> str:
    """ENTRYPOINT, CMD and their like in the form that no shell reads."""
    return f"{name} {json.dumps(list(command), ensure_ascii=False)}"


def path(name: str, text: str) -> str:
    """WORKDIR, whose whole line is the path, without quotes around it. Raises ImageError."""
    _check_line(name, f"the path of {name}", text)
    return f"{name} {re.sub(_UNQUOTED, _ESCAPED, text)}"


def _word(instruction: str, key: str, text: str) -> str:
    plain = all(letter.isalnum() or letter in "_.-/:" for letter in text)
    return text if plain and text else _quoted(instruction, key, text)


def _quoted(instruction: str, key: str, text: str) -> str:
    _check_line(instruction, key, text)
    return f'"{re.sub(_SPECIAL, _ESCAPED, text)}"'


def _check_line(instruction: str, key: str, text: str) -> None:
    if re.search(r"[\n\r\0]", text):
        raise ImageError(
            f"{key} holds a line break, which {instruction} of a Dockerfile cannot say",
            hint="write it on one line",
        )
