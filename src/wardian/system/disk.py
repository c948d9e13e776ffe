"""How much room a disk has left. It frees none, and writes nothing."""

from __future__ import annotations

import os

# What stays free: whatever fills a disk takes the host's other work down with it.
_RESERVE = 256 << 20


def has_room(place: str | os.PathLike[str] | int, amount: int = 0) -> bool:
    """Whether `amount` more bytes fit at a path, or an open file, with something left; raises OSError."""
    disk = os.statvfs(place)
    # Of a small disk, a twentieth is enough.
    reserve = min(_RESERVE, disk.f_blocks * disk.f_frsize // 20)
    return amount + reserve <= disk.f_bavail * disk.f_frsize
