"""`wardian image diff`: what changed from one image to another."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian import Inventory
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

USAGE = "A B [OPTIONS]"
DESCRIPTION = """\
Show what changed from image A to image B: packages, files outside of packages (content, kind, mode, owner;
not times), configuration, and the layers that would have to travel to who has A. A and B are names or
digests, or the beginning of one; `.` is the project's image, built first if need be."""
EXAMPLES = (
    ("wardian image diff penguins:1.0 .", "what the project has changed since"),
    ("wardian image diff --files penguins:1.0 penguins:2.0", "every file, those of packages too"),
    ("wardian image diff --exit-code --quiet a b", "for a script: status 1 where they differ"),
)
PROJECT = "."


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_argument("old", metavar="A", help="an image of the store, or `.`")
    parser.add_argument("new", metavar="B", help="an image of the store, or `.`")
    parser.add_argument("--files", action="store_true", help="list all files, those of packages too")
    parser.add_argument("--exit-code", action="store_true", help="end with status 1 where the images differ")
    parser.add_argument("--platform", metavar="OS/ARCH", help="which of the images' platforms")
    parser.add_locking()
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Show it."""
    from wardian import compare

    difference = compare(_read(arguments.old, arguments, session), _read(arguments.new, arguments, session))
    if arguments.json:
        from wardian.cli.differences import as_json

        session.print_json(as_json(difference, files=arguments.files))
    elif not session.quiet:
        from wardian.cli.differences import lines

        for line in lines(difference, files=arguments.files):
            session.say(line)
    return 1 if arguments.exit_code and difference else 0


def _read(name: str, arguments: argparse.Namespace, session: Session) -> Inventory:
    from wardian.cli.image_size import read

    return read(None if name == PROJECT else name, arguments, session)
