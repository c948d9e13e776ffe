"""Docker's contexts: which daemon the user's own `docker` command talks to. Read only, from its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LARGEST = 1 << 20  # bytes; such a file has some hundred


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A daemon's address; the folder of the TLS files it is reached with, which need not exist."""

    host: str
    certificates: Path
    verified: bool


def current_context(environment: Mapping[str, str]) -> Context | None:
    """The context of $DOCKER_CONTEXT or the one chosen by `docker context use`; None for the default one.

    A context that cannot be read says nothing: Docker's own command has to complain about it.
    """
    folder = configuration_folder(environment)
    name = environment.get("DOCKER_CONTEXT") or _mapping(folder / "config.json").get("currentContext")
    if not isinstance(name, str) or name in ("", "default"):
        return None
    identity = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
    found: Any = _mapping(folder / "contexts/meta" / identity / "meta.json")
    for key in ("Endpoints", "docker"):
        found = found.get(key) if isinstance(found, dict) else None
    host = found.get("Host") if isinstance(found, dict) else None
    if not isinstance(host, str) or not host:
        return None
    return Context(
        host=host,
        certificates=folder / "contexts/tls" / identity / "docker",
        verified=not found.get("SkipTLSVerify"),
    )


def configuration_folder(environment: Mapping[str, str]) -> Path:
    """Where Docker's command keeps its settings ($DOCKER_CONFIG)."""
    return Path(environment.get("DOCKER_CONFIG") or f"{environment.get('HOME', '')}/.docker")


def _mapping(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
