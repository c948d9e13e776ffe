"""Images in the store: their blobs by digest, their names in `references/`. It reaches no network.

A blob is content like any other (`Store.content`): manifests, configurations and layers under their
digests. A name is a file of `references/`; what no name leads to is what `prune` takes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wardian.errors import HostError, ImageError, VerificationError
from wardian.image.descriptor import COMPRESSIONS, INDEXES, MANIFESTS, Descriptor, Digest
from wardian.image.kept import Kept, Origin, advice, by_digest, by_name, now, read_kept
from wardian.image.manifest import (
    LARGEST,
    Configuration,
    Index,
    Manifest,
    parse_configuration,
    parse_manifest,
)
from wardian.image.platform import Platform
from wardian.system import files

if TYPE_CHECKING:
    from pathlib import Path

    from wardian.image.reference import Reference
    from wardian.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """One platform's image, whose manifest and configuration have been read. `name` is the familiar one.

    `descriptor` is the manifest's. The layers' blobs need not be there: `Library.missing` names those.
    """

    descriptor: Descriptor
    manifest: Manifest
    configuration: Configuration
    name: str = ""

    @property
    def platform(self) -> Platform:
        """What it runs on."""
        return Platform(os=self.configuration.os, architecture=self.configuration.architecture)


def layer_snapshot_key(diff_id: Digest) -> str:
    """The key of the snapshot that an unpacked layer is."""
    return hashlib.sha256(f"layer\n{diff_id}".encode()).hexdigest()[:40]


class Library:
    """The images of one store. Any number of processes may use it at once."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # blobs

    def blob(self, digest: Digest) -> Path:
        """Where the blob lies; it may not be there."""
        return self.store.content(digest.hex)

    def has(self, descriptor: Descriptor) -> bool:
        """Whether the blob is there, with the descriptor's size."""
        try:
            return self.blob(descriptor.digest).stat().st_size == descriptor.size
        except OSError:
            return False

    def add(self, data: bytes, media_type: str) -> Descriptor:
        """Put a small blob into the store: a manifest, a configuration."""
        descriptor = Descriptor.of(data, media_type)
        if not self.has(descriptor):
            self.write((data,), media_type)
        return descriptor

    def copy(self, chunks: Iterable[bytes], descriptor: Descriptor, what: str) -> None:
        """Put a blob whose descriptor is known into the store, from a stream, unless it is there.

        Raises VerificationError, which calls it `what`, for other bytes; then nothing is stored.
        """
        if not self.has(descriptor):
            self._write(bounded(chunks, descriptor.size, what), descriptor.media_type, descriptor, what)

    def write(self, chunks: Iterable[bytes], media_type: str) -> Descriptor:
        """Put a blob of any size into the store, from a stream; returns what it turned out to be."""
        return self._write(chunks, media_type, None, "")

    def _write(
        self, chunks: Iterable[bytes], media_type: str, expected: Descriptor | None, what: str
    ) -> Descriptor:
        hashed, size = hashlib.sha256(), 0
        with self.store.temporary() as folder:
            with self._disk(), open(folder / "blob", "wb") as file:
                for chunk in chunks:
                    hashed.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
            digest = Digest(f"sha256:{hashed.hexdigest()}")
            found = Descriptor(media_type=media_type, digest=digest, size=size)
            if expected:
                match(found, expected, what)
            self.adopt(folder / "blob", found)
        return found

    def adopt(self, path: Path, descriptor: Descriptor) -> None:
        """Make a file of the store's `temporary` folder the blob that its finder has verified it to be."""
        with self._disk():
            target = self.blob(descriptor.digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(path, target)

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HostError(
                f"cannot write into the store {self.store.root}: {error.strerror}",
                hint="check its permissions and the free space",
            ) from error

    def read(self, descriptor: Descriptor, what: str) -> bytes:
        """A manifest's or a configuration's bytes.

        Raises ImageError where it is not there or too large to be one, VerificationError for other bytes:
        those of another digest are removed.
        """
        if descriptor.size > LARGEST:
            raise ImageError(f"{what} has {descriptor.size} bytes; such a document has at most {LARGEST}")
        try:
            with open(self.blob(descriptor.digest), "rb") as file:
                data = file.read(descriptor.size + 1)
        except OSError as error:
            raise ImageError(
                f"{what} ({descriptor.digest}) is not in the store: {error.strerror}",
                hint="pull, load or build the image again",
            ) from error
        try:
            match(Descriptor.of(data, descriptor.media_type), descriptor, what)
        except VerificationError:
            from wardian.image.decompress import drop_damaged

            drop_damaged(self.blob(descriptor.digest), descriptor.digest, what)
            raise
        return data

    # images

    def stored(
        self, descriptor: Descriptor, name: str = "", *, platform: Platform | None = None
    ) -> StoredImage:
        """The image whose manifest `descriptor` names, or of an index the one for `platform`.

        Without `platform`: the host's, or the only one there is. Raises VerificationError for bytes that are
        not those named, ImageError for what is not there, is no image, or is for another platform.
        """
        what = name or str(descriptor.digest)
        parsed = parse_manifest(
            self.read(descriptor, f"the manifest of {what}"), what, media_type=descriptor.media_type
        )
        if isinstance(parsed, Index):
            chosen = self._select(parsed, platform, what)
            if chosen.media_type in INDEXES:
                raise ImageError(f"{what} is an index of indexes, which are not read")
            return self.stored(replace(chosen, annotations={}, platform={}), name, platform=platform)
        data = self.read(parsed.config, f"the configuration of {what}")
        configuration = parse_configuration(data, f"the configuration of {what}", parsed.config.media_type)
        check(parsed, configuration, what)
        image = StoredImage(
            descriptor=replace(descriptor, media_type=parsed.media_type),
            manifest=parsed,
            configuration=configuration,
            name=name,
        )
        if platform and image.platform != platform:
            raise ImageError(f"{what} is for {image.platform}, not for {platform}")
        return image

    def _select(self, index: Index, platform: Platform | None, what: str) -> Descriptor:
        # Of an index often one image was pulled: with no wish, that one is meant.
        there = [item for item in index.manifests if self.has(item) and is_image(item)]
        if platform is None and len(there) == 1:
            return there[0]
        return index.select(platform or Platform.host(), what)

    def missing(self, image: StoredImage) -> tuple[Descriptor, ...]:
        """The image's layers whose blobs are not there."""
        return tuple(layer for layer in image.manifest.layers if not self.has(layer))

    def resolve(self, text: str, platform: Platform | None = None) -> StoredImage:
        """The image that `text` names: a name, or a digest or the beginning of one.

        It counts as used now. Raises ImageError where there is none, with names that are near, and as
        `stored` does.
        """
        kept = self.lookup(text)
        with contextlib.suppress(OSError):
            os.utime(self._path(kept.name))
        return self.stored(kept.descriptor, kept.name.familiar, platform=platform)

    def images(self, kept: Kept) -> Iterator[StoredImage]:
        """The images that a name stands for, of an index those that are there; raises as `stored` does."""
        what = kept.name.familiar
        data = self.read(kept.descriptor, f"the manifest of {what}")
        parsed = parse_manifest(data, what, media_type=kept.descriptor.media_type)
        if not isinstance(parsed, Index):
            yield self.stored(kept.descriptor, what)
            return
        for item in parsed.manifests:
            if is_image(item) and self.has(item):
                yield self.stored(replace(item, annotations={}, platform={}), what)

    # names

    def keep(self, name: Reference, descriptor: Descriptor, *, origin: Origin, project: str = "") -> Kept:
        """Give the image or index a name, which an earlier one of that name loses."""
        kept = Kept(name=name, descriptor=descriptor, origin=origin, project=project, created=now())
        files.write_atomic(self._path(name), kept.encode())
        return kept

    def find(self, name: Reference) -> Kept | None:
        """What has exactly that name, if anything has."""
        return read_kept(self._path(name))

    def names(self) -> tuple[Kept, ...]:
        """Every name, in order; files that cannot be read are passed over."""
        found = (read_kept(path) for path in self.store.references().glob("*.json"))
        return tuple(sorted((kept for kept in found if kept), key=lambda kept: kept.name.familiar))

    def forget(self, name: Reference) -> bool:
        """Take a name away; whether it was there. Its blobs stay until `prune`."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            return False
        return True

    def lookup(self, text: str) -> Kept:
        """What `resolve` reads: the kept name; raises ImageError."""
        names = self.names()
        found = by_name(names, text) or by_digest(names, text)
        if found:
            return found
        raise ImageError(f"there is no image {text[:200]!r} here", hint=advice(text, names))

    def _path(self, name: Reference) -> Path:
        key = hashlib.sha256(str(name).encode()).hexdigest()[:40]
        return self.store.references() / f"{key}.json"


def check(manifest: Manifest, configuration: Configuration, what: str) -> None:
    """Whether manifest and configuration fit each other and hold what is read here; raises ImageError."""
    if len(manifest.layers) != len(configuration.diff_ids):
        raise ImageError(
            f"{what} has {len(manifest.layers)} layers, and its configuration {len(configuration.diff_ids)}"
        )
    for layer in manifest.layers:
        if layer.media_type not in COMPRESSIONS:
            raise ImageError(
                f"{what} has a layer of the type {layer.media_type[:120]}, which is none that is read here",
                hint="push the image again with layers of the types tar, tar+gzip or tar+zstd",
            )


def is_image(item: Descriptor) -> bool:
    """Whether an index's entry is an image, and not what Docker attests about one."""
    return item.platform.get("os") != "unknown" and item.media_type in (*MANIFESTS, *INDEXES)


def bounded(chunks: Iterable[bytes], size: int, what: str) -> Iterator[bytes]:
    """Pass `chunks` on; raises VerificationError as soon as there are more than `size` bytes."""
    left = size
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise VerificationError(f"{what} is longer than the {size} bytes that it should have")
        yield chunk


def match(found: Descriptor, expected: Descriptor, what: str) -> None:
    """Whether bytes are those expected, by size and digest; raises VerificationError."""
    if found.size != expected.size:
        raise VerificationError(f"{what} should have {expected.size} bytes and has {found.size}")
    if found.digest != expected.digest:
        raise VerificationError(f"{what} should have the digest {expected.digest} and has {found.digest}")
