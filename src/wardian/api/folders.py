"""Which folder is the project's. On the start-up path of every run."""

from __future__ import annotations

import os
import stat


def find_folder(start: str) -> str:
    """The nearest folder from `start` up that holds a written spec, else `start`; raises SpecError."""
    return find_written(start) or start


def find_written(start: str) -> str | None:
    """As `find_folder`, but None where no spec is written."""
    folder = start
    while True:
        for name in ("wardian.toml", "pyproject.toml"):
            path = os.path.join(folder, name)
            if _is_spec(path):
                if folder != start:
                    _check_owner(path, start)
                return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _is_spec(path: str) -> bool:
    try:
        if path.endswith("wardian.toml"):
            return os.path.exists(path)
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            return b"[tool.wardian" in file.read()
    except OSError:
        return False


def _check_owner(path: str, start: str) -> None:
    """Raise SpecError for another user's spec, which nobody has asked for: a spec says what is run.

    Anybody can put a file into a folder such as /tmp, above that of somebody else. As git refuses it
    (safe.directory).
    """
    for status in (os.lstat(path), os.stat(path)):
        if status.st_uid not in (0, os.geteuid()):
            from wardian.errors import SpecError

            folder = os.path.dirname(path)
            raise SpecError(
                f"{path}, above {start}, belongs to another user (id {status.st_uid})",
                hint=f"write `wardian -C {folder}` if you trust it, else run `wardian init` here",
            )
