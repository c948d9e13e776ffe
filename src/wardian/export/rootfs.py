"""An image's whole file system as one tar archive: its layers merged, without being unpacked to disk.

The layers are read twice: once for what there is (merged.py), once for the bytes of files. The tree is held
in memory, about a kilobyte for each path.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from wardian.errors import HostError, ImageError
from wardian.export.merged import Merged, Node, Place
from wardian.image import decompress, tar
from wardian.image.entry import Entry
from wardian.image.layout import require
from wardian.image.members import Members
from wardian.system import disk

if TYPE_CHECKING:
    from wardian.image.library import Library, StoredImage
    from wardian.system.progress import Progress, Step


def write_rootfs(library: Library, image: StoredImage, file: IO[bytes], progress: Progress) -> None:
    """Write the file system that a container of the image starts with, the same bytes for the same image.

    Folders come before what is in them, whiteouts are applied, and paths that share a file are hard links.
    Raises ImageError for layers that cannot be merged, VerificationError where the store is damaged,
    HostError where there is no room for it, and OSError of `file`.
    """
    require(library, image)
    what = image.name or str(image.descriptor.digest)
    total = 2 * sum(layer.size for layer in image.manifest.layers)
    with progress.step("merging layers", total=total, unit="B") as step:
        merged = Merged(what)
        for number, members in _layers(library, image, step):
            merged.add(number, members)
        files = _files(merged)
        _check_size(file, sum(same[0][1].size for same in files.values()), what)
        for path, node in merged.walk():
            if not _is_file(node):
                file.write(_header(path, node))
        for number, members in _layers(library, image, step):
            for place, member in enumerate(members):
                if same := files.get((number, place)):
                    _write(file, same, members.content(member))
        file.write(tar.END)


def _layers(library: Library, image: StoredImage, step: Step) -> Iterator[tuple[int, Members]]:
    layers = zip(image.manifest.layers, image.configuration.diff_ids, strict=True)
    for number, (layer, diff_id) in enumerate(layers):
        what = f"the stored layer {layer.digest}"
        yield number, Members(decompress.layer(library.blob(layer.digest), layer, diff_id, what), what)
        step.advance(layer.size)


def _files(merged: Merged) -> dict[Place, list[tuple[str, Entry]]]:
    """The files by their places, each with all paths that it has."""
    found: dict[Place, list[tuple[str, Entry]]] = {}
    for path, node in merged.walk():
        if node.place and isinstance(node.entry, Entry):
            found.setdefault(node.place, []).append((path, node.entry))
    return found


def _is_file(node: Node) -> bool:
    return node.place is not None and isinstance(node.entry, Entry)


def _check_size(file: IO[bytes], total: int, what: str) -> None:
    """Whether so many bytes can be written: files with holes may claim to have any number.

    Raises ImageError and HostError.
    """
    if total > decompress.LARGEST:
        raise ImageError(f"{what} has files of {total} bytes", hint="use an image that you trust")
    with contextlib.suppress(io.UnsupportedOperation):  # not every file is one of the system's
        number = file.fileno()
        if stat.S_ISREG(os.fstat(number).st_mode) and not disk.has_room(number, total):
            raise HostError(
                f"there is no room for the file system of {what}: its files have {total} bytes",
                hint="free some space, or name a file on another disk",
            )


def _header(path: str, node: Node) -> bytes:
    if isinstance(node.entry, Entry):
        return tar.header(replace(node.entry, path=path))
    node.entry.name = path
    records = node.entry.pax_headers.items()
    node.entry.pax_headers = {key: value for key, value in records if key != "path"}  # it wins over `name`
    return node.entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _write(file: IO[bytes], same: list[tuple[str, Entry]], pieces: Iterator[bytes]) -> None:
    """Write a file, and the other paths that it has as links to it."""
    (path, entry), *links = same
    file.write(tar.header(replace(entry, path=path)))
    for piece in pieces:
        file.write(piece)
    file.write(bytes(tar.padding(entry.size)))
    for link, _ in links:
        file.write(tar.header(replace(entry, path=link, kind="hardlink", target=path, size=0, xattrs={})))
