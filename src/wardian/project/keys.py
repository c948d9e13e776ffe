"""Paths of keys in a TOML document, and how they are written."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Keys: TypeAlias = tuple[str | int, ...]
else:
    Keys = object  # annotations are never evaluated; the name is here for the modules that import it

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def key_text(keys: Keys) -> str:
    """Write a path of keys as TOML would: `tasks."to do".env`, `packages[1]`."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            shown = key if _BARE.fullmatch(key) else quoted(key)
            text += f".{shown}" if text else shown
    return text


def quoted(text: str) -> str:
    """Write a string as TOML would, shortened to what fits into a message."""
    import json

    return json.dumps(text[:80] + ("…" if len(text) > 80 else ""))
