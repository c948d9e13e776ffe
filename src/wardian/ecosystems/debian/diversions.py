"""dpkg's diversions (dpkg-divert(1)): files of packages that land at another path than they were packed for.

Those that a stage finds were made by packages of the stages below: dpkg would have unpacked the stage's files
by them. It makes none.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from wardian.ecosystems.debian import paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from wardian.ecosystems.debian.database import Unpacked

# What is unpacked beside the path of a configuration file is diverted with it.
_SUFFIXES = ("", ".dpkg-new")
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def parse(text: str) -> dict[str, str]:
    """Where each diverted path leads, of dpkg's `diversions`: lines of path, target and package in turn."""
    lines = text.split("\n")
    pairs = zip(lines[::3], lines[1::3], strict=False)
    return {path: target for path, target in pairs if _is_plain(path) and _is_plain(target)}


def _is_plain(path: str) -> bool:
    return path.startswith("/") and {"", ".", ".."}.isdisjoint(path[1:].split("/"))


def divert(
    root: Path, diversions: Mapping[str, str], *, unpacked: Iterable[Unpacked], lists: Mapping[str, bytes]
) -> list[str]:
    """Move what was unpacked below `root` at diverted paths; returns all such paths of the packages.

    `lists` tells the paths of those packages that dpkg itself will unpack. No link below `root` is followed.
    """
    listed = b"".join(data for name, data in lists.items() if name.endswith(".list"))
    names = {path for package in unpacked for path in package.paths}
    names.update(listed.decode(errors="surrogateescape").split("\n"))
    found = sorted(names & diversions.keys())
    for name in found:
        for suffix in _SUFFIXES:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                _move(root, name + suffix, diversions[name] + suffix)
    return found


def _move(root: Path, source: str, target: str) -> None:
    with contextlib.ExitStack() as stack:
        here, name = _folder_of(stack, root, source, make=False)
        if stat.S_ISDIR(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
            return  # only files are diverted
        there, new = _folder_of(stack, root, target, make=True)
        os.rename(name, new, src_dir_fd=here, dst_dir_fd=there)


def _folder_of(stack: contextlib.ExitStack, root: Path, path: str, *, make: bool) -> tuple[int, str]:
    """A descriptor of the folder of a path, and the last part of that."""
    *folders, name = paths.canonical(path[1:]).split("/")
    here = os.open(root, _FOLDER)
    stack.callback(os.close, here)
    for folder in folders:
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, dir_fd=here)
                os.chmod(folder, 0o755, dir_fd=here)
        here = os.open(folder, _FOLDER, dir_fd=here)
        stack.callback(os.close, here)
    return here, name
