"""Images for several platforms under one tag: the index there, entry by entry (image-spec, image-index)."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.errors import ImageError, RegistryError
from wardian.image.descriptor import INDEX, Descriptor, mapping
from wardian.image.manifest import LARGEST, Index, Manifest, encode, parse_configuration, parse_manifest
from wardian.registry.manifests import Document
from wardian.registry.partial import Partial

if TYPE_CHECKING:
    from wardian.image.platform import Platform
    from wardian.image.reference import Reference
    from wardian.registry.client import Registry

# A registry has no way to write only if nothing was written meanwhile: it is looked at afterwards.
_ATTEMPTS = 4


def put_platform(
    registry: Registry, reference: Reference, descriptor: Descriptor, platform: Platform
) -> Descriptor:
    """Make the image `descriptor` the one for `platform` under the reference's tag; returns the index's.

    The image's manifest has to be in the repository already. Other platforms' entries stay as they are,
    those that other tools wrote too; a single image that has the tag becomes an entry. Raises ImageError
    where the tag names what cannot be read, RegistryError, VerificationError.
    """
    entry = {
        **descriptor.as_json(),
        "platform": {"architecture": platform.architecture, "os": platform.os},
    }
    for _ in range(_ATTEMPTS):
        content = _read(registry, reference)
        content["manifests"] = _replace(content["manifests"], entry)
        data = _encode(content, reference.familiar)
        if len(data) > LARGEST:
            raise ImageError(f"the index of {reference.familiar} would have more than {LARGEST} bytes")
        document = Document(descriptor=Descriptor.of(data, INDEX), data=data)
        registry.put_manifest(reference, document)
        # Another machine may have put its own platform between our reading and our writing.
        if entry in _read(registry, reference)["manifests"]:
            return document.descriptor
    raise RegistryError(
        f"cannot push {reference.familiar}: others write its index at the same time, and win",
        hint="push again when they are done",
    )


def _encode(content: dict[str, Any], what: str) -> bytes:
    try:
        return encode(content)
    except ImageError as error:
        raise ImageError(
            f"the index of {what} cannot be written again: {error.message}",
            hint="push to another tag, or make the index anew",
        ) from error


def _replace(entries: list[Any], entry: dict[str, Any]) -> list[Any]:
    """`entry` in the place of the one for the same platform, else behind the others."""
    wanted = _platform(entry)
    gone = [item for item in entries if _platform(item) == wanted]
    digests = {item.get("digest") for item in gone} - {entry["digest"]}
    # What BuildKit says of an image that goes, goes with it.
    kept = [item for item in entries if item in gone or _subject(item) not in digests]
    place = next((number for number, item in enumerate(kept) if item in gone), len(kept))
    rest = [item for item in kept if item not in gone]
    return [*rest[:place], entry, *rest[place:]]


def _platform(entry: Any) -> tuple[object, object]:
    platform = entry.get("platform") or {}
    return platform.get("os"), platform.get("architecture")


def _subject(entry: Any) -> object:
    return (entry.get("annotations") or {}).get("vnd.docker.reference.digest", "")


def _read(registry: Registry, reference: Reference) -> dict[str, Any]:
    """The index that has the tag, as JSON; one with a single entry, or none, where there is no index."""
    empty: dict[str, Any] = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    document = registry.find_manifest(reference)
    if document is None:
        return empty
    what = reference.familiar
    found = parse_manifest(document.data, what, media_type=document.descriptor.media_type)
    if isinstance(found, Index):
        # The JSON itself: entries may have members that are not read here.
        return {**mapping(json.loads(document.data), what), "mediaType": INDEX}
    return {**empty, "manifests": [_entry(registry, reference, document, found)]}


def _entry(
    registry: Registry, reference: Reference, document: Document, manifest: Manifest
) -> dict[str, Any]:
    """The entry of a single image, whose platform its configuration knows."""
    what = f"the configuration of {reference.familiar}"
    if manifest.config.size > LARGEST:
        raise ImageError(f"{what} has {manifest.config.size} bytes; it may have {LARGEST}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "configuration")
        with Partial(path, manifest.config, lambda _: None) as partial:
            registry.download(reference, manifest.config, partial)
        data = path.read_bytes()
    configuration = parse_configuration(data, what, manifest.config.media_type)
    platform = {"architecture": configuration.architecture, "os": configuration.os}
    return {**document.descriptor.as_json(), "mediaType": manifest.media_type, "platform": platform}
