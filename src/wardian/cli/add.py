"""`wardian add`: put packages into the project's declaration and lock them."""

from __future__ import annotations

from wardian.cli.edits import add_package_arguments, render, require_packages

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

USAGE = "[OPTIONS] [PACKAGE ...] [--system NAME ...]"
DESCRIPTION = """\
Add packages to wardian.toml (or [tool.wardian] in pyproject.toml) and lock them. Comments and order in the
file stay; versions that are locked already stay where they fit."""
EXAMPLES = (
    ("wardian add pandas", "a Python package, in the version that fits"),
    ('wardian add "pandas>=2" --system graphviz', "with a Debian package"),
    ("wardian add --system git curl", "Debian packages only"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    add_package_arguments(parser, python="requirement as in requirements.txt, such as pandas or 'pandas>=2'")
    parser.add_argument("--offline", action="store_true", help="use only what is on this machine already")
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Add the packages and show what became of the lock."""
    require_packages(arguments, "add")
    project = session.project(offline=arguments.offline)
    change, lock = project.add(arguments.packages, arguments.system)
    return render(change, lock, arguments, session)
