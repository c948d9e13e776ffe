"""`wardian image size`: which package brings which bytes, in a terminal and as a picture."""

from __future__ import annotations

from wardian.cli import output
from wardian.cli.image import add_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from wardian import Inventory
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Show what makes an image big: its files by package, the largest first, unpacked and about as they travel;
the same content in several places, big files, and bytes of lower layers that upper ones replace or remove.
Any image will do: packages are found by the records of dpkg, apk and Python in it."""
EXAMPLES = (
    ("wardian image size", "the project's image, built first if need be"),
    ("wardian image size --depth 3 --top 5 penguins", "folders in packages too, five of each"),
    ("wardian image size --html size.html", "a page with a map to click through"),
    ("wardian image size --json penguins", "for a program to read"),
)
DEPTH, TOP = 2, 10


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    add_name(parser)
    parser.add_argument(
        "--depth", type=_natural, default=DEPTH, metavar="N", help="1: ecosystems, 2: packages, 3 on: folders"
    )
    parser.add_argument(
        "--top", type=_natural, metavar="N", help=f"show the N largest of each (default: {TOP}; --json: all)"
    )
    parser.add_argument("--html", metavar="FILE", help="write a page with a map, which needs no network")
    parser.add_argument("--svg", metavar="FILE", help="write the map alone")
    parser.add_argument("--force", action="store_true", help="replace a FILE that is there already")
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Show it, or write it."""
    wanted = _pictures(arguments)
    for name in wanted:
        output.check(name, session, force=arguments.force, binary=False)  # before anything is built
    inventory = read(arguments.image, arguments, session)
    for name, draw in wanted.items():
        output.text(draw(inventory), name, session, force=arguments.force)
        if name != output.STANDARD and not arguments.json:
            session.say(f"{name}: {inventory.title}")
    if arguments.json:
        from wardian.cli.sizes import as_json

        session.print_json(as_json(inventory, arguments.top))
    elif not wanted and not session.quiet:
        from wardian.cli.sizes import show

        show(inventory, session, depth=arguments.depth, top=arguments.top or TOP)
    return 0


def read(name: str | None, arguments: argparse.Namespace, session: Session) -> Inventory:
    """The inventory of an image of the store, or of the project's; kept from `prune` meanwhile."""
    store = session.store()
    with store.using():
        image = session.image(
            name, platform=arguments.platform, offline=arguments.offline, locked=arguments.locked
        )
        return store.inventory(image)


def _pictures(arguments: argparse.Namespace) -> dict[str, Callable[[Inventory], str]]:
    """What is to be written, by the names of files."""
    from wardian.cli.parser import UsageError

    found: dict[str, Callable[[Inventory], str]] = {}
    for name, draw in ((arguments.html, _page), (arguments.svg, _drawing)):
        if name is not None and (name in found or (arguments.json and name == output.STANDARD)):
            raise UsageError("wardian image size: two things cannot go to one place", hint="name two files")
        if name is not None:
            found[name] = draw
    return found


def _page(inventory: Inventory) -> str:
    from wardian import size_page
    from wardian.cli.render import size

    return size_page(inventory, size)


def _drawing(inventory: Inventory) -> str:
    from wardian import measure, size_map
    from wardian.cli.render import size

    return size_map(measure(inventory).tree, size)


def _natural(text: str) -> int:
    import argparse

    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)
