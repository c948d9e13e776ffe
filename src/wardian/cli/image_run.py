"""What `run` and `shell` do with `--image`: an image of a registry or of the store instead of a project."""

from __future__ import annotations

from wardian.cli import container
from wardian.cli.misplaced import refuse_beside_image
from wardian.cli.parser import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

_PULLS = ("missing", "always", "never")


def add_image_arguments(parser: Parser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("Any image")
    group.add_argument(
        "--image", metavar="NAME", help="run this image instead of the project: a name or digest, ours or not"
    )
    group.add_argument(
        "--pull", choices=_PULLS, metavar="WHEN", help="missing (default), always or never get it anew"
    )
    group.add_argument(
        "--entrypoint", metavar="PROGRAM", help="run this instead of the image's own entrypoint and command"
    )
    group.add_argument("--user", metavar="USER[:GROUP]", help="be this user inside: names or numbers")
    group.add_argument("--workdir", metavar="DIR", help="start in this folder inside")
    group.add_argument(
        "--insecure", action="store_true", help="let the registry go without TLS, or with a bad certificate"
    )


def execute(
    arguments: argparse.Namespace, session: Session, words: Sequence[str], *, shell: bool = False
) -> int:
    """Run the image; the status is the program's own."""
    refuse_beside_image(arguments)
    options = container.options(arguments, session)
    from wardian import RunRequest, run_image

    entrypoint = arguments.entrypoint
    status: int = run_image(
        arguments.image,
        RunRequest(target=None, arguments=words, **options),
        pull=arguments.pull or "missing",
        entrypoint=None if entrypoint is None else [entrypoint] if entrypoint else [],
        user=arguments.user,
        directory=arguments.workdir,
        shell=shell,
        environment=session.environment,
        progress=session.console,
        offline=arguments.offline,
        insecure=arguments.insecure,
    )
    return status


def refuse_alone(arguments: argparse.Namespace) -> None:
    """Raise UsageError for options that mean something with `--image` alone."""
    for name in ("pull", "entrypoint", "user", "workdir", "insecure"):
        if getattr(arguments, name) not in (None, False):
            raise UsageError(f"--{name} is for --image alone", hint=f"write --image NAME before --{name}")
