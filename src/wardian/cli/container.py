"""What `run` and `shell` let one say of the container, read into values. Starts nothing."""

from __future__ import annotations

import os
import re

from wardian.api.folders import real_folder
from wardian.cli.parser import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from typing import Any

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}  # as docker run --memory


def add_container_arguments(parser: Parser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("Container")
    group.add_argument(
        "-e",
        "--env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a variable inside; NAME alone passes yours in",
    )
    group.add_argument(
        "--env-file", action="append", default=[], metavar="FILE", help="set variables from lines NAME=VALUE"
    )
    group.add_argument(
        "-v",
        "--volume",
        action="append",
        default=[],
        metavar="HOST:CONTAINER[:ro]",
        help="mount a file or folder of yours inside",
    )
    group.add_argument(
        "--network", choices=("host", "none"), default="host", help="the host's network (default) or none"
    )
    group.add_argument("--memory", metavar="SIZE", help="limit memory, such as 512m or 8g")
    group.add_argument("--cpus", metavar="NUMBER", help="limit processors, such as 2 or 0.5")
    group.add_argument("--keep", metavar="NAME", help="keep the root's changes as NAME, and go on from them")
    group.add_argument(
        "--root", action="store_true", help="be root inside, by emulation: for apt-get and its like"
    )
    parser.add_locking()


def options(arguments: argparse.Namespace, session: Session) -> dict[str, Any]:
    """The container's part of a RunRequest, by its field names; raises UsageError."""
    return {
        "environment": environment(arguments, session),
        "volumes": volumes(arguments.volume, session),
        "network": arguments.network,
        "memory": memory(arguments.memory),
        "cpus": cpus(arguments.cpus),
        "keep": arguments.keep,
        "root": arguments.root,
        "directory": real_folder(session.folder),
        "interactive": os.isatty(0) and os.isatty(1),
    }


def environment(arguments: argparse.Namespace, session: Session) -> dict[str, str]:
    """The variables of the files, then of `-e`; a later one wins."""
    found: dict[str, str] = {}
    for name in arguments.env_file:
        found |= _read_file(session.path(name), session.environment)
    for text in arguments.env:
        found |= assignment(text, session.environment, option="-e")
    return found


def assignment(text: str, outside: Mapping[str, str], *, option: str) -> dict[str, str]:
    """Read `NAME=VALUE`, or `NAME` for the value that it has outside, if it has one."""
    name, equals, value = text.partition("=")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        # The value stays unsaid: it may be a secret.
        raise UsageError(f"{option}: {name!r} is no name of a variable", hint="write NAME=VALUE")
    if equals:
        return {name: value}
    return {name: outside[name]} if name in outside else {}


def _read_file(path: str, outside: Mapping[str, str]) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8-sig") as file:  # as editors of Windows save it
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--env-file {path}: {getattr(error, 'strerror', None) or error}",
            hint="name a file with lines NAME=VALUE",
        ) from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ")
        if text and not text.startswith("#"):
            found |= assignment(_unquoted(text), outside, option=f"{path}:{number}")
    return found


def _unquoted(text: str) -> str:
    name, equals, value = text.partition("=")
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return name.rstrip() + equals + value


def volumes(texts: Sequence[str], session: Session) -> tuple[tuple[str, str, bool], ...]:
    """Each `HOST:CONTAINER[:ro]` as host path, container path, whether it is read-only."""
    return tuple(_volume(text, session) for text in texts)


def _volume(text: str, session: Session) -> tuple[str, str, bool]:
    host, _, rest = text.partition(":")
    inside, _, mode = rest.partition(":")
    if not host or not inside.startswith("/") or mode not in ("", "ro", "rw"):
        raise UsageError(
            f"-v {text!r} is no volume",
            hint="write HOST:CONTAINER or HOST:CONTAINER:ro, such as ./data:/data:ro",
        )
    return session.path(host), inside, mode == "ro"


def memory(text: str | None) -> int | None:
    """A size such as `512m` or `8g` in bytes; units are binary, as container tools have them."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([bkmgt]?)(?:i?b)?", text.strip().lower())
    amount = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if amount < 1:
        raise UsageError(f"--memory {text!r} is no size", hint="write a size such as 512m or 8g")
    return amount


def cpus(text: str | None) -> float | None:
    """A number of processors above 0."""
    if text is None:
        return None
    amount = float(text) if re.fullmatch(r"\d+(\.\d+)?|\.\d+", text) else 0.0
    if amount <= 0:
        raise UsageError(f"--cpus {text!r} is no number of processors", hint="write one such as 2 or 0.5")
    return amount
