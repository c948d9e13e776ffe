"""The command line: parse, call the public API, render. The only room that prints or ends the process."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import NoReturn


def main() -> NoReturn:
    """Run the `wardian` command on this process's arguments and end the process with its exit status.

    At once: finalizing Python takes 3 ms of every run, and waits for threads that wait for the network.
    """
    import os
    import sys

    _read_names_as_utf8(os, sys)
    from wardian.cli.entry import run
    from wardian.cli.streams import open_standard_streams

    open_standard_streams()
    status = run(sys.argv[1:], os.environ)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            status = status or 1
    os._exit(status)


def _read_names_as_utf8(os: ModuleType, sys: ModuleType) -> None:
    """Begin anew in Python's UTF-8 mode (PEP 540) where the locale has another encoding (en_US is Latin-1).

    Names of files would be read in that, and then written into an image otherwise than elsewhere.
    """
    if sys.getfilesystemencoding() != "utf-8" and "utf8" not in sys._xoptions and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
