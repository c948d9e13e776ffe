"""Launch records: a run whose inputs have not changed reads one small file and starts.

A record notes the state of every file and folder that the image was made from; `recall` gives it back
while all of them are as they were and the image's layers are there. On the start-up path of every run:
no dataclasses, no pathlib, no subprocess.
"""

from __future__ import annotations

import hashlib
import json
import os

from wardian import __version__
from wardian.system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Record = Mapping[str, Any]

_FORMAT = 3  # counted up when the record's keys change


def _writer() -> str:
    """Who may read a record: another version of wardian may build another image of the same lock."""
    return f"{__version__} {_FORMAT}"


def identify(folder: str, script: str | None = None) -> str:
    """The name under which a project folder (or a script with an environment of its own) is remembered."""
    return hashlib.sha256(os.fsencode(f"{folder}\0{script or ''}")).hexdigest()[:24]


def record_path(home: str, identity: str) -> str:
    """Where the record of a project lies."""
    return os.path.join(home, "projects", identity, "launch.json")


def recall(home: str, identity: str) -> Record | None:
    """The record, if nothing has changed since it was written."""
    path = record_path(home, identity)
    try:
        with open(path) as file:
            record = json.load(file)
        if record["wardian"] != _writer() or not _fits(record):
            return None
        os.utime(path)  # when an image was last used, for `prune --older-than`
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(record)


def _fits(record: Record) -> bool:
    return (
        all(os.path.isdir(layer) for layer in record["layers"])
        and os.path.exists(record["runtime"])
        and all(state(path) == noted for path, noted in record["inputs"].items())
    )


def state(path: str) -> list[int] | None:
    """What tells whether a file or folder has changed, None where there is none.

    A file's size and inode beside its time: an editor that writes twice within the clock's tick, or a
    tool that sets times back, is noticed all the same.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_size, status.st_ino]


def states(paths: Iterable[str]) -> dict[str, list[int] | None]:
    """The state of each path, taken before the paths are read, so that a later change is noticed."""
    return {path: state(path) for path in paths}


def remember(home: str, identity: str, record: Record) -> None:
    """Write a record."""
    path = record_path(home, identity)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    files.write_atomic(path, json.dumps({"wardian": _writer(), **record}))
