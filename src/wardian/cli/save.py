"""`wardian save`: an image as one file."""

from __future__ import annotations

import os

from wardian.cli import output
from wardian.cli.misplaced import refuse_beside_image
from wardian.cli.render import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian import ArchiveFormat, StoredImage
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Write the project's image, or one of the store, to a file that `docker load`, `podman load` and `wardian
load` read, and skopeo as docker-archive or as oci-archive. The same image gives the same bytes."""
EXAMPLES = (
    ("wardian save -o analysis.tar", "the project's image, built first if need be"),
    ("wardian save --image analysis:1.0 | ssh host docker load", "straight to another machine"),
)
FORMATS = ("docker-archive", "oci-archive")


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    output.add_output(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default=FORMATS[0],
        help="docker-archive (default), which holds an OCI layout too, or oci-archive, that alone",
    )
    parser.add_image()
    parser.add_locking()
    parser.add_common()


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Write the file."""
    refuse_beside_image(arguments)
    write(arguments.format, arguments, session)
    return 0


def write(form: ArchiveFormat, arguments: argparse.Namespace, session: Session) -> None:
    """Write the image that the arguments name as one file."""
    name = arguments.output or output.STANDARD
    output.check(name, session, force=arguments.force)  # before anything is built
    store = session.store()
    with store.using():
        wanted = image(arguments, session)
        with output.binary(name, session, force=arguments.force) as file:
            store.save(wanted, file, format=form)
    if name != output.STANDARD:
        session.say(f"{name}: {wanted.name} ({size(os.stat(session.path(name)).st_size)})")


def image(arguments: argparse.Namespace, session: Session) -> StoredImage:
    """The image that the arguments name, which is built first if it is the project's."""
    return session.image(
        arguments.image,
        compression=arguments.compression or "gzip",
        platform=arguments.platform,
        offline=arguments.offline,
        locked=arguments.locked,
    )
