"""`wardian shell`: a shell in the project's container."""

from __future__ import annotations

from wardian.cli import container, image_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Open a shell in the project's container, which is locked and built first where it has to be. The project is
mounted at /work. Changes to the rest of the root are thrown away at the end, unless --keep names them. With
--image it is a shell in any OCI or Docker image."""
EXAMPLES = (
    ("wardian shell", "look around"),
    ("wardian shell --root --keep trial", "try packages with apt-get, and go on later"),
    ("wardian shell --network none", "without a network"),
    ("wardian shell --image debian", "in another image, pulled first"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    container.add_container_arguments(parser)
    image_run.add_image_arguments(parser)
    parser.add_common()


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Run the shell; the status is its own."""
    if arguments.image is not None:
        return image_run.execute(arguments, session, (), shell=True)
    image_run.refuse_alone(arguments)
    options = container.options(arguments, session)
    from wardian import RunRequest

    wanted = RunRequest(target=None, arguments=("/bin/bash",), **options)
    project = session.project(offline=arguments.offline, locked=arguments.locked)
    status: int = project.run(wanted)
    return status
