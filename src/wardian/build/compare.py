"""Compares two images layer by layer, and names the first path that differs, and how."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from typing import IO, TYPE_CHECKING

from wardian.image.decompress import decompressed, opened, read
from wardian.image.descriptor import COMPRESSIONS

if TYPE_CHECKING:
    from wardian.image.descriptor import Descriptor
    from wardian.image.library import Library, StoredImage

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first thing in which two images differ: in which layer, at which path, and how."""

    layer: str
    path: str
    how: str

    def __str__(self) -> str:
        return f"{self.path} in the layer {self.layer!r}: {self.how}" if self.path else self.how


def first_difference(
    library: Library, first: StoredImage, other: Library, second: StoredImage
) -> Difference | None:
    """Where `second`, whose blobs are in `other`, differs from `first`; None where they are the same."""
    if first.descriptor.digest == second.descriptor.digest:
        return None
    names = [entry.created_by for entry in first.configuration.history if not entry.empty]
    diff_ids = first.configuration.diff_ids, second.configuration.diff_ids
    for number, (left, right) in enumerate(zip_longest(*diff_ids)):
        if left is None or right is None:
            return Difference(layer="", path="", how=f"one has {number} layers, the other more")
        if left != right:
            return _in_layer(
                names[number] if number < len(names) else str(number),
                (library, first.manifest.layers[number]),
                (other, second.manifest.layers[number]),
            )
    if first.configuration != second.configuration:
        return Difference(layer="", path="", how="the files are the same, the configurations differ")
    return Difference(layer="", path="", how="the files are the same, compressed or described differently")


def _in_layer(name: str, first: tuple[Library, Descriptor], second: tuple[Library, Descriptor]) -> Difference:
    with ExitStack() as stack:
        archives = [stack.enter_context(_open(*layer)) for layer in (first, second)]
        for left, right in zip_longest(*map(_members, archives)):
            if left is None or right is None or left[0].name != right[0].name:
                found = min(item[0].name for item in (left, right) if item)
                return Difference(layer=name, path=found, how="only one of them has it")
            if how := _how(*left, *right):
                return Difference(layer=name, path=left[0].name, how=how)
    return Difference(layer=name, path="", how=f"the members of {name!r} are the same, their headers differ")


def _open(library: Library, layer: Descriptor) -> tarfile.TarFile:
    what = f"the layer {layer.digest}"
    pieces = read(library.blob(layer.digest), what)
    stream = opened(decompressed(pieces, COMPRESSIONS[layer.media_type], what))
    return tarfile.open(fileobj=stream, mode="r|")


def _members(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    for member in archive:
        yield member, archive.extractfile(member) if member.isreg() else None


def _how(left: tarfile.TarInfo, one: IO[bytes] | None, right: tarfile.TarInfo, two: IO[bytes] | None) -> str:
    for what in ("type", "linkname", "mode", "uid", "gid", "mtime", "size", "pax_headers"):
        pair = getattr(left, what), getattr(right, what)
        if pair[0] != pair[1]:
            shown = [f"{value:o}" if what == "mode" else str(value) for value in pair]
            return f"its {what} is {shown[0]} and {shown[1]}"
    offset = 0
    while one and two:
        blocks = one.read(_PIECE), two.read(_PIECE)
        if blocks[0] != blocks[1]:
            at = next(place for place, pair in enumerate(zip(*blocks, strict=False)) if pair[0] != pair[1])
            return f"its content differs from byte {offset + at} on"
        if not blocks[0]:
            break
        offset += len(blocks[0])
    return ""
