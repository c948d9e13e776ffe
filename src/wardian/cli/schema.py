"""`wardian schema`: the JSON Schema of wardian.toml."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Print the JSON Schema (draft 2020-12) of wardian.toml, from which editors complete and check the file."""
EXAMPLES = (("wardian schema > wardian.schema.json", "for an editor"),)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_common(json=True)


def execute(_arguments: argparse.Namespace, session: Session) -> int:
    """Print the schema, which is JSON with and without --json."""
    from wardian import schema

    session.print_json(schema())
    return 0
