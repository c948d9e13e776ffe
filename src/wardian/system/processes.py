"""Starting wardian's own modules as processes."""

from __future__ import annotations

import sys


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of wardian with this Python.

    `-P` keeps the working directory off the module search path: it is mostly a project's folder, and a
    `json.py` in there is not to be run on the host. Names of files are read as this process reads them.
    """
    mode = ("-X", "utf8") if sys.flags.utf8_mode else ()
    return [sys.executable, "-P", *mode, "-m", module, *arguments]
