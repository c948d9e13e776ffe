"""Docker archives, as `docker save` writes them: written and read.

Written is what Docker writes since 25: an OCI layout with `manifest.json` beside it. Docker since 1.10, and
others that know the older form, read that file; those that know layouts find the digests unchanged. Read
are both, and the older form with `ID/layer.tar`, or whatever `manifest.json` names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from wardian.errors import HostError, ImageError, VerificationError
from wardian.image import decompress
from wardian.image.descriptor import (
    COMPRESSIONS,
    CONFIG,
    LAYER_GZIP,
    LAYER_TAR,
    LAYER_ZSTD,
    MANIFEST,
    Descriptor,
    Digest,
    mapping,
    string,
)
from wardian.image.found import Document, Documents, Found, deliver, parsed_name
from wardian.image.layout import blob_path, documents, entry, require, write_members
from wardian.image.manifest import Index, Manifest, encode, parse_configuration
from wardian.system import disk

if TYPE_CHECKING:
    from wardian.image.library import Library, StoredImage
    from wardian.image.reference import Reference
    from wardian.image.source import Source

_TYPES = {"none": LAYER_TAR, "gzip": LAYER_GZIP, "zstd": LAYER_ZSTD}
_MOST_IMAGES = 1000
_CHECKED_EVERY = 64 << 20

# The layers that have been verified, by the names of their files and their `diff_id`s: images share layers.
_Layers = dict[tuple[str, Digest], Descriptor]


def write_archive(
    library: Library,
    image: StoredImage,
    file: IO[bytes],
    name: Reference | None,
    *,
    without: Collection[Digest] = (),
) -> None:
    """Write the image as a docker archive, the same bytes for the same image.

    Layers stay as they are, but for zstd ones, which Docker before 23 cannot read: those are written
    unpacked, with a manifest that says so. Layers whose digest is in `without` are named and left out, for
    a Docker that has them. Raises VerificationError where the store is damaged, and OSError of `file`.
    """
    image = _readable(library, image, without)
    tags = [name.familiar] if name and name.tag and not name.digest else []
    content = {
        "Config": blob_path(image.manifest.config),
        "RepoTags": tags,
        "Layers": [blob_path(layer) for layer in image.manifest.layers],
    }
    index = Index(manifests=(entry(image, name),))
    named = {**documents(index), "manifest.json": encode([content])}
    write_members(library, image, file, named, without=without)


def _readable(library: Library, image: StoredImage, without: Collection[Digest]) -> StoredImage:
    require(library, image)
    layers = image.manifest.layers
    if not any(_is_zstd(library, layer) for layer in layers if layer.digest not in without):
        return image
    plain = tuple(
        layer if layer.digest in without else _unpacked(library, layer, diff_id)
        for layer, diff_id in zip(layers, image.configuration.diff_ids, strict=True)
    )
    manifest = replace(image.manifest, layers=plain, media_type=MANIFEST)
    return replace(image, manifest=manifest, descriptor=library.add(manifest.encode(), MANIFEST))


def _unpacked(library: Library, layer: Descriptor, diff_id: Digest) -> Descriptor:
    if not _is_zstd(library, layer):
        return layer
    what = f"the stored layer {layer.digest}"
    stream = decompress.layer(library.blob(layer.digest), layer, diff_id, what)
    return library.write(_with_room(stream, library, what), LAYER_TAR)


def _is_zstd(library: Library, layer: Descriptor) -> bool:
    """Whether a layer is compressed by zstd, or only says so, which is as hard on who believes it."""
    path, what = library.blob(layer.digest), f"the stored layer {layer.digest}"
    return "zstd" in (COMPRESSIONS[layer.media_type], decompress.stored_compression(path, what))


def _with_room(pieces: Iterator[bytes], library: Library, what: str) -> Iterator[bytes]:
    """Pass `pieces` on while the store's disk has room; raises HostError."""
    unchecked = _CHECKED_EVERY
    for piece in pieces:
        unchecked += len(piece)
        if unchecked >= _CHECKED_EVERY:
            unchecked = 0
            if not disk.has_room(library.store.root, _CHECKED_EVERY):
                raise HostError(
                    f"there is no room in the store to unpack {what}",
                    hint="free some space, for example by `wardian prune`, and try again",
                )
        yield piece


def read_archive(source: Source, library: Library) -> tuple[Found, ...]:
    """Put all images of the archive into the store, their layers as they are.

    Raises ImageError for an archive that is none, VerificationError where a layer does not unpack to what
    the configuration says; then nothing of it has a name in the store.
    """
    what = f"{source.what}: manifest.json"
    try:
        content = json.loads(source.document("manifest.json"))
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{what} is no JSON: {str(error)[:200]}") from error
    if not isinstance(content, list) or not 0 < len(content) <= _MOST_IMAGES:
        raise ImageError(f"{what} names no images")
    found: list[Found] = []
    made = Documents(source.what)
    layers: _Layers = {}
    for item in content:
        image = mapping(item, f"an image of {what}")
        manifest = _manifest(source, image, made, layers)
        tags = _words(image.get("RepoTags"), f"{what}: RepoTags")
        names = [name for name in map(parsed_name, tags) if name]
        found += [Found(descriptor=manifest, name=name) for name in names] or [Found(descriptor=manifest)]
    deliver(source, library, made)
    return tuple(found)


def _manifest(source: Source, image: Any, made: Documents, known: _Layers) -> Descriptor:
    """Make a manifest of what `manifest.json` says of an image; what it stands for is added to `made`."""
    path = string(image.get("Config"), f"{source.what}: the name of a configuration")
    what = f"{source.what}: {path[:200]}"
    data = source.document(path)
    digest = path.rpartition("/")[2].removesuffix(".json")
    if len(digest) == 64 and digest != hashlib.sha256(data).hexdigest():
        raise VerificationError(
            f"{what} has the digest {Digest.of(data)}, and not the one that it is named by"
        )
    diff_ids = parse_configuration(data, what).diff_ids
    paths = _words(image.get("Layers"), f"{source.what}: Layers")
    if len(paths) != len(diff_ids):
        raise ImageError(f"{what} is of {len(diff_ids)} layers, and manifest.json names {len(paths)}")
    for key in zip(paths, diff_ids, strict=True):
        if key not in known:
            known[key] = _layer(source, *key)
    layers = tuple(known[key] for key in zip(paths, diff_ids, strict=True))
    manifest = Manifest(config=Descriptor.of(data, CONFIG), layers=layers).encode()
    made.add(Document(data=manifest, media_type=MANIFEST, layers=tuple(zip(paths, layers, strict=True))))
    made.add(Document(data=data, media_type=CONFIG))
    return Descriptor.of(manifest, MANIFEST)


def _layer(source: Source, path: str, diff_id: Digest) -> Descriptor:
    """The descriptor of a layer's file, which is verified to be a form of that `diff_id`."""
    what = f"{source.what}: the layer {path[:200]}"
    packed, size = hashlib.sha256(), 0

    def pieces() -> Iterator[bytes]:
        nonlocal size
        for piece in source.pieces(path):
            packed.update(piece)
            size += len(piece)
            yield piece

    compression, stream = decompress.recognised(pieces())
    unpacked = hashlib.sha256()
    most = decompress.bound(source.size(path))
    for piece in decompress.decompressed(stream, compression, what, most=most):
        unpacked.update(piece)
    if unpacked.hexdigest() != diff_id.hex:
        raise VerificationError(
            f"{what} unpacks to sha256:{unpacked.hexdigest()}, and its image's configuration says {diff_id}"
        )
    if compression not in _TYPES:
        raise ImageError(f"{what} is compressed by {compression}, which no image may have")
    digest = Digest(f"sha256:{packed.hexdigest()}")
    return Descriptor(media_type=_TYPES[compression], digest=digest, size=size)


def _words(value: object, what: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ImageError(f"{what} is no array")
    return [string(word, f"a word of {what}") for word in value]
