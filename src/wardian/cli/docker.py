"""`wardian docker`: the image, straight into Docker or Podman."""

from __future__ import annotations

from wardian.cli import save
from wardian.cli.misplaced import refuse_beside_image
from wardian.cli.render import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Put the project's image, or one of the store, into the Docker or Podman of this machine, through its API
socket: then `docker run NAME` works at once. Docker is sent only the layers that it lacks, and those above
them. Which engine: the one that `docker` itself would talk to, else Podman's."""
EXAMPLES = (
    ("wardian docker && docker run --rm penguins", "the project's image, under its name"),
    ("wardian docker --tag me/penguins:1.0", "under another name"),
    ("wardian docker --podman", "into Podman, though Docker is running too"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_argument(
        "-t", "--tag", metavar="REF", help="the name in the engine (default: the image's own)"
    )
    parser.add_argument(
        "--host", default="", metavar="ADDRESS", help="the engine's socket, as in unix:///run/docker.sock"
    )
    parser.add_argument("--podman", action="store_true", help="Podman, even where Docker answers")
    parser.add_image()
    parser.add_locking()
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Deliver, and say what was sent."""
    refuse_beside_image(arguments)
    done = session.store().deliver(
        lambda: save.image(arguments, session),  # without an engine there is nothing to build for
        name=arguments.tag or "",
        host=arguments.host,
        podman=arguments.podman,
    )
    name, layers = done.reference.familiar, len(done.image.manifest.layers)
    if arguments.json:
        session.print_json(
            {
                "engine": done.engine,
                "name": name,
                "id": str(done.identity),
                "digest": str(done.image.descriptor.digest),
                "layers": layers,
                "present": done.present,
                "bytes": done.sent,
            }
        )
        return 0
    had = f"; it had {done.present} of {layers} layers" if done.present else ""
    session.say(f"{done.engine} has {name} ({done.identity.hex[:12]}): sent {size(done.sent)}{had}")
    return 0
