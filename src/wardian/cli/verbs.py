"""The verbs, in the groups and with the lines that `wardian --help` shows. Each is a module of this room.

A verb's module has `DESCRIPTION`, `EXAMPLES` (command and comment), perhaps `USAGE`, and the functions
`add_arguments(parser)` and `execute(arguments, session) -> int`. The table stands apart from the
modules so that an invocation imports one of them and no other.
"""

from __future__ import annotations

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
