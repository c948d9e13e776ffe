"""`wardian doctor`: whether this machine can build and run containers, and what to do where it cannot."""

from __future__ import annotations

import sys
import textwrap

from wardian.cli.parser import colours

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from wardian import Check
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Check what building and running need on this machine: kernel, user namespaces, overlayfs, disk space, package
archives and indexes, certificates. Says what to do about each failure; exits 1 when there is one."""
EXAMPLES = (
    ("wardian doctor", "check this machine"),
    ("wardian doctor --json", "for a program to read, or for a bug report"),
)
WORDS = {True: ("ok", "32"), False: ("failed", "1;31"), None: ("warning", "33")}  # word, colour


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Run the checks and show them; 1 when one failed."""
    from wardian import diagnose

    checks = diagnose(session.environment)
    failed = any(check.ok is False for check in checks)
    if arguments.json:
        session.print_json({"ok": not failed, "checks": [_as_json(check) for check in checks]})
    else:
        _print(checks, session)
    return 1 if failed else 0


def _print(checks: Sequence[Check], session: Session) -> None:
    coloured = colours(sys.stdout, session.environment)
    width = max((len(check.name) for check in checks), default=0)
    for check in checks:
        if session.quiet and check.ok:
            continue
        word, code = WORDS[check.ok]
        padded = f"{word:<7}"
        mark = f"\033[{code}m{padded}\033[0m" if coloured else padded
        print(f"{mark}  {check.name:<{width}}  {check.message}")
        if check.hint and not check.ok:
            print(textwrap.indent(f"hint: {check.hint}", " " * 9))


def _as_json(check: Check) -> dict[str, object]:
    return {"name": check.name, "ok": check.ok, "message": check.message, "hint": check.hint}
