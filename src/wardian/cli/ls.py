"""`wardian ls`: the images that were built."""

from __future__ import annotations

from wardian.cli.render import SHORT_KEY, age, columns, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian import ImageRecord
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
List the images that were built on this machine, newest first. SIZE is what an image holds; SHARED is the
part of it that other images use too, which is on the disk once."""
EXAMPLES = (
    ("wardian ls", "all images"),
    ("wardian ls --json", "for a program to read"),
)
HEADINGS = ("NAME", "KEY", "PLATFORM", "CREATED", "SIZE", "SHARED", "PROJECT")


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Show the images as a table."""
    from wardian import images

    found = sorted(images(session.home()), key=lambda image: image.created, reverse=True)
    if arguments.json:
        session.print_json({"images": [_as_json(image) for image in found]})
        return 0
    if not found:
        session.console.message("no images yet; `wardian build` makes one")
        return 0
    from datetime import UTC, datetime

    now = datetime.now(UTC).timestamp()
    for line in columns([HEADINGS, *(_row(image, now) for image in found)], right=(4, 5)):
        session.say(line)
    return 0


def _row(image: ImageRecord, now: float) -> tuple[str, ...]:
    return (
        image.name,
        image.key[:SHORT_KEY],
        str(image.platform),
        age(now - image.created.timestamp()),
        size(image.bytes),
        size(image.shared),
        str(image.project),
    )


def _as_json(image: ImageRecord) -> dict[str, object]:
    return {
        "name": image.name,
        "key": image.key,
        "platform": str(image.platform),
        "created": image.created.isoformat(),
        "bytes": image.bytes,
        "shared": image.shared,
        "project": str(image.project),
    }
