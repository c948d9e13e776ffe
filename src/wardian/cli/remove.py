"""`wardian remove`: take packages out of the project's declaration and lock what is left."""

from __future__ import annotations

from wardian.cli.edits import add_package_arguments, render, require_packages

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

USAGE = "[OPTIONS] [PACKAGE ...] [--system NAME ...]"
DESCRIPTION = """\
Remove packages from wardian.toml (or [tool.wardian] in pyproject.toml) and lock what is left. Packages that
only the removed ones needed leave the lock too."""
EXAMPLES = (
    ("wardian remove seaborn", "a Python package"),
    ("wardian remove --system graphviz", "a Debian package"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    add_package_arguments(parser, python="name of a Python package")
    parser.add_argument("--offline", action="store_true", help="use only what is on this machine already")
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Remove the packages and show what became of the lock."""
    require_packages(arguments, "remove")
    project = session.project(offline=arguments.offline)
    change, lock = project.remove(arguments.packages, arguments.system)
    return render(change, lock, arguments, session)
