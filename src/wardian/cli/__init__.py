"""The command line: parse, call the public API, render. The only room that prints or ends the process."""

from __future__ import annotations


def main() -> int:
    """Run the `wardian` command on this process's arguments; returns its exit status."""
    import os
    import sys

    from wardian.cli.entry import run

    return run(sys.argv[1:], os.environ)
