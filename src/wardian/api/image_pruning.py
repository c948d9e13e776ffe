"""What of the images' names, blobs and layers a pruning takes. It removes nothing; pruning.py does.

A blob is told from a fetched package by what names it: a manifest in the store, or the record of a packed
layer. So those that a killed pull (it stores its manifest first) or a forgotten name left are found without a
list of their own.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.errors import WardianError
from wardian.image.descriptor import Descriptor
from wardian.image.kept import Kept, read_kept
from wardian.image.library import Library, layer_snapshot_key
from wardian.image.manifest import LARGEST, Index, Manifest, parse_configuration, parse_manifest

if TYPE_CHECKING:
    from wardian.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of images: those that go, those that stay, and files that cannot be read."""

    going: dict[Path, Kept]
    staying: tuple[Kept, ...]
    unreadable: tuple[Path, ...]

    @classmethod
    def read(cls, store: Store, takes: Callable[[Path, Kept], bool]) -> Names:
        """Read them all; `takes` says whether one goes."""
        found = {path: read_kept(path) for path in sorted(store.references().glob("*.json"))}
        known = {path: kept for path, kept in found.items() if kept}
        going = {path: kept for path, kept in known.items() if takes(path, kept)}
        return cls(
            going=going,
            staying=tuple(kept for path, kept in known.items() if path not in going),
            unreadable=tuple(path for path, kept in found.items() if kept is None),
        )


@dataclass(slots=True)
class Needed:
    """What names lead to: blobs, by the hexadecimal digits of their digests, and snapshots, by their keys."""

    blobs: set[str] = field(default_factory=set)
    snapshots: set[str] = field(default_factory=set)

    @classmethod
    def by(cls, store: Store, names: Names) -> Needed:
        """All that the names that stay lead to, as far as it is there."""
        needed, library = cls(), Library(store)
        for kept in names.staying:
            needed._follow(library, kept.descriptor)
        return needed

    def _follow(self, library: Library, descriptor: Descriptor) -> None:
        if descriptor.digest.hex in self.blobs:
            return
        self.blobs.add(descriptor.digest.hex)
        with contextlib.suppress(WardianError):  # what is not there or damaged leads nowhere
            parsed = parse_manifest(library.read(descriptor, "a manifest"), "a manifest")
            if isinstance(parsed, Index):
                for child in parsed.manifests:
                    self._follow(library, child)
                return
            self.blobs |= {blob.digest.hex for blob in (parsed.config, *parsed.layers)}
            data = library.read(parsed.config, "a configuration")
            diff_ids = parse_configuration(data, "a configuration").diff_ids
            self.snapshots |= set(map(layer_snapshot_key, diff_ids))


def launched(store: Store, names: Names) -> Iterator[str]:
    """The identities under which runs of images by name are remembered (image_runs.py) whose name stays."""
    for path in sorted((store.root / "projects").glob("*/launch.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            reference = Path(json.loads(path.read_bytes())["reference"])
            if reference not in names.going and reference.is_file():
                yield path.parent.name


def orphans(store: Store, needed: Needed) -> Iterator[tuple[str, Path]]:
    """Blobs that no name leads to, with words for them; manifests last, since they tell of the others."""
    manifests, others = [], set(_packed(store))
    for path in store.contents().glob("??/*"):
        if (parsed := _manifest(path)) is not None:
            manifests.append(path)
            others |= {blob.digest.hex for blob in _named(parsed)}
    others -= {path.name for path in manifests}
    for digest in sorted(others - needed.blobs):
        if (path := store.content(digest)).exists():
            yield f"blob {digest[:12]}", path
    for path in sorted(manifests):
        if path.name not in needed.blobs:
            yield f"manifest {path.name[:12]}", path


def forgotten_layers(store: Store, needed: Needed) -> Iterator[Path]:
    """Records of packed layers whose blob is not needed, or not there."""
    for path in sorted(store.layers().glob("*.json")):
        blob = _blob(path)
        if blob not in needed.blobs or not store.content(blob).exists():
            yield path


def _packed(store: Store) -> Iterator[str]:
    yield from filter(None, map(_blob, store.layers().glob("*.json")))


def _blob(record: Path) -> str | None:
    try:
        content = json.loads(record.read_bytes())
        return Descriptor.parse(content["descriptor"], "a layer").digest.hex
    except (OSError, ValueError, TypeError, KeyError, RecursionError, WardianError):
        return None


def _manifest(path: Path) -> Manifest | Index | None:
    try:
        with open(path, "rb") as file:
            if file.read(1) != b"{" or path.stat().st_size > LARGEST:
                return None
            return parse_manifest(b"{" + file.read(), "a manifest")
    except (OSError, WardianError):
        return None


def _named(parsed: Manifest | Index) -> tuple[Descriptor, ...]:
    return parsed.manifests if isinstance(parsed, Index) else (parsed.config, *parsed.layers)
