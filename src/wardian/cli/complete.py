"""Answers a shell that asks how a command line goes on. Runs instead of a verb; argcomplete talks."""

from __future__ import annotations

import os
import sys
from typing import Any, cast

import argcomplete
from argcomplete.lexers import split_line

from wardian.cli.completers import folders
from wardian.cli.parser import Parser, complete_with
from wardian.cli.verbs import GROUPS, OPTIONS, verb_module, verb_parser

NO_ANSWER = 1  # the shell then completes file names by itself


def answer() -> None:
    """Answer by the variables that the completion script has set, and end the process."""
    if _is_after_target(os.environ.get("COMP_LINE", ""), int(os.environ.get("COMP_POINT", "0"))):
        sys.exit(NO_ANSWER)
    argcomplete.autocomplete(whole_parser(), always_complete_options=False)


def whole_parser() -> Parser:
    """All verbs in one parser, which costs too much to make for anything but this."""
    parser = Parser("wardian")
    for spelling, line in OPTIONS.items():
        _add_option(parser, spelling, line)
    verbs = parser.add_subparsers(dest="verb", parser_class=cast("type[Parser]", _adopt))
    for group in GROUPS.values():
        for name, line in group.items():
            verbs.add_parser(name, help=line)
    return parser


def _add_option(parser: Parser, spelling: str, line: str) -> None:
    names = spelling.removesuffix(" DIR").split(", ")
    if spelling.endswith(" DIR"):
        complete_with(parser.add_argument(*names, help=line), folders)
    else:
        parser.add_argument(*names, action="store_true", help=line)


def _adopt(*, prog: str, **_: Any) -> Parser:
    """What argparse calls to make the parser of the verb that `prog` ends in: `wardian image ls`."""
    name = prog.partition(" ")[2]
    module = verb_module(name)
    parser = verb_parser(name, module)
    if inner := getattr(module, "VERBS", {}):
        verbs = parser.add_subparsers(
            prog=parser.prog, dest="inner", parser_class=cast("type[Parser]", _adopt)
        )
        for word, line in inner.items():
            verbs.add_parser(word, help=line)
    return parser


def _is_after_target(line: str, point: int) -> bool:
    """Whether the word at `point` already belongs to what `wardian run` runs, and is none of ours."""
    words: list[str] = split_line(line, point)[3]
    if "run" not in words:
        return False
    rest = words[words.index("run") + 1 :]
    return verb_parser("run", verb_module("run")).end_of_options(rest) < len(rest)
