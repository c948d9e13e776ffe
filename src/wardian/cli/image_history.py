"""`wardian image history`: how an image's layers came to be."""

from __future__ import annotations

from wardian.cli.image import add_name
from wardian.cli.image_inspect import printable
from wardian.cli.render import SHORT_KEY, columns, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian import Descriptor, History, StoredImage
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Show how an image's layers came to be, the newest first: each layer's digest, its size as it travels, and
what made it. Steps without a layer changed the configuration alone."""
EXAMPLES = (
    ("wardian image history", "the project's image, built first if need be"),
    ("wardian image history --json penguins", "for a program to read"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    add_name(parser)
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Show it."""
    image = session.image(
        arguments.image, platform=arguments.platform, offline=arguments.offline, locked=arguments.locked
    )
    steps = history(image)[::-1]
    if arguments.json:
        session.print_json({"name": image.name, "history": [_as_json(step, layer) for step, layer in steps]})
        return 0
    rows = [("LAYER", "SIZE", "CREATED BY"), *(_row(step, layer) for step, layer in steps)]
    for line in columns(rows, right=(1,)):
        session.say(line)
    return 0


def history(image: StoredImage) -> list[tuple[History, Descriptor | None]]:
    """The steps from the first to the last with their layers; layers of which nothing is said come last."""
    from wardian import History

    layers = list(image.manifest.layers)
    found: list[tuple[History, Descriptor | None]] = []
    for step in image.configuration.history:
        found.append((step, None if step.empty or not layers else layers.pop(0)))
    return [*found, *((History(created_by=""), layer) for layer in layers)]


def _row(step: History, layer: Descriptor | None) -> tuple[str, str, str]:
    digest = layer.digest.hex[:SHORT_KEY] if layer else "-"
    return digest, size(layer.size if layer else 0), printable(step.created_by)[:120]


def _as_json(step: History, layer: Descriptor | None) -> dict[str, object]:
    return {
        "digest": str(layer.digest) if layer else None,
        "bytes": layer.size if layer else 0,
        "created": step.created,
        "created_by": step.created_by,
        "comment": step.comment,
    }
