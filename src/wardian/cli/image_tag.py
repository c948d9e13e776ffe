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
    from wardian.errors import ImageError
    from wardian.image.reference import Reference

    name = Reference.parse(arguments.name)
    if name.digest:
        raise ImageError(f"{arguments.name} names a digest, which no one can choose", hint="write NAME:TAG")
    library = session.library()
    with library.store.use():
        kept = library.lookup(arguments.image)
        made = library.keep(name, kept.descriptor, origin="tagged")
    if arguments.json:
        session.print_json({"name": str(made.name), "digest": str(made.descriptor.digest)})
    else:
        session.say(f"{name.familiar} is {kept.name.familiar}")
    return 0
