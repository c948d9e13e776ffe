"""What the store keeps of archives' indexes, below its cache `lists`; all of it may vanish.

    releases/DIGEST         each `InRelease` as it was signed
    packages/DIGEST         Packages files, uncompressed, by the digest that their release names
    seen/ARCHIVE_SUITE      which release was the last of a suite, and how it was fetched

Nothing gets its name here before it is verified.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from wardian.system.files import write_atomic

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from wardian.ecosystems.debian.release import Listed
    from wardian.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The last release of a suite. `etag` and `modified` are what `url` said, empty where nothing."""

    url: str
    sha256: str
    etag: str
    modified: str


class Lists:
    """The cache of one store."""

    def __init__(self, store: Store) -> None:
        self._root = store.cache("lists")
        for name in ("releases", "packages", "seen"):
            (self._root / name).mkdir(exist_ok=True)

    def release(self, sha256: str) -> bytes | None:
        """The `InRelease` of that digest, if it is still there and still itself."""
        try:
            data = (self._root / "releases" / sha256).read_bytes()
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def keep_release(self, data: bytes) -> str:
        """Keep a verified `InRelease`; its digest."""
        sha256 = hashlib.sha256(data).hexdigest()
        write_atomic(self._root / "releases" / sha256, data)
        return sha256

    def packages(self, listed: Listed) -> Path | None:
        """The Packages file that a release lists, if it is still there and whole.

        A loss of power leaves files that are too short: no usual file system has a length on the disk before
        the bytes. So nobody waits for the disk, nor reads 56 MB, to be sure.
        """
        path = self.packages_path(listed)
        try:
            return path if path.stat().st_size == listed.size else None
        except OSError:
            return None

    def packages_path(self, listed: Listed) -> Path:
        """Where that Packages file lies, or is to be put."""
        return self._root / "packages" / listed.sha256

    def seen(self, archive: str, suite: str, as_of: datetime | None) -> Seen | None:
        """The last release of a suite, or of its state at `as_of`."""
        try:
            found = json.loads(self._seen(archive, suite, as_of).read_bytes())
            return Seen(**{name: str(found[name]) for name in Seen.__slots__})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep_seen(self, archive: str, suite: str, as_of: datetime | None, seen: Seen) -> None:
        """Remember the last release of a suite."""
        write_atomic(self._seen(archive, suite, as_of), json.dumps(asdict(seen)))

    def _seen(self, archive: str, suite: str, as_of: datetime | None) -> Path:
        dated = f"_{as_of:%Y%m%dT%H%M%S}" if as_of else ""
        return self._root / "seen" / f"{archive}_{suite}{dated}.json"
