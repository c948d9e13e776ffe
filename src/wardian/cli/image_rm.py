"""`wardian image rm`: take names away."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Take away images' names; a digest stands for a name where it has but one. An image without a name goes with
the next `wardian prune`, as far as no other image has its layers."""
EXAMPLES = (
    ("wardian image rm penguins:1.0", "one name"),
    ("wardian image rm penguins:1.0 penguins:1.1 && wardian prune", "and the disk's room at once"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("images", nargs="+", metavar="NAME", help="an image's name or digest")
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Take all names away, or none where one of them is not there."""
    removed = session.store().remove(*arguments.images)
    if arguments.json:
        session.print_json({"removed": [str(kept.name) for kept in removed]})
        return 0
    for kept in removed:
        session.say(f"removed {kept.name.familiar}")
    return 0
