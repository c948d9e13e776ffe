"""`wardian prune`: delete what is no longer needed."""

from __future__ import annotations

import re

from wardian.cli.parser import UsageError
from wardian.cli.render import count, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Delete images whose project is gone or has been built anew since, the parts that no image uses, and package
lists older than a month: a build makes again what it needs. Fetched packages go when no project's image is
left, or with --older-than. Roots that `--keep` kept go with --all, or with --older-than once their project
is gone. Nothing is deleted while something is being built or run."""
EXAMPLES = (
    ("wardian prune --dry-run", "show what would go"),
    ("wardian prune --older-than 30d", "images not used, and packages fetched, for 30 days"),
    ("wardian prune --all", "everything, kept roots too"),
)
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}  # seconds


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--all", action="store_true", help="delete every image, part, download and kept root")
    what.add_argument("--older-than", metavar="AGE", help="delete what was not used for AGE: 12h, 30d, 8w")
    parser.add_argument("--dry-run", action="store_true", help="delete nothing; show what would go")
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Delete, and show what went and how much room that makes."""
    older_than = _seconds(arguments.older_than)
    from wardian import prune

    report = prune(session.home(), everything=arguments.all, older_than=older_than, dry_run=arguments.dry_run)
    if arguments.json:
        items = [{"name": item.name, "bytes": item.bytes} for item in report.removed]
        session.print_json({"dry_run": arguments.dry_run, "removed": items, "bytes": report.bytes})
        return 0
    if session.verbose or arguments.dry_run:
        for item in report.removed:
            session.say(f"{item.name} ({size(item.bytes)})")
    outcome = "would free" if arguments.dry_run else "freed"
    session.say(f"{outcome} {size(report.bytes)} in {count(len(report.removed), 'item')}")
    return 0


def _seconds(text: str | None) -> float | None:
    """AGE such as `12h`, `30d` or `8w` in seconds."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)([mhdw])", text.strip().lower())
    if not match:
        raise UsageError(f"wardian prune: --older-than {text!r} is no age", hint="write 12h, 30d or 8w")
    return float(int(match[1]) * _UNITS[match[2]])
