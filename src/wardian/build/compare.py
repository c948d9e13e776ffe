"""Compares two images layer by layer, and names the first path that differs, and how."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from wardian.image.decompress import decompressed, read, recognised
from wardian.image.members import Members

if TYPE_CHECKING:
    from tarfile import TarInfo

    from wardian.image.descriptor import Descriptor
    from wardian.image.library import Library, StoredImage


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
    one, two = _open(*first), _open(*second)
    for left, right in zip_longest(one, two):
        if left is None or right is None or left.name != right.name:
            found = min(member.name for member in (left, right) if member)
            return Difference(layer=name, path=found, how="only one of them has it")
        if how := _of_headers(left, right) or _of_files(one, left, two, right):
            return Difference(layer=name, path=left.name, how=how)
    return Difference(layer=name, path="", how=f"the members of {name!r} are the same, their headers differ")


def _open(library: Library, layer: Descriptor) -> Members:
    what = f"the layer {layer.digest}"
    compression, stored = recognised(read(library.blob(layer.digest), what))
    return Members(decompressed(stored, compression, what), what)


def _of_headers(left: TarInfo, right: TarInfo) -> str:
    for what in ("type", "linkname", "mode", "uid", "gid", "mtime", "size", "pax_headers"):
        pair = getattr(left, what), getattr(right, what)
        if pair[0] != pair[1]:
            shown = [f"{value:o}" if what == "mode" else str(value) for value in pair]
            return f"its {what} is {shown[0]} and {shown[1]}"
    return ""


def _of_files(first: Members, left: TarInfo, second: Members, right: TarInfo) -> str:
    """How the contents of two members of the same type and size differ, if they have any."""
    offset = 0
    pairs = zip(first.content(left), second.content(right), strict=True) if left.isreg() else ()
    for one, two in pairs:
        if one != two:
            at = next(place for place, pair in enumerate(zip(one, two, strict=True)) if pair[0] != pair[1])
            return f"its content differs from byte {offset + at} on"
        offset += len(one)
    return ""
