"""What `add` and `remove` share: their packages on the command line, and the change they made, shown."""

from __future__ import annotations

from wardian.cli.completers import nothing
from wardian.cli.parser import UsageError, complete_with
from wardian.cli.render import change_lines, changes_as_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from wardian import Edit, Lock
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session


def add_package_arguments(parser: Parser, *, python: str) -> None:
    """Declare the packages; `python` is the help for those of Python."""
    words = parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=python)
    names = parser.add_argument(
        "--system",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="Debian packages; every name that follows is one",
    )
    complete_with(words, nothing)
    complete_with(names, nothing)


def require_packages(arguments: argparse.Namespace, verb: str) -> None:
    """Refuse a command line that names no package."""
    if not arguments.packages and not arguments.system:
        raise UsageError(f"wardian {verb}: no package is named", hint=f"see `wardian {verb} --help`")


def render(change: Edit, lock: Lock, arguments: argparse.Namespace, session: Session) -> int:
    """Show what was edited in which file, and which locked packages came, went or changed."""
    if arguments.json:
        session.print_json(_as_json(change, lock))
        return 0
    for line in change_lines(lock.changes, everything=session.verbose):
        session.say(line)
    if change.created:
        session.say(f"wrote {change.path} with what was detected")
    told = [(verb, names) for verb, names in _edits(change).items() if names]
    for verb, names in told:
        session.say(f"{verb} {', '.join(names)} in {change.path.name}")
    if not told:
        session.say(f"{change.path.name} says so already")
    return 0


def _edits(change: Edit) -> dict[str, Sequence[str]]:
    return {"added": change.added, "replaced": change.replaced, "removed": change.removed}


def _as_json(change: Edit, lock: Lock) -> dict[str, object]:
    return {
        "path": str(change.path),
        "created": change.created,
        **{verb: list(names) for verb, names in _edits(change).items()},
        "changes": changes_as_json(lock.changes),
    }
