"""argparse in wardian's manner: our errors and exit status, examples in every help, colour on terminals.

It parses and shows help; it knows no verb by name.
"""

from __future__ import annotations

import argparse
import os
import re

from wardian.errors import UserError

TYPE_CHECKING = False  # `typing` costs 4 ms at start; type checkers take this name for true
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, NoReturn, TextIO

COLUMNS = (60, 100)  # narrower breaks help up, wider makes lines that the eye loses


class UsageError(UserError):
    """A command line that means nothing; `hint` names the help to read or the word that was meant."""


def colours(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether `stream` shows colour: a terminal, unless NO_COLOR (no-color.org) or TERM forbids it."""
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    return bool(environment.get("FORCE_COLOR")) or stream.isatty()


def near(word: str, names: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The one of `names` that `word` most resembles, if any does by at least `cutoff` (difflib's ratio)."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(names), n=1, cutoff=cutoff)), None)


def paint(text: str) -> str:
    """Colour a help text: headings bold; verbs, options and examples cyan."""
    text = re.sub(r"^([A-Z][\w ]*:)", "\033[1m\\1\033[0m", text, flags=re.MULTILINE)
    return re.sub(r"^  (\S+(?: \S+)*)(?=  |$)", "  \033[36m\\1\033[0m", text, flags=re.MULTILINE)


def _columns() -> int:
    try:
        columns = os.get_terminal_size(1).columns
    except OSError:
        columns = 80
    return min(max(columns, COLUMNS[0]), COLUMNS[1])


class _Formatter(argparse.HelpFormatter):
    """Wraps paragraphs and leaves tables alone, on every version of Python alike.

    It gets its width from us: argparse itself would import shutil, and with it three compressors (5 ms).
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=_columns() - 2)

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        super().add_usage(usage, actions, groups, "Usage: " if prefix is None else prefix)

    def start_section(self, heading: str | None) -> None:
        names = {"options": "Options", "positional arguments": "Arguments"}
        super().start_section(names.get(heading or "", heading))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        import textwrap

        def fill(block: str) -> str:
            table = block.startswith("  ") or "\n  " in block
            return block if table else textwrap.fill(block, width, initial_indent=indent)

        return "\n\n".join(map(fill, text.split("\n\n")))

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


class Parser(argparse.ArgumentParser):
    """The parser of one verb; what it cannot understand is a UsageError, not the end of the process."""

    def __init__(
        self,
        prog: str,
        *,
        usage: str = "",
        description: str = "",
        examples: Sequence[tuple[str, str]] = (),
        coloured: bool = False,
    ) -> None:
        super().__init__(
            prog,
            usage=f"{prog} {usage}".rstrip() if usage else None,
            description=description,
            epilog=_show_examples(examples),
            formatter_class=_Formatter,
            allow_abbrev=False,
            add_help=False,
        )
        self.color = False  # Python 3.14 would paint by rules of its own
        self._coloured = coloured
        self._takes_command = False

    def add_common(self, *, json: bool = False) -> None:
        """Add the options that every verb takes, in a group of their own."""
        group = self.add_argument_group("Common options")
        if json:
            group.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        unset = argparse.SUPPRESS  # what stands before the verb holds, unless it is said again
        group.add_argument(
            "-C", "--directory", metavar="DIR", default=unset, help="work on the project in DIR"
        )
        group.add_argument("-q", "--quiet", action="store_true", default=unset, help="say nothing but errors")
        # `run` and `shell` have a -v of their own, the volume that other container tools mean by it.
        flags = ["--verbose"] if "-v" in self._option_string_actions else ["-v", "--verbose"]
        group.add_argument(*flags, action="store_true", default=unset, help="say more")
        group.add_argument("-h", "--help", action="help", help="show this help")

    def add_locking(self) -> None:
        """Add what every verb that may lock by itself lets one say of it."""
        self.add_argument(
            "--locked", action="store_true", help="never resolve; fail when wardian.lock is stale"
        )
        self.add_argument("--offline", action="store_true", help="use only what is on this machine already")

    def add_image(self, *, platform: str = "with --image: which of its platforms") -> None:
        """Add which image is meant: one of the store, or the project's, packed in one of several ways.

        `platform` is the help of --platform. Without --compression it is None, which means gzip.
        """
        self.add_argument(
            "--image", metavar="NAME", help="an image of the store (`wardian image ls`), not the project's"
        )
        self.add_argument("--platform", metavar="OS/ARCH", help=platform)
        self.add_argument(
            "--compression",
            choices=("gzip", "zstd", "zstd:chunked", "none"),
            help="how the project's layers are packed (default: gzip, which everything reads)",
        )

    def add_insecure(self) -> None:
        """Add the exception that no registry gets unasked."""
        self.add_argument(
            "--insecure", action="store_true", help="accept http, or a certificate that nobody vouches for"
        )

    def add_command(self, completer: Callable[..., Iterable[str]]) -> None:
        """Take what begins at the first word that is no option as a command, in `arguments.command`.

        A `--` at its head ends the options and stays, since it says that no target is named.
        """
        self._takes_command = True
        complete_with(self.add_argument("target", nargs="?", help=argparse.SUPPRESS), completer)
        rest = self.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
        complete_with(rest, lambda **_: ())

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse all of `words`; raises UsageError."""
        if self._takes_command:
            end = self.end_of_options(words)
            arguments, unknown = self.parse_known_args(list(words[:end]))
            arguments.command = list(words[end:])
        else:
            arguments, unknown = self.parse_known_intermixed_args(list(words))
        if unknown:
            self._reject(unknown[0])
        return arguments

    def print_help(self, file: Any = None) -> None:
        """Print the help, in colour where it shows."""
        text = self.format_help()
        print(paint(text) if self._coloured else text, end="", file=file)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print and end the process for."""
        text = message.removeprefix("argument ")
        raise UsageError(f"{self.prog}: {text}", hint=f"see `{self.prog} --help`")

    def end_of_options(self, words: Sequence[str]) -> int:
        """The index in `words` of the first one that is neither an option nor an option's value."""
        takes_value = {
            name for action in self._actions if action.nargs != 0 for name in action.option_strings
        }
        index = 0
        while index < len(words) and words[index].startswith("-") and words[index] not in ("-", "--"):
            index += 2 if words[index] in takes_value else 1
        return min(index, len(words))

    def _reject(self, word: str) -> NoReturn:
        name = word.partition("=")[0]
        if not name.startswith("-"):
            raise UsageError(f"{self.prog}: nothing to do with {word!r}", hint=f"see `{self.prog} --help`")
        known = [option for action in self._actions for option in action.option_strings]
        meant = near(name, known)
        hint = f"did you mean {meant}?" if meant else f"see `{self.prog} --help`"
        raise UsageError(f"{self.prog}: no option {name}", hint=hint)


def complete_with(action: argparse.Action, completer: Callable[..., Iterable[str]]) -> None:
    """Let the shell complete `action`'s values by `completer` (argcomplete's convention)."""
    action.completer = completer  # type: ignore[attr-defined]


def _show_examples(examples: Sequence[tuple[str, str]]) -> str | None:
    if not examples:
        return None
    width = max(len(command) for command, _ in examples)
    return "\n".join(["Examples:", *(f"  {command:<{width}}  {comment}" for command, comment in examples)])
