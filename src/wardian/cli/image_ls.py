"""`wardian image ls`: the images that have a name."""

from __future__ import annotations

from wardian.cli.render import SHORT_KEY, columns, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from wardian import ImageStore, Kept, StoredImage
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
List the images that have a name: those built and packed from projects, pulled, loaded, or tagged. SIZE is
that of the packed layers, as they travel; layers that images share are on the disk once."""
EXAMPLES = (
    ("wardian image ls", "all images"),
    ("wardian image ls --json", "for a program to read"),
)
HEADINGS = ("NAME", "DIGEST", "PLATFORM", "SIZE", "ORIGIN")


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Show the images as a table."""
    store = session.store()
    found = [(kept, _images(store, kept)) for kept in store.names()]
    if arguments.json:
        session.print_json({"images": [_as_json(kept, images) for kept, images in found]})
        return 0
    if not found:
        session.console.message("no images yet; `wardian pull` gets one, `wardian save` packs the project's")
        return 0
    for line in columns([HEADINGS, *(_row(kept, images) for kept, images in found)], right=(3,)):
        session.say(line)
    return 0


def _images(store: ImageStore, kept: Kept) -> Sequence[StoredImage]:
    """The images that a name stands for, as far as they are there and whole."""
    from wardian.errors import WardianError

    try:
        return store.images(kept)
    except WardianError:
        return ()


def _row(kept: Kept, images: Sequence[StoredImage]) -> tuple[str, ...]:
    return (
        kept.name.familiar,
        kept.descriptor.digest.hex[:SHORT_KEY],
        ", ".join(str(image.platform) for image in images) or "not whole",
        size(_bytes(images)),
        kept.origin,
    )


def _bytes(images: Sequence[StoredImage]) -> int:
    layers = {layer.digest: layer.size for image in images for layer in image.manifest.layers}
    return sum(layers.values())


def _as_json(kept: Kept, images: Sequence[StoredImage]) -> dict[str, object]:
    return {
        "name": str(kept.name),
        "digest": str(kept.descriptor.digest),
        "media_type": kept.descriptor.media_type,
        "platforms": [str(image.platform) for image in images],
        "bytes": _bytes(images),
        "origin": kept.origin,
        "project": kept.project,
        "created": kept.created,
    }
