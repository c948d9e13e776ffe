"""What is remembered of a registry: which repositories have which blobs, so that they can be mounted.

Best effort: it may be out of date, lost or damaged, and costs a request then. It lies in the store's cache.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from wardian.errors import WardianError
from wardian.system.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from wardian.image.descriptor import Digest
    from wardian.store.store import Store

# Blobs that are remembered, the newest; each takes about 120 bytes.
_MOST = 10000
_MOST_REPOSITORIES = 4


class Memory:
    """The record of one registry."""

    def __init__(self, store: Store, registry: str) -> None:
        self._store = store
        self._name = quote(registry, safe="")

    @property
    def _path(self) -> Path:
        return self._store.cache("registries") / f"{self._name}.json"

    def all(self) -> dict[str, tuple[str, ...]]:
        """Where each blob was seen, by its digest; the latest repository first."""
        return {digest: tuple(names) for digest, names in self._read()["blobs"].items()}

    def chunk(self) -> object:
        """Which chunks the registry takes: a number of bytes, `whole`, or None where that is not known."""
        return self._read().get("chunk")

    def note(self, repository: str, digests: Iterable[Digest], *, chunk: object = None) -> None:
        """Remember that `repository` has the blobs; failing costs nothing but a mount."""
        with contextlib.suppress(WardianError, OSError), self._store.lock(f"registry-{self._name}"[:200]):
            content = self._read()
            blobs = content["blobs"]
            for digest in map(str, digests):
                others = [name for name in blobs.pop(digest, ()) if name != repository]
                blobs[digest] = [repository, *others][:_MOST_REPOSITORIES]  # last in the order of the file
            content["blobs"] = dict(list(blobs.items())[-_MOST:])
            if chunk is not None:
                content["chunk"] = chunk
            write_atomic(self._path, json.dumps(content))

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_bytes())
            blobs = {
                digest: [name for name in names if isinstance(name, str)]
                for digest, names in content["blobs"].items()
                if isinstance(names, list)
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, WardianError):
            return {"blobs": {}}
        return {**content, "blobs": blobs}
