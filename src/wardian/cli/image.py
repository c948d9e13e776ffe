"""`wardian image`: the images of the store. Each of its verbs is a module of this room, image_VERB.py."""

from __future__ import annotations

from wardian.cli.parser import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

VERBS = {
    "ls": "list the images that have a name",
    "inspect": "show an image's digest, configuration and layers",
    "history": "show how an image's layers came to be",
    "size": "show what makes an image big, by package",
    "diff": "show what changed from one image to another",
    "tag": "give an image one more name",
    "rm": "take names away",
}

USAGE = "VERB ..."
DESCRIPTION = """\
Look at the images of the store, the project's own among them, and at what was pulled and loaded. Where a
verb takes NAME, it is an image's name, its digest, or the beginning of that; without NAME it is the
project's image.

""" + "\n".join(f"  {name:<10}{line}" for name, line in VERBS.items())
EXAMPLES = (
    ("wardian image ls", "all images"),
    ("wardian image inspect", "the project's own, built first if need be"),
    ("wardian image tag penguins penguins:1.0", "one more name"),
    ("wardian image ls --help", "more about a verb"),
)


def add_arguments(parser: Parser) -> None:
    """Declare what stands before the verb: nothing but the common options."""
    parser.add_common()


def execute(arguments: argparse.Namespace, session: Session) -> int:  # noqa: ARG001
    """Refuse: entry.py runs the verbs themselves."""
    raise UsageError("wardian image: which verb?", hint="see `wardian image --help`")


def add_name(parser: Parser) -> None:
    """Declare which image a verb looks at."""
    parser.add_argument(
        "image", nargs="?", metavar="NAME", help="a name or digest; left out: the project's image"
    )
    parser.add_argument("--platform", metavar="OS/ARCH", help="with NAME: which of its platforms")
    parser.add_locking()
