"""`wardian image tag`: one more name for an image."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Give an image one more name. An image that had the new name loses it. A name keeps its image from
`wardian prune`, however often the project is built anew."""
EXAMPLES = (
    ("wardian image tag penguins penguins:1.0", "keep this state of the project's image"),
    ("wardian image tag 3f1a90 registry.example/me/penguins:1.0", "by the beginning of its digest"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("image", metavar="NAME", help="an image's name or digest")
    parser.add_argument("name", metavar="NEW", help="its new name: [REGISTRY/]NAME[:TAG]")
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Name it."""
    made = session.store().tag(arguments.image, arguments.name)
    if arguments.json:
        session.print_json({"name": str(made.name), "digest": str(made.descriptor.digest)})
    else:
        session.say(f"{made.name.familiar} is {arguments.image}")
    return 0
