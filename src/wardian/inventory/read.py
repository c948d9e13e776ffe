"""An image's inventory: its layers' listings merged as a container sees them, each file with its package."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from wardian.errors import ImageError
from wardian.export.merged import Merged, Node, Place
from wardian.image.entry import Entry
from wardian.image.members import clean
from wardian.inventory.listing import MOST, Listing, list_layer
from wardian.inventory.model import File, Inventory, Layer, Lost
from wardian.inventory.owners import Owners
from wardian.inventory.paths import Aliases
from wardian.system.crew import Crew

if TYPE_CHECKING:
    from wardian.image.library import Library, StoredImage
    from wardian.image.members import Members
    from wardian.system.progress import Progress

_MOST_THREADS = 4  # each holds a layer's texts; digests and decompression leave Python's lock alone


def take_inventory(library: Library, image: StoredImage, progress: Progress) -> Inventory:
    """Read an image's layers, or what is known of them already.

    Raises ImageError for layers that cannot be merged or hold too much, VerificationError where the store is
    damaged.
    """
    listings = _list(library, image, progress)
    what = image.name or image.descriptor.digest
    if sum(len(listing.members) for listing in listings) > MOST:
        raise ImageError(f"{what} has more than {MOST} members in its layers")
    merged = Merged(what)
    for number, listing in enumerate(listings):
        # What is asked of members is to be iterated over.
        merged.add(number, cast("Members", listing.members))
    layers = tuple(_layers(image, listings))
    tree = _Tree(merged, listings, layers)
    paths = tuple(tree.paths())
    return Inventory(
        image=image,
        layers=layers,
        files=tuple(file for file in paths if file.kind != "directory"),
        folders=tuple(file for file in paths if file.kind == "directory" and file.path),
        lost=tuple(tree.lost(what)),
    )


def _list(library: Library, image: StoredImage, progress: Progress) -> list[Listing]:
    layers = list(zip(image.manifest.layers, image.configuration.diff_ids, strict=True))
    total = sum(layer.size for layer, _ in layers)
    threads = min(len(os.sched_getaffinity(0)), _MOST_THREADS)
    with progress.step("reading layers", total=total, unit="B", passing=True) as step, Crew(threads) as crew:

        def work(number: int) -> Listing:
            layer, diff_id = layers[number]
            found = list_layer(library, layer, diff_id)
            step.advance(layer.size)
            return found

        pending = [crew.start(partial(work, number)) for number in range(len(layers))]
        crew.wait()
        return [future.result() for future in pending]


def _layers(image: StoredImage, listings: Sequence[Listing]) -> Iterator[Layer]:
    told = [step.created_by for step in image.configuration.history if not step.empty]
    names = [*told, *[""] * len(listings)]
    for name, layer, listing in zip(names, image.manifest.layers, listings, strict=False):
        yield Layer(name=name, digest=layer.digest, packed=layer.size, unpacked=_content(listing))


def _content(listing: Listing) -> int:
    return sum(member.size for member in listing.members if member.isreg())


@dataclass(slots=True)
class _Tree:
    """A merged tree, and the listings that it is of."""

    merged: Merged
    listings: Sequence[Listing]
    layers: Sequence[Layer]

    def paths(self) -> Iterator[File]:
        """All that there is, in the order of paths."""
        owners = Owners(self._texts(), self._aliases())
        seen: set[Place] = set()
        for path, node in self.merged.walk():
            is_repeated = node.place in seen
            if node.place is not None:
                seen.add(node.place)
            yield self._file(path, node, owners, is_repeated=is_repeated)

    def lost(self, what: str) -> Iterator[Lost]:
        """What no path shows any more, in the order of their paths."""
        places, paths = set(), set()
        for path, node in self.merged.walk():
            paths.add(path)
            places.add(node.place)
        aliases = self._aliases()
        found = [
            Lost(
                path=path,
                layer=layer,
                size=member.size,
                packed=self._packed(layer, member.size),
                is_removed=path not in paths,
            )
            for layer, listing in enumerate(self.listings)
            for number, member in enumerate(listing.members)
            if member.isreg() and member.size and (layer, number) not in places
            for path in (aliases.resolve(clean(member.name, what)),)
        ]
        yield from sorted(found, key=lambda it: (it.path, it.layer))

    def _file(self, path: str, node: Node, owners: Owners, *, is_repeated: bool) -> File:
        entry = node.entry
        is_file = isinstance(entry, Entry) and entry.kind == "file"
        size = entry.size if is_file else 0
        layer, number = node.place or (node.layer, -1)
        return File(
            path=path,
            kind=entry.kind if isinstance(entry, Entry) else _device(entry),
            mode=entry.mode & 0o7777,
            uid=entry.uid,
            gid=entry.gid,
            size=size,
            packed=self._packed(layer, size),
            digest=self.listings[layer].digests.get(number, "") if node.place else "",
            target=entry.target if isinstance(entry, Entry) else "",
            layer=layer,
            is_repeated=is_repeated,
            package=owners.owner(path),
        )

    def _packed(self, layer: int, size: int) -> int:
        if not size:  # such as the root of an image that has no layer at all
            return 0
        told = self.layers[layer]
        return size * told.packed // told.unpacked if told.unpacked else 0

    def _texts(self) -> dict[str, str]:
        return {
            path: text
            for path, node in self.merged.walk()
            if node.place and (text := self.listings[node.place[0]].texts.get(node.place[1])) is not None
        }

    def _aliases(self) -> Aliases:
        links = {path: node.target for path, node in self.merged.walk() if "/" not in path and node.target}
        return Aliases(links)


def _device(member: tarfile.TarInfo) -> str:
    return "character device" if member.ischr() else "block device"
