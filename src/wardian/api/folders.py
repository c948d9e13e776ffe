"""Which folder is the project's. On the start-up path of every run."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wardian.errors import HostError


def real_folder(folder: str | os.PathLike[str]) -> str:
    """The folder's path without links; raises HostError where it is relative to one that was removed."""
    try:
        return os.path.realpath(folder)
    except FileNotFoundError as error:
        raise current_folder_is_gone() from error


def current_folder_is_gone() -> HostError:
    """The error for a current folder that was removed, of which the system tells no path."""
    from wardian.errors import HostError

    return HostError("the current folder is no longer there", hint="change to one that is")


def open_folder(folder: str | os.PathLike[str]) -> str:
    """The path, without links, of a folder that can be read; raises SpecError and HostError."""
    start = real_folder(folder)
    if not os.path.isdir(start):
        from wardian.errors import SpecError

        raise SpecError(f"{os.fspath(folder)} is no folder", hint="name the project's folder")
    if not os.access(start, os.R_OK | os.X_OK):
        # Else a search would pass it by, and take a spec of a folder above it.
        from wardian.errors import SpecError

        raise SpecError(
            f"cannot read the project folder {start}: Permission denied",
            hint="make it readable for you, or work on a copy",
        )
    return start


def check_encoding(folder: str) -> str:
    """The project's folder, whose path has to be UTF-8; raises SpecError.

    JSON is (RFC 8259, 8.1), and so are the locks, records and images, and what a container's runtime reads.
    """
    try:
        folder.encode()
    except UnicodeEncodeError as error:
        from wardian.errors import SpecError

        shown = os.fsencode(folder).decode(errors="backslashreplace")
        raise SpecError(
            f"the path of the project folder {shown} is not in UTF-8, so it cannot be handed to a container",
            hint="rename the folder, or work on a copy",
        ) from error
    return folder


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
