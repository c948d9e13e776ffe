"""`wardian push`: an image to a registry."""

from __future__ import annotations

from wardian.cli.misplaced import refuse_beside_image
from wardian.cli.render import seconds, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian import Pushed
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Push the project's image to a registry, or an image of the store. The project is locked and built first where
it has to be; layers are sent as soon as they are packed, and only those that the registry lacks.

REF is written as Docker writes it: a name without a host is Docker Hub's. Where the lock holds several
platforms, the tag names an index (a manifest list), in which this machine's image takes its place beside
the others: push from a machine of each."""
EXAMPLES = (
    ("wardian push registry.example/me/analysis:1.0", "the project's image"),
    ("wardian push --image penguins:latest me/penguins", "an image of the store, to Docker Hub"),
    ("wardian push --compression zstd registry.example/me/analysis", "smaller; engines since 2023 read it"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_argument("reference", metavar="REF", help="where to: REGISTRY/NAME:TAG")
    parser.add_image()
    parser.add_argument(
        "--beside",
        action="store_true",
        help="put the image beside those of other platforms under this tag, in an index",
    )
    parser.add_insecure()
    parser.add_locking()
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Push, and say what was sent."""
    import time

    refuse_beside_image(arguments)
    start = time.monotonic()
    pushed = _push(arguments, session)
    if arguments.json:
        session.print_json(_as_json(pushed, time.monotonic() - start))
        return 0
    traffic = pushed.traffic
    session.say(
        f"{pushed.reference.familiar} {pushed.digest}: sent {size(traffic.bytes_sent)} in {traffic.sent} of "
        f"{len(pushed.image.manifest.layers) + 1} blobs in {seconds(time.monotonic() - start)}"
    )
    return 0


def _push(arguments: argparse.Namespace, session: Session) -> Pushed:
    if arguments.image is None:
        session.check_platform(arguments.platform)
        project = session.project(offline=arguments.offline, locked=arguments.locked)
        return project.push(
            arguments.reference,
            compression=arguments.compression or "gzip",
            insecure=arguments.insecure,
            beside=arguments.beside,
        )
    store = session.store()
    with store.using():
        image = store.find(arguments.image, platform=arguments.platform)
        return store.push(image, arguments.reference, insecure=arguments.insecure, beside=arguments.beside)


def _as_json(pushed: Pushed, took: float) -> dict[str, object]:
    return {
        "reference": str(pushed.reference),
        "digest": str(pushed.digest),
        "index": pushed.is_index,
        "platform": str(pushed.image.platform),
        "sent": pushed.traffic.sent,
        "mounted": pushed.traffic.mounted,
        "present": pushed.traffic.present,
        "bytes": pushed.traffic.bytes_sent,
        "seconds": round(took, 3),
    }
