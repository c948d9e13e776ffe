"""`wardian load`: images from a file, a folder or standard input into the store."""

from __future__ import annotations

import sys

from wardian.cli.parser import UsageError
from wardian.cli.render import SHORT_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Load images that `wardian save`, `docker save`, `podman save` or skopeo has written: docker archives, OCI
archives and OCI layout folders, compressed or not. Every digest is verified. An image without a name gets
its file's."""
EXAMPLES = (
    ("wardian load analysis.tar", "a docker archive or an OCI archive"),
    ("wardian load layout/", "a folder that is an OCI layout"),
    ("docker save alpine | wardian load", "from another program"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="an archive, a layout folder, or `-` for standard input"
    )
    parser.add_argument("-i", "--input", metavar="FILE", help="the same, as `docker load` has it")
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Load, and print the names."""
    if arguments.file is not None and arguments.input is not None:
        raise UsageError("wardian load: FILE and -i FILE are the same", hint="give one of them")
    place = arguments.file or arguments.input or "-"
    if place == "-" and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError("wardian load: there is nothing to load", hint="name a file, or send one by a pipe")
    store = session.store()
    if place == "-":
        found = store.load(sys.stdin.buffer, what="standard input")
    else:
        found = store.load(session.path(place))
    if arguments.json:
        images = [{"name": str(kept.name), "digest": str(kept.descriptor.digest)} for kept in found]
        session.print_json({"images": images})
        return 0
    for kept in found:
        session.say(f"{kept.name.familiar} ({kept.descriptor.digest.hex[:SHORT_KEY]})")
    return 0
