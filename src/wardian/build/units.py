"""What follows from one package alone, kept in the store's cache: made once, linked into every snapshot."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from wardian.system import files


def key(*told: object) -> str:
    """The name of what follows from `told`, which is anything that JSON can tell."""
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:40]


def keep(made: Path, place: Path) -> Path:
    """Move a finished folder to its place in the cache; where it is then.

    Another process may have just kept the same.
    """
    with contextlib.suppress(OSError):
        os.rename(made, place)
    return place if place.is_dir() else made


def link(source: Path, target: Path) -> None:
    """Link every file below the folder `source` into `target`; what several units hold is linked once."""
    pending = [""]
    while pending:
        folder = pending.pop()
        if not (target / folder).is_dir():
            files.make_folder(target / folder)
        for entry in os.scandir(source / folder):
            path = f"{folder}/{entry.name}".lstrip("/")
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            else:
                with contextlib.suppress(FileExistsError):
                    os.link(entry.path, target / path)
