"""`wardian init`: write what was detected as a commented wardian.toml."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Write wardian.toml into this folder, or that of -C, with what was found in it: requirements.txt,
pyproject.toml, apt.txt, .python-version, or else the imports of its scripts and notebooks. An empty folder
gets a set of common data-science packages. Nothing is installed, and `wardian run` works without it too."""
EXAMPLES = (
    ("wardian init", "in the project's folder"),
    ("wardian -C analysis init --force", "overwrite the wardian.toml of another project"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_argument("--force", action="store_true", help="overwrite a wardian.toml that is there")
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Write the file; say where it is and what it came from."""
    project = session.project(here=True)
    path = project.initialize(force=arguments.force)
    detected = list(project.detected)
    if arguments.json:
        session.print_json({"path": str(path), "detected": detected})
        return 0
    for sentence in detected:
        session.say(sentence)
    session.say(f"wrote {path}")
    return 0
