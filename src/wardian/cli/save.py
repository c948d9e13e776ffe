"""`wardian save`: an image as one file."""

from __future__ import annotations

import contextlib
import os

from wardian.cli import output
from wardian.cli.render import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session
    from wardian.image.library import Library, StoredImage
    from wardian.image.reference import Reference

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
    write(arguments.format, arguments, session)
    return 0


def write(form: str, arguments: argparse.Namespace, session: Session) -> None:
    """Write the image that the arguments name as one file, in one of `FORMATS`, or as `rootfs`."""
    name = arguments.output or output.STANDARD
    output.check(name, session, force=arguments.force)  # before anything is built
    with (
        stored(arguments, session) as (library, image),
        output.binary(name, session, force=arguments.force) as file,
    ):
        if form == "rootfs":
            from wardian.export.rootfs import write_rootfs

            write_rootfs(library, image, file, session.console)
        else:
            from wardian.image import archive, layout

            writer = layout.write_tar if form == "oci-archive" else archive.write_archive
            writer(library, image, file, reference(image))
    if name != output.STANDARD:
        session.say(f"{name}: {image.name} ({size(os.stat(session.path(name)).st_size)})")


@contextlib.contextmanager
def stored(arguments: argparse.Namespace, session: Session) -> Iterator[tuple[Library, StoredImage]]:
    """The image that the arguments name, kept from `prune` while the block lasts."""
    library = session.library()
    with library.store.use(lambda: session.console.message("waiting for another process, which prunes")):
        yield (
            library,
            session.image(
                arguments.image,
                compression=arguments.compression,
                platform=arguments.platform,
                offline=arguments.offline,
                locked=arguments.locked,
            ),
        )


def reference(image: StoredImage) -> Reference | None:
    """The name that an image is written out with."""
    from wardian.image.reference import Reference

    return Reference.parse(image.name) if image.name else None
