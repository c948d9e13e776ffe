"""`wardian completion`: the script that makes a shell complete wardian's command line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

SHELLS = ("bash", "zsh", "fish")
DESCRIPTION = """\
Print the script that makes your shell complete verbs, options, task names, notebooks and scripts."""
EXAMPLES = (
    ('eval "$(wardian completion bash)"', "in ~/.bashrc"),
    ('eval "$(wardian completion zsh)"', "in ~/.zshrc, after compinit"),
    ("wardian completion fish | source", "in ~/.config/fish/config.fish"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    parser.add_common()


def execute(arguments: argparse.Namespace, _session: Session) -> int:
    """Print the script."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["wardian"], shell=arguments.shell))
    return 0
