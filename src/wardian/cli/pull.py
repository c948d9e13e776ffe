"""`wardian pull`: an image from a registry."""

from __future__ import annotations

from wardian.cli.render import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Pull an image from a registry into the store: one of wardian's or any other. Layers are verified and unpacked
while others still arrive; what is there already is not fetched again, and what broke off goes on where it
ended. `wardian run --image REF` runs it."""
EXAMPLES = (
    ("wardian pull registry.example/me/analysis:1.0", "by tag"),
    ("wardian pull --platform linux/arm64 debian:trixie-slim", "for another platform, to save or push it"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_argument("reference", metavar="REF", help="what: REGISTRY/NAME:TAG or …@DIGEST")
    parser.add_argument("--platform", metavar="OS/ARCH", help="instead of this machine's")
    parser.add_insecure()
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Pull, and name what has arrived."""
    from wardian import Reference

    reference = Reference.parse(arguments.reference)
    image = session.store().pull(
        arguments.reference, platform=arguments.platform, insecure=arguments.insecure
    )
    packed = sum(layer.size for layer in image.manifest.layers)
    if arguments.json:
        session.print_json(
            {
                "reference": str(reference),
                "digest": str(image.descriptor.digest),
                "platform": str(image.platform),
                "layers": len(image.manifest.layers),
                "bytes": packed,
            }
        )
        return 0
    session.say(
        f"{reference.familiar} {image.descriptor.digest}: {len(image.manifest.layers)} layers, {size(packed)}"
    )
    return 0
