"""What is covered while packages are configured, because all that it does is cost time."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Byte-compiling the standard library takes 1.2 s of a first build and makes files that depend on the
# clock; runs keep their byte code elsewhere. fc-cache sleeps for 2 s, so that its files are newer than
# their folders, and without them listing fonts takes 13 ms. So these are covered while packages are
# configured, and Python's own compiler with them.
_COVERED = ("usr/bin/py3compile", "usr/bin/fc-cache")
# ca-certificates collects the certificates when it is configured and again for its own trigger, 0.7 s
# each, on the way that everything else waits for. In the base it is covered, and run once at the end.
_ONCE = "usr/sbin/update-ca-certificates"
RUN_ONCE = """if [ -e /run/wardian/once ]; then sh /run/wardian/once; fi
"""


def covers(folder: Path, roots: Sequence[Path], *, base: bool) -> list[tuple[Path, str, bool]]:
    """Mounts that cover it where the packages that hold it are there; files for that are made in `folder`."""
    empty, nothing = folder / "empty.py", folder / "nothing"
    empty.touch()
    nothing.write_text("#!/bin/sh\n")
    nothing.chmod(0o755)
    found = ((root, path) for root in roots for path in root.glob("usr/lib/python3.*/py_compile.py"))
    compilers = [f"/{path.relative_to(root)}" for root, path in found]
    tools = [f"/{tool}" for tool in _COVERED for root in roots if (root / tool).exists()]
    made = [*((empty, path, True) for path in compilers), *((nothing, path, True) for path in tools)]
    once = roots[-1] / _ONCE
    if base and once.exists() and stat.S_ISREG(once.lstat().st_mode):
        made += [(once, "/run/wardian/once", True), (nothing, f"/{_ONCE}", True)]
    return made
