"""OCI image layouts read (image-spec, image-layout.md), and what reading them or an archive finds.

What is read is hostile: all documents are verified before anything is put into the store, and nothing gets
a name here. Manifests are put there before their layers, so that `prune` knows what an interrupted reading
has left.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wardian.errors import ImageError
from wardian.image.descriptor import INDEXES, Descriptor, Digest, mapping
from wardian.image.layout import IMAGE_NAME, REF_NAME, blob_path
from wardian.image.library import check, is_image, match
from wardian.image.manifest import Index, Manifest, parse_configuration, parse_manifest
from wardian.image.reference import Reference

if TYPE_CHECKING:
    from wardian.image.library import Library
    from wardian.image.source import Source

TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_MOST_IMAGES = 1000
_MOST_BYTES = 64 << 20  # of all documents, which are held in memory; an image's have some 20 KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An image or index that is in the store now, and has no name there yet.

    `name` is None where none was written; `tag` is there where only that was.
    """

    descriptor: Descriptor
    name: Reference | None = None
    tag: str = ""


def read_index(source: Source) -> Index:
    """The index of a layout; raises ImageError for what is none."""
    what = f"{source.what}: oci-layout"
    try:
        version = mapping(json.loads(source.document("oci-layout")), what).get("imageLayoutVersion")
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{what} is no JSON: {str(error)[:200]}") from error
    if not isinstance(version, str) or not version.startswith("1."):
        raise ImageError(f"{source.what} is an OCI layout of the version {str(version)[:40]!r}, not 1.0.0")
    what = f"{source.what}: index.json"
    index = parse_manifest(source.document("index.json"), what)
    if not isinstance(index, Index):
        raise ImageError(f"{what} is no index")
    if len(index.manifests) > _MOST_IMAGES:
        raise ImageError(f"{what} has {len(index.manifests)} images")
    return index


def read_layout(source: Source, library: Library) -> tuple[Found, ...]:
    """Put all images of the layout into the store.

    Raises ImageError for a layout that is none, or without an image, VerificationError for other bytes than
    it names; then nothing of it has a name in the store.
    """
    entries = [item for item in read_index(source).manifests if is_image(item)]
    if not entries:
        raise ImageError(f"{source.what} has no image in it")
    documents = Documents(source.what)
    for item in entries:
        _collect(source, item, documents)
    deliver(source, library, documents)
    return tuple(_found(item) for item in entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A verified manifest or configuration, and the layers that it names: where they are in the source."""

    data: bytes
    media_type: str
    layers: tuple[tuple[str, Descriptor], ...] = ()


class Documents:
    """The documents of one archive or layout, which errors call `what`: each once, and all bounded."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._bytes = 0
        self._found: dict[tuple[Digest, str], Document] = {}

    def __iter__(self) -> Iterator[Document]:
        return iter(self._found.values())

    def has(self, item: Descriptor) -> bool:
        """Whether the document is there already."""
        return (item.digest, item.media_type) in self._found

    def add(self, document: Document) -> None:
        """Add a document; raises ImageError where there are too many."""
        item = Descriptor.of(document.data, document.media_type)
        if self.has(item):
            return
        self._bytes += item.size
        if self._bytes > _MOST_BYTES:
            raise ImageError(
                f"{self._what} has manifests and configurations of more than {_MOST_BYTES} bytes"
            )
        self._found[item.digest, item.media_type] = document


def deliver(source: Source, library: Library, documents: Documents) -> None:
    """Put documents and layers into the store; raises ImageError, where a layer is missing, before that.

    Raises VerificationError for a layer of other bytes.
    """
    layers = {layer.digest: (name, layer) for document in documents for name, layer in document.layers}
    wanted = [(name, layer) for name, layer in layers.values() if not library.has(layer)]
    for name, layer in wanted:
        if not source.has(name):
            raise ImageError(f"{source.what} lacks the layer {layer.digest} of its image")
    for document in documents:
        library.add(document.data, document.media_type)
    for name, layer in wanted:
        source.deliver(name, layer, library)


def _collect(source: Source, item: Descriptor, documents: Documents, *, inner: bool = False) -> None:
    """Add a manifest or an index, and what it names, to `documents`."""
    what = f"{source.what}: the manifest {item.digest}"
    if inner and item.media_type in INDEXES:
        raise ImageError(f"{what} is an index of indexes, which are not read")
    if documents.has(item):
        return
    data = _verified(source, item, what)
    parsed = parse_manifest(data, what, media_type=item.media_type)
    if isinstance(parsed, Manifest):
        layers = tuple((blob_path(layer), layer) for layer in parsed.layers)
        documents.add(Document(data=data, media_type=item.media_type, layers=layers))
        documents.add(_configuration(source, parsed, what))
        return
    documents.add(Document(data=data, media_type=item.media_type))
    # Of an index for several platforms often only some images are there.
    there = [child for child in parsed.manifests if is_image(child) and source.has(blob_path(child))]
    if not there:
        raise ImageError(f"{source.what} has none of the images that its index {item.digest} names")
    for child in there:
        _collect(source, child, documents, inner=True)


def _configuration(source: Source, manifest: Manifest, what: str) -> Document:
    data = _verified(source, manifest.config, f"{what}: its configuration")
    configuration = parse_configuration(data, f"{what}: its configuration", manifest.config.media_type)
    check(manifest, configuration, what)
    return Document(data=data, media_type=manifest.config.media_type)


def _verified(source: Source, item: Descriptor, what: str) -> bytes:
    data = source.document(blob_path(item))
    match(Descriptor.of(data, item.media_type), item, what)
    return data


def _found(item: Descriptor) -> Found:
    whole, short = item.annotations.get(IMAGE_NAME, ""), item.annotations.get(REF_NAME, "")
    descriptor = replace(item, annotations={}, platform={})
    # Podman and Buildah write whole names as `ref.name`.
    for text in (whole, short if re.search("[/:]", short) else ""):
        if name := parsed_name(text):
            return Found(descriptor=descriptor, name=name)
    return Found(descriptor=descriptor, tag=short if re.fullmatch(TAG, short) else "")


def parsed_name(text: str) -> Reference | None:
    """A name that somebody has written into an image; None for what is none."""
    try:
        return Reference.parse(text) if text else None
    except ImageError:
        return None
