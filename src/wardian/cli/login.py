"""`wardian login`: keep credentials for a registry, once it has taken them."""

from __future__ import annotations

import sys

from wardian.cli.parser import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Log in to a registry of images, Docker Hub unless another is named. The credentials are shown to it first;
only what it takes is kept, where other container tools find it too: in $REGISTRY_AUTH_FILE, else in
~/.docker/config.json, or with the credential helper that is named there."""
EXAMPLES = (
    ("wardian login registry.example", "ask for user name and password"),
    ("wardian login -u me --password-stdin registry.example <token", "take the password from a file"),
)
_LARGEST = 1 << 16  # bytes; tokens have a few thousand


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_argument("registry", nargs="?", default="", metavar="REGISTRY", help="its host, with a port")
    parser.add_argument(
        "-u", "--username", metavar="USER", help="the user name; asked for where it is missing"
    )
    parser.add_argument(
        "--password-stdin", action="store_true", help="read the password, or a token, from standard input"
    )
    parser.add_insecure()
    parser.add_common()


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Ask for what is missing, log in, and say where the credentials are."""
    user, password = _credentials(arguments)
    from wardian import login

    done = login(
        arguments.registry, user, password, environment=session.environment, insecure=arguments.insecure
    )
    session.say(f"logged in to {done.registry} as {user}; the credentials are in {done.place}")
    if not done.is_verified:
        session.console.message(f"{done.registry} did not ask for credentials, so they were not tried")
    return 0


def _credentials(arguments: argparse.Namespace) -> tuple[str, str]:
    if arguments.password_stdin:
        if not arguments.username:
            raise UsageError("wardian login: --password-stdin needs a user name", hint="add -u USER")
        password = _read_password()
        if not password:
            raise UsageError("wardian login: there is no password on standard input", hint="pipe it in")
        return arguments.username, password
    if not sys.stdin.isatty():
        raise UsageError(
            "wardian login: there is no terminal to ask for a password",
            hint="give it with -u USER --password-stdin",
        )
    return _ask(arguments.username)


def _read_password() -> str:
    """What stands on standard input, whatever the locale takes its bytes for."""
    try:
        return sys.stdin.buffer.read(_LARGEST).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UsageError(
            "wardian login: the password on standard input is not UTF-8 text", hint="pipe in its text"
        ) from error


def _ask(user: str | None) -> tuple[str, str]:
    from getpass import getpass

    try:
        if not user:
            print("User name: ", end="", file=sys.stderr, flush=True)
            user = input().strip()
        password = getpass("Password: ", stream=sys.stderr)
    except EOFError:
        user, password = "", ""
    if not user or not password:
        raise UsageError("wardian login: it takes a user name and a password", hint="try again")
    return user, password
