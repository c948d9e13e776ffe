"""Does what starting a container does, step by step, and says how each step went.

It runs in a process of its own (`python -m wardian.runtime.doctor.trial FOLDER`): a process that enters
a user namespace must have one thread, and its mounts vanish when it ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.system import namespace
from wardian.system.processes import module_command

if TYPE_CHECKING:
    from collections.abc import Callable

# The steps, each of which needs the one before it: `unshare`, `map`, `mounts` and `proc` are what a user
# namespace has to allow, `overlay` and `replace` (a folder made anew over one below needs extended
# attributes) what the store's file system has to, `nested` the runtime's own namespace inside ours.

# A step takes milliseconds; a network file system may hang.
_LIMIT_SECONDS = 20

# Errno of a step: 0 when it worked. Steps after a failed one are missing.
Steps = dict[str, int]


def attempt(folder: Path) -> Steps:
    """How each step went, the overlay being mounted in `folder`, where nothing is left behind."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="doctor-", ignore_cleanup_errors=True) as place:
        command = module_command(__name__, place)
        try:
            result = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_LIMIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return _read(error.stdout or b"")
    return _read(result.stdout)


def _read(output: bytes) -> Steps:
    return dict(json.loads(line) for line in output.splitlines())


def main(folder: str) -> int:
    """Try every step in `folder`, one JSON pair of name and errno a line."""
    for name in ("lower", "upper", "work", "root"):
        Path(folder, name).mkdir()
    Path(folder, "lower", "replaced").mkdir()
    Path(folder, "lower", "replaced", "file").touch()
    user, group = os.getuid(), os.getgid()
    flags = namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS | namespace.CLONE_NEWPID
    if not _try("unshare", lambda: namespace.unshare(flags)):
        return 1
    if not _try("map", lambda: namespace.map_only(user, group)):
        return 1
    first = os.fork()
    if first == 0:
        _inside(folder)
    os.waitpid(first, 0)
    return 0


def _inside(folder: str) -> None:
    """The rest, as the first process of the new process namespace. Does not return."""
    signal.alarm(_LIMIT_SECONDS)
    private = namespace.MS_REC | namespace.MS_SLAVE
    quiet = namespace.MS_NOSUID | namespace.MS_NODEV | namespace.MS_NOEXEC
    good = _try("mounts", lambda: namespace.mount("none", "/", flags=private))
    good = good and _try("proc", lambda: namespace.mount("proc", "/proc", "proc", quiet))
    # Whether the store's file system works is of interest even where /proc may not be mounted.
    if _try("overlay", lambda: _mount_overlay(folder)):
        _try("replace", lambda: _replace(Path(folder, "root", "replaced")))
    if good:
        _try("nested", lambda: namespace.unshare(namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS))
    os._exit(0)


def _mount_overlay(folder: str) -> None:
    options = namespace.overlay_options(
        [f"{folder}/lower"], f"{folder}/upper", f"{folder}/work", volatile=True
    )
    namespace.mount("overlay", f"{folder}/root", "overlay", data=options)


def _replace(path: Path) -> None:
    (path / "file").unlink()
    path.rmdir()
    path.mkdir()


def _try(name: str, step: Callable[[], None]) -> bool:
    number = 0
    try:
        step()
    except OSError as error:
        number = error.errno or -1
    os.write(1, json.dumps([name, number]).encode() + b"\n")
    return number == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
