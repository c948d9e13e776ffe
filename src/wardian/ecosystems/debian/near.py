"""Names near a wrong one, from tens of thousands."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_CUTOFF = 0.75


def find(name: str, known: Collection[str], *, count: int = 5) -> tuple[str, ...]:
    """Up to `count` of `known` that resemble `name`, likeliest first.

    A full comparison with 69,000 names takes over a second, so only those of like length that share most
    letters are compared; names that only add `lib`, `-dev` or a version to it count as near too.
    """
    wanted = name.lower()
    letters = set(wanted)
    candidates = [
        other
        for other in known
        if abs(len(other) - len(wanted)) <= 3 and len(letters & set(other)) * 4 >= len(letters) * 3
    ]
    close = difflib.get_close_matches(wanted, sorted(candidates), n=count, cutoff=_CUTOFF)
    longer = sorted(
        (other for other in known if len(wanted) > 3 and wanted in other), key=lambda o: (len(o), o)
    )
    return tuple(dict.fromkeys([*close[:3], *longer[:2], *close[3:]]))[:count]
