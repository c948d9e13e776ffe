"""`wardian lock`: resolve every package to a version and a hash."""

from __future__ import annotations

from wardian.cli.parser import UsageError
from wardian.cli.render import change_lines, changes_as_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian import Lock
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

USAGE = "[OPTIONS] [--upgrade [NAME ...]]"
DESCRIPTION = """\
Resolve the project's packages, Debian's and Python's, and write each with its version and hash to
wardian.lock. Versions that are locked already stay where they fit. `run` and `build` do this by themselves
when the project's declaration has changed."""
EXAMPLES = (
    ("wardian lock", "bring wardian.lock up to date with wardian.toml"),
    ("wardian lock --upgrade", "every package to the newest version that fits"),
    ("wardian lock --upgrade pandas numpy", "these packages only"),
    ("wardian lock --check", "in CI: exit 1 when wardian.lock is stale"),
    ("wardian lock --as-of 2026-01-31", "what the indexes offered on that day"),
    ("wardian lock --platform linux/arm64", "for another architecture too"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--upgrade",
        nargs="*",
        metavar="NAME",
        help="take newest versions: of the packages named, or of all",
    )
    what.add_argument("--check", action="store_true", help="change nothing; exit 1 when the lock is stale")
    parser.add_argument("--as-of", metavar="DATE", help="resolve as on DATE (2026-01-31, or with a time)")
    parser.add_argument(
        "--platform",
        action="append",
        metavar="OS/ARCH",
        help="lock for this platform too, such as linux/arm64 (may be repeated)",
    )
    parser.add_argument("--offline", action="store_true", help="use only what is on this machine already")
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Lock, or with --check compare, and show what changed."""
    project = session.project(offline=arguments.offline)
    if arguments.check:
        if arguments.as_of or arguments.platform:
            raise UsageError(
                "wardian lock: --check looks at the lock as it is, for the platforms that it has to be for",
                hint="leave --as-of and --platform out",
            )
        project.check_lock()
        return _render_check(arguments, session)
    upgrade = arguments.upgrade if arguments.upgrade else arguments.upgrade is not None
    lock = project.lock(upgrade=upgrade, as_of=arguments.as_of, platforms=arguments.platform)
    return _render(lock, arguments, session)


def _render(lock: Lock, arguments: argparse.Namespace, session: Session) -> int:
    platforms = [str(platform) for platform in lock.platforms]
    if arguments.json:
        changes = changes_as_json(lock.changes)
        told = {"path": str(lock.path), "platforms": platforms, "changes": changes, "written": lock.written}
        session.print_json(told)
        return 0
    for line in change_lines(lock.changes, everything=session.verbose):
        session.say(line)
    outcome = "wrote" if lock.written else "unchanged:"
    session.say(f"{outcome} {lock.path} for {', '.join(platforms)}")
    return 0


def _render_check(arguments: argparse.Namespace, session: Session) -> int:
    if arguments.json:
        session.print_json({"fresh": True})
    else:
        session.say("wardian.lock is up to date")
    return 0
