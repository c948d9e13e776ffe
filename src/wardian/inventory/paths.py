"""Paths of an image's tree, resolved through the symbolic links at its top, and shortened to folders."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

_SPLIT = ("usr", "var", "opt", "home")  # folders in which the next one says more


class Aliases:
    """The links at the top of a tree that stand for folders: `bin` is `usr/bin` in merged systems."""

    def __init__(self, links: Mapping[str, str]) -> None:
        self._links = {name: inside(posixpath.join("/", target)) for name, target in links.items()}

    def resolve(self, path: str) -> str:
        """The path with the link at its beginning replaced; empty where it leads out of the tree."""
        found = inside(path)
        top, slash, rest = found.partition("/")
        target = self._links.get(top)
        return f"{target}{slash}{rest}" if target and slash else found


def inside(path: str) -> str:
    """A path of any kind relative to the root, normalised; empty where it leads out."""
    found = posixpath.normpath(path.lstrip("/") or ".")
    return "" if found == "." or found == ".." or found.startswith("../") else found


def top(path: str) -> str:
    """The folder that a file of no package is told by: `/etc`, `/usr/share`."""
    parts = path.split("/")
    if len(parts) == 1:
        return f"/{path}"
    return "/" + "/".join(parts[: 2 if parts[0] in _SPLIT and len(parts) > 2 else 1])


def source(path: str) -> str:
    """The path of the module whose byte code is at `path`; empty for anything else (PEP 3147)."""
    folder, _, name = path.rpartition("/")
    if not name.endswith(".pyc") or posixpath.basename(folder) != "__pycache__":
        return ""
    return posixpath.join(posixpath.dirname(folder), f"{name.partition('.')[0]}.py")
