"""`wardian image inspect`: what an image is."""

from __future__ import annotations

from wardian.cli.image import add_name
from wardian.cli.render import SHORT_KEY, columns, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from wardian import ImageStore, StoredImage
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Show an image's digest, its configuration and its layers. With --json: the manifest's descriptor and
annotations, the configuration as it is in the image, and the layers with their names, digests and sizes."""
EXAMPLES = (
    ("wardian image inspect", "the project's image, built first if need be"),
    ("wardian image inspect --json penguins", "for a program to read"),
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
    if arguments.json:
        session.print_json(_as_json(session.store(), image))
        return 0
    for name, value in _facts(image):
        session.say(f"{name:<11} {value}")
    rows = [("LAYER", "SIZE", "DIGEST"), *_layers(image)]
    for line in columns(rows, right=(1,)):
        session.say(line)
    return 0


def layer_names(image: StoredImage) -> list[str]:
    """What the history says of each layer, from bottom to top."""
    told = [entry.created_by for entry in image.configuration.history if not entry.empty]
    return [*told, *[""] * len(image.manifest.layers)][: len(image.manifest.layers)]


def _facts(image: StoredImage) -> Iterator[tuple[str, str]]:
    import shlex

    run = image.configuration.execution
    yield "name", image.name
    yield "digest", str(image.descriptor.digest)
    yield "platform", str(image.platform)
    for name, value in (
        ("created", image.configuration.created),
        ("user", run.user),
        ("directory", run.directory),
        ("entrypoint", shlex.join(run.entrypoint)),
        ("command", shlex.join(run.command)),
        ("ports", ", ".join(run.ports)),
        ("volumes", ", ".join(run.volumes)),
    ):
        if value:
            yield name, printable(value)
    for name, value in run.environment:
        yield "variable", printable(f"{name}={value}")
    for name, value in run.labels.items():
        yield "label", printable(f"{name}={value}")
    total = sum(layer.size for layer in image.manifest.layers)
    yield "size", f"{size(total)} in {len(image.manifest.layers)} layers, packed"


def _layers(image: StoredImage) -> list[tuple[str, str, str]]:
    layers = zip(image.manifest.layers, layer_names(image), strict=True)
    return [(_short(name), size(layer.size), layer.digest.hex[:SHORT_KEY]) for layer, name in layers]


def _short(name: str) -> str:
    text = printable(name) or "?"
    return text if len(text) <= 60 else f"{text[:59]}…"


def printable(text: str) -> str:
    """One line of text: what an image says of itself is anybody's, and may hold a terminal's commands.

    A byte that is no UTF-8, half a character in Python's texts (PEP 383), is written as `\\xff`: without it a
    name would look like another's.
    """
    return " ".join("".join(map(_printable, text)).split())


def _printable(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter if letter.isprintable() else " "


def _as_json(store: ImageStore, image: StoredImage) -> dict[str, object]:
    layers = zip(image.manifest.layers, image.configuration.diff_ids, layer_names(image), strict=True)
    return {
        "name": image.name,
        "platform": str(image.platform),
        "manifest": image.descriptor.as_json(),
        "annotations": dict(image.manifest.annotations),
        "config": store.configuration(image),
        "layers": [
            {"name": name, **layer.as_json(), "diff_id": str(diff_id)} for layer, diff_id, name in layers
        ],
    }
