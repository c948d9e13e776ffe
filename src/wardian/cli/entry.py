"""From the words of a command line to an exit status. Imports the one verb that is asked for.

`wardian run` on an unchanged project has 60 ms in all, so this path keeps clear of typing, dataclasses,
pathlib, json, subprocess and rich until something needs them (tests/cli/test_start.py holds it to that).
"""

from __future__ import annotations

import os
import sys

from wardian import __version__
from wardian.cli.parser import UsageError, colours, near, paint
from wardian.cli.session import Session
from wardian.cli.verbs import GROUPS, NAMES, OPTIONS, verb_module, verb_parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType


def run(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one command line and render its failure; returns the exit status."""
    if "_ARGCOMPLETE" in environment:
        from wardian.cli.complete import answer

        answer()  # to the shell; does not come back
    invocation = _Invocation(environment)
    try:
        status = invocation.run(words)
        sys.stdout.flush()  # here, where a reader that has gone away is still ours to handle
    except SystemExit as end:  # argparse's after --help
        return int(end.code or 0)
    except BaseException as error:
        from wardian.cli.failures import report

        if invocation.session is not None:
            invocation.session.console.close()
        return report(error, environment, verbose=invocation.verbose, json=invocation.json)
    return status


class _Invocation:
    """The command line as far as it is understood; a failure is shown in the manner asked for so far."""

    __slots__ = ("environment", "folder", "json", "quiet", "session", "verbose")

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.folder = "."
        self.json = self.quiet = self.verbose = False
        self.session: Session | None = None

    def run(self, words: Sequence[str]) -> int:
        rest = list(words)
        while rest and rest[0].startswith("-"):
            if not self._take_option(rest):
                return 0
        if not rest:
            self._show_help()
            return 0
        return self._run_verb(rest[0], rest[1:])

    def _run_verb(self, name: str, words: Sequence[str]) -> int:
        if name not in NAMES:
            meant = near(name, NAMES) if name != "help" else None  # it resembles `shell`
            hint = f"did you mean `wardian {meant}`?" if meant else "`wardian --help` shows the verbs"
            raise UsageError(f"wardian has no verb {name!r}", hint=hint)
        return self._run_module(name, verb_module(name), words)

    def _run_module(self, name: str, module: ModuleType, words: Sequence[str]) -> int:
        inner = getattr(module, "VERBS", {})
        if words and words[0] in inner:
            name = f"{name} {words[0]}"
            return self._run_module(name, verb_module(name), words[1:])
        if inner and words and not words[0].startswith("-"):
            meant = near(words[0], inner)
            hint = f"did you mean `wardian {name} {meant}`?" if meant else f"see `wardian {name} --help`"
            raise UsageError(f"wardian {name} has no verb {words[0]!r}", hint=hint)
        parser = verb_parser(name, module, coloured=colours(sys.stdout, self.environment))
        arguments = parser.read(words)
        self.json = getattr(arguments, "json", False)
        self.quiet = getattr(arguments, "quiet", self.quiet)
        self.verbose = getattr(arguments, "verbose", self.verbose)
        self._enter(getattr(arguments, "directory", ""))
        self.session = Session(
            folder=self.folder, environment=self.environment, quiet=self.quiet, verbose=self.verbose
        )
        status: int = module.execute(arguments, self.session)
        return status

    def _take_option(self, rest: list[str]) -> bool:
        """Take one option off the head of `rest`; False when it was all there was to do."""
        word = rest.pop(0)
        if word in ("-h", "--help"):
            self._show_help()
            return False
        if word in ("-V", "--version"):
            print(f"wardian {__version__}")
            return False
        if word in ("-q", "--quiet"):
            self.quiet = True
        elif word in ("-v", "--verbose"):
            self.verbose = True
        else:
            self._enter(_folder(word, rest))
        return True

    def _enter(self, folder: str) -> None:
        self.folder = os.path.join(self.folder, folder) if folder else self.folder  # a second -C as in make

    def _show_help(self) -> None:
        text = _help()
        print(paint(text) if colours(sys.stdout, self.environment) else text)


def _folder(word: str, rest: list[str]) -> str:
    """The DIR of `-C DIR` in any spelling; `word` was the option, `rest` is what follows it."""
    if word in ("-C", "--directory"):
        if not rest:
            raise UsageError(f"wardian: {word} needs a folder", hint="write `wardian -C DIR VERB`")
        return rest.pop(0)
    name, _, folder = word.partition("=")
    if name == "--directory":
        return folder
    if word.startswith("-C"):
        return word[2:]
    # Verbs' own options resemble these by up to 0.67 (--json and --version), misspelt ones by 0.8 and more.
    known = [option for line in OPTIONS for option in line.replace(",", "").split()]
    meant = near(name, known, cutoff=0.75)
    hint = f"did you mean {meant}?" if meant else "a verb's own options come after the verb"
    raise UsageError(f"wardian has no option {name} before the verb", hint=hint)


def _help() -> str:
    lines = [
        "Wardian makes of a project folder a small, locked container and runs it: no daemon, no root.",
        "",
        "Usage: wardian [OPTIONS] VERB ...",
    ]
    for heading, entries in {**GROUPS, "Options": OPTIONS}.items():
        width = 19 if entries is OPTIONS else 10
        lines += ["", f"{heading}:", *(f"  {name:<{width}}  {line}" for name, line in entries.items())]
    return "\n".join([*lines, "", "In a project that knows nothing of wardian: wardian run NOTEBOOK.ipynb"])
