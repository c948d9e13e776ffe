"""The verbs, in the groups and with the lines that `wardian --help` shows. Each is a module of this room.

A verb's module has `DESCRIPTION`, `EXAMPLES` (command and comment), perhaps `USAGE`, and the functions
`add_arguments(parser)` and `execute(arguments, session) -> int`. The table stands apart from the
modules so that an invocation imports one of them and no other. A module with `VERBS`, names and lines, has
verbs of its own, each again a module: `image ls` is image_ls.py.
"""

from __future__ import annotations

from importlib import import_module

from wardian.cli.parser import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

OPTIONS = {
    "-C, --directory DIR": "work on the project in DIR, as if wardian had been started there",
    "-q, --quiet": "say nothing but errors",
    "-v, --verbose": "say more",
    "-V, --version": "print the version",
    "-h, --help": "show this help; `wardian VERB --help` shows a verb's",
}

GROUPS = {
    "Work in a project": {
        "run": "run a notebook, a script, a task or a command in the container",
        "shell": "open a shell in the container",
    },
    "Say what belongs to it": {
        "init": "write what was detected as a commented wardian.toml",
        "add": "add Python and system packages",
        "remove": "remove packages",
        "lock": "resolve every package to a version and a hash, in wardian.lock",
        "build": "make the image that wardian.lock names",
    },
    "Let it out": {
        "push": "push the image to a registry",
        "pull": "pull an image from a registry",
        "save": "write the image to a file",
        "load": "read images from a file",
        "export": "write the image, or what makes it, in other tools' formats",
        "image": "list, inspect, measure, compare, name and remove images",
        "docker": "put the image into Docker or Podman on this machine",
        "login": "keep credentials for a registry",
        "logout": "forget credentials for a registry",
    },
    "Keep house": {
        "ls": "list the images that were built, and their sizes",
        "prune": "delete images and downloads that are no longer needed",
        "doctor": "check what running containers needs on this machine",
    },
    "Connect other tools": {
        "schema": "print the JSON Schema of wardian.toml",
        "completion": "print the completion script for bash, zsh or fish",
    },
}

NAMES = tuple(name for group in GROUPS.values() for name in group)


def verb_parser(name: str, module: ModuleType, *, coloured: bool = False) -> Parser:
    """The parser of the verb `name`, which `module` implements."""
    parser = Parser(
        f"wardian {name}",
        usage=getattr(module, "USAGE", ""),
        description=module.DESCRIPTION,
        examples=module.EXAMPLES,
        coloured=coloured,
    )
    module.add_arguments(parser)
    return parser


def verb_module(name: str) -> ModuleType:
    """Import the module that implements the verb `name`, or one such as `image ls`."""
    return import_module(f"wardian.cli.{name.replace(' ', '_')}")
