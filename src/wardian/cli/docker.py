"""`wardian docker`: the image, straight into Docker or Podman."""

from __future__ import annotations

from wardian.cli.render import size
from wardian.cli.save import stored

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session
    from wardian.image.reference import Reference

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
    """Find the engine first: without one there is nothing to build for."""
    from wardian.api.engines import deliver
    from wardian.runtime.engines import connect

    asked = _tag(arguments.tag) if arguments.tag else None
    with (
        connect(session.environment, host=arguments.host, podman=arguments.podman) as engine,
        stored(arguments, session) as (library, image),
    ):
        name = asked or _tag(image.name)
        done = deliver(library, image, engine, name, progress=session.console)
    layers = len(image.manifest.layers)
    if arguments.json:
        session.print_json(
            {
                "engine": done.engine,
                "name": name.familiar,
                "id": str(done.identity),
                "digest": str(image.descriptor.digest),
                "layers": layers,
                "present": done.present,
                "bytes": done.sent,
            }
        )
        return 0
    had = f"; it had {done.present} of {layers} layers" if done.present else ""
    session.say(f"{done.engine} has {name.familiar} ({done.identity.hex[:12]}): sent {size(done.sent)}{had}")
    return 0


def _tag(text: str) -> Reference:
    """The name that the engine is to know the image by; raises ImageError where engines know none such."""
    from wardian.errors import ImageError
    from wardian.image.reference import Reference

    reference = Reference.parse(text) if text else None
    if reference is None or reference.digest:
        what = f"{text} names an image by its digest" if text else "the image has no name"
        raise ImageError(f"{what}, and engines know what they load by a tag", hint="name one with --tag")
    return reference
