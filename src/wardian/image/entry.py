"""Entries: what one path of a layer is, as tar members say it (image-spec, layer.md). Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["file", "directory", "symlink", "hardlink", "fifo", "whiteout", "opaque"]

# The time of everything whose package gives it none, in seconds since 1970: 2025-01-01.
EPOCH = 1735689600


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One path of a layer.

    `path` is relative, normalised and without a leading slash; `mode` holds the permission bits (07777);
    `mtime` is in seconds. `target` is a symbolic link's text, or a hard link's path like `path`. Of a file,
    `source` is where its bytes lie: a path below the recipe's root number `root`, `path` itself where empty;
    or `data` holds them, where it is not None. A `whiteout` says that lower layers' `path` is gone, `opaque`
    that all they have in that folder is.
    """

    path: str
    kind: Kind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = EPOCH
    size: int = 0
    target: str = ""
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    root: int = 0
    source: str = ""
    data: bytes | None = None
