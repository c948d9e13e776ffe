"""The project's files in a build context, as the image has them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.errors import ImageError

if TYPE_CHECKING:
    from wardian.export.source import Source
    from wardian.image.entry import Entry

WORK = "work"  # where the image has them


def copy_code(folder: Path, source: Source, *, leave_out: Path) -> None:
    """Copy the source's code to `folder`, with its modes and times; what lies in `leave_out` is left out.

    Raises ImageError for an entry whose path leads elsewhere, and OSError.
    """
    folders: list[tuple[Path, Entry]] = []
    for entry in source.code:
        inside = _inside(entry.path)
        origin = source.folder / (entry.source or inside)
        if leave_out == origin or leave_out in origin.parents:
            continue
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == "directory":
            target.mkdir(exist_ok=True)
            folders.append((target, entry))
        elif entry.kind == "symlink":
            target.symlink_to(entry.target)
        elif entry.kind == "hardlink":
            os.link(folder / _inside(entry.target), target, follow_symlinks=False)
        else:
            _copy_file(origin, target, entry)
    for target, entry in reversed(folders):  # after what is in them was written
        target.chmod(entry.mode)
        os.utime(target, (entry.mtime, entry.mtime))


def _copy_file(origin: Path, target: Path, entry: Entry) -> None:
    if entry.data is not None:
        target.write_bytes(entry.data)
    else:
        shutil.copyfile(origin, target, follow_symlinks=False)
    target.chmod(entry.mode)
    os.utime(target, (entry.mtime, entry.mtime))


def _inside(path: str) -> Path:
    parts = Path(path).parts
    if not parts or parts[0] != WORK or ".." in parts:
        raise ImageError(f"{path!r} is not in /{WORK}, where the image has the project's files")
    return Path(*parts[1:])
