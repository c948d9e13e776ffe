"""OCI image layouts (image-spec, image-layout.md) written: folders, and tar archives of them.

The same image gives the same bytes. found.py reads layouts.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from wardian.errors import HostError, ImageError, VerificationError
from wardian.image import tar
from wardian.image.decompress import drop_damaged
from wardian.image.decompress import read as read_file
from wardian.image.descriptor import Descriptor, Digest
from wardian.image.entry import Entry
from wardian.image.library import match
from wardian.image.manifest import LARGEST, Index, encode
from wardian.system import files

if TYPE_CHECKING:
    from pathlib import Path

    from wardian.image.library import Library, StoredImage
    from wardian.image.reference import Reference
    from wardian.image.source import FolderSource

REF_NAME = "org.opencontainers.image.ref.name"  # annotations.md: here the tag, as Docker has it
IMAGE_NAME = "io.containerd.image.name"  # containerd's and Docker's: the whole name
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def write_folder(library: Library, image: StoredImage, folder: Path, name: Reference | None) -> None:
    """Write the layout at `folder`, or add the image to the one that is there, under its name.

    An image of that name gives way; all others stay. Raises ImageError where something else is in the way,
    VerificationError where the store is damaged, HostError where the disk refuses.
    """
    require(library, image)
    if not os.path.lexists(folder) and _make_folder(library, image, folder, name):
        return
    check_folder(folder)
    with _held(folder):
        named = {"oci-layout": _LAYOUT, "index.json": _with_entry(folder, entry(image, name))}
        _fill_folder(library, image, folder, named)


def _make_folder(library: Library, image: StoredImage, folder: Path, name: Reference | None) -> bool:
    """Write a new layout; False where another process has come first."""
    new = folder.with_name(f"{folder.name}.{secrets.token_hex(6)}.tmp")
    try:
        _fill_folder(library, image, new, documents(Index(manifests=(entry(image, name),))))
        with _writing(folder):
            try:
                os.rename(new, folder)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    return False
                raise
        return True
    finally:
        with contextlib.suppress(OSError):
            files.remove_tree(new)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep other processes of ours from adding to the layout meanwhile: each would lose the other's entry."""
    with _writing(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def check_folder(folder: Path) -> None:
    """Raise ImageError where something is at `folder` that is no layout."""
    if os.path.lexists(folder):
        from wardian.image.found import read_index

        read_index(_source(folder))


def write_tar(library: Library, image: StoredImage, file: IO[bytes], name: Reference | None) -> None:
    """Write the layout as a tar archive, the same bytes for the same image.

    Raises VerificationError where the store is damaged, and OSError of `file`.
    """
    write_members(library, image, file, documents(Index(manifests=(entry(image, name),))))


def documents(index: Index) -> dict[str, bytes]:
    """A layout's files but for the blobs."""
    return {"oci-layout": _LAYOUT, "index.json": index.encode()}


def write_members(
    library: Library,
    image: StoredImage,
    file: IO[bytes],
    documents: Mapping[str, bytes],
    *,
    without: Collection[Digest] = (),
) -> None:
    """Write `documents`, then the image's blobs but for those in `without`, as a tar archive."""
    require(library, image)
    for path, data in documents.items():
        file.write(_member(path, len(data)) + data + bytes(tar.padding(len(data))))
    for folder in ("blobs", "blobs/sha256"):
        file.write(tar.header(Entry(path=folder, kind="directory", mode=0o755, mtime=0)))
    for descriptor in blobs(image):
        if descriptor.digest in without:
            continue
        file.write(_member(blob_path(descriptor), descriptor.size))
        for piece in verified(library, descriptor):
            file.write(piece)
        file.write(bytes(tar.padding(descriptor.size)))
    file.write(tar.END)


def require(library: Library, image: StoredImage) -> None:
    """Raises ImageError where the store lacks some of the image's layers."""
    if missing := library.missing(image):
        raise ImageError(
            f"{image.name or image.descriptor.digest} is not whole: {len(missing)} of its"
            f" {len(image.manifest.layers)} layers are not in the store, such as {missing[0].digest}",
            hint="pull, load or build the image again",
        )


def entry(image: StoredImage, name: Reference | None) -> Descriptor:
    """The image's entry in an index."""
    annotations = {}
    if name and name.tag:
        annotations = {IMAGE_NAME: str(replace(name, digest=None)), REF_NAME: name.tag}
    platform = {"architecture": image.configuration.architecture, "os": image.configuration.os}
    return replace(image.descriptor, annotations=annotations, platform=platform)


def blobs(image: StoredImage) -> tuple[Descriptor, ...]:
    """All blobs of an image, each once: manifest, configuration, layers from bottom to top."""
    found = (image.descriptor, image.manifest.config, *image.manifest.layers)
    return tuple({descriptor.digest: descriptor for descriptor in found}.values())


def blob_path(descriptor: Descriptor) -> str:
    """Where a blob is in a layout."""
    return f"blobs/sha256/{descriptor.digest.hex}"


def verified(library: Library, descriptor: Descriptor) -> Iterator[bytes]:
    """A stored blob's bytes; at their end raises VerificationError if they were not what they should be.

    A blob of another digest is removed.
    """
    what, digest, size = f"the stored blob {descriptor.digest}", hashlib.sha256(), 0
    for piece in read_file(library.blob(descriptor.digest), what):
        size += len(piece)
        if size <= descriptor.size:
            digest.update(piece)
            yield piece
    found = Digest(f"sha256:{digest.hexdigest()}")
    try:
        match(replace(descriptor, digest=found, size=size), descriptor, what)
    except VerificationError:
        drop_damaged(library.blob(descriptor.digest), descriptor.digest, what)
        raise


def _member(path: str, size: int) -> bytes:
    return tar.header(Entry(path=path, kind="file", mode=0o644, mtime=0, size=size))


def _fill_folder(library: Library, image: StoredImage, folder: Path, named: Mapping[str, bytes]) -> None:
    """Write the blobs, then what names them: readers never see a name without its blobs."""
    with _writing(folder):
        for part in (folder, folder / "blobs", folder / "blobs/sha256"):
            part.mkdir(exist_ok=True)
        for descriptor in blobs(image):
            _copy_blob(library, descriptor, folder / blob_path(descriptor))
    for path, data in named.items():
        files.write_atomic(folder / path, data)


def _copy_blob(library: Library, descriptor: Descriptor, target: Path) -> None:
    if _is_there(descriptor, target):
        return
    new = target.with_name(f"{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(new, "xb") as file:
            for piece in verified(library, descriptor):
                file.write(piece)
        os.rename(new, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()


def _is_there(descriptor: Descriptor, target: Path) -> bool:
    """Whether the blob is there already: by its bytes, since whoever made the layout may have written any."""
    try:
        if not target.is_file() or target.stat().st_size != descriptor.size:
            return False
        with open(target, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == descriptor.digest.hex
    except OSError:
        return False


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(
            f"cannot write {folder}: {error.strerror}", hint="check the folder's permissions and free space"
        ) from error


def _source(folder: Path) -> FolderSource:
    from wardian.image.source import FolderSource

    source = FolderSource(folder)
    if not source.has("oci-layout") or not source.has("index.json"):
        raise ImageError(
            f"{folder} is there, and is no OCI layout", hint="name a folder that is not there yet"
        )
    return source


def _with_entry(folder: Path, mine: Descriptor) -> bytes:
    """The layout's index with an entry more: the JSON itself, of which not all is read here."""
    from wardian.image.found import read_index

    source = _source(folder)
    index = read_index(source)
    content = json.loads(source.document("index.json"))
    both = zip(index.manifests, content["manifests"], strict=True)
    content["manifests"] = [raw for other, raw in both if not _replaces(mine, other)] + [mine.as_json()]
    data = encode(content)
    if len(data) > LARGEST:
        raise ImageError(f"the index of {folder} would have more than {LARGEST} bytes")
    return data


def _replaces(mine: Descriptor, other: Descriptor) -> bool:
    """Whether an image takes another's place: both have the same name, or neither has one."""
    whole = [item.annotations.get(IMAGE_NAME, "") for item in (mine, other)]
    tags = [item.annotations.get(REF_NAME, "") for item in (mine, other)]
    if not any(tags):
        return mine.digest == other.digest
    return whole[0] == whole[1] if all(whole) else tags[0] == tags[1]
