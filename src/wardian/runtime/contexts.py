"""Docker's contexts: which daemon the user's own `docker` command talks to. Read only, from its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LARGEST = 1 << 20  # bytes; such a file has some hundred


def context_host(environment: Mapping[str, str]) -> str:
    """The address of $DOCKER_CONTEXT or of the one chosen by `docker context use`; else nothing.

    A context that cannot be read says nothing: Docker's own command has to complain about it.
    """
    home = environment.get("DOCKER_CONFIG") or f"{environment.get('HOME', '')}/.docker"
    folder = Path(home)
    name = environment.get("DOCKER_CONTEXT") or _mapping(folder / "config.json").get("currentContext")
    if not isinstance(name, str) or name in ("", "default"):
        return ""
    identity = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
    found: Any = _mapping(folder / "contexts/meta" / identity / "meta.json")
    for key in ("Endpoints", "docker", "Host"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def _mapping(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
