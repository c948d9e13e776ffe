"""`wardian logout`: forget credentials for registries."""

from __future__ import annotations

from wardian.cli.parser import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Forget the credentials for a registry, Docker Hub unless another is named, wherever they are kept: files and
credential helpers of other container tools included."""
EXAMPLES = (
    ("wardian logout registry.example", "forget those for one registry"),
    ("wardian logout --all", "forget those for every registry"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_argument("registry", nargs="?", default="", metavar="REGISTRY", help="its host, with a port")
    parser.add_argument("--all", action="store_true", help="forget the credentials for every registry")
    parser.add_common()


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Forget, and say what was there."""
    if arguments.all and arguments.registry:
        raise UsageError(
            "wardian logout: --all and a registry exclude each other", hint="name one of the two"
        )
    from wardian import logout, logout_everywhere, registry_name

    if arguments.all:
        names = logout_everywhere(environment=session.environment)
        session.say(f"logged out of {', '.join(names)}" if names else "there were no credentials")
        return 0
    name = registry_name(arguments.registry)
    there = logout(name, environment=session.environment)
    session.say(f"logged out of {name}" if there else f"there were no credentials for {name}")
    return 0
