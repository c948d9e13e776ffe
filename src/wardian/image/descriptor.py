"""Digests, media types and descriptors (image-spec, descriptor.md and media-types.md). Pure values."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardian.errors import ImageError

LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
# Docker's own (Image Manifest Version 2, Schema 2), which registries still hand out.
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_PLAIN = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

MANIFESTS = (MANIFEST, DOCKER_MANIFEST)
INDEXES = (INDEX, DOCKER_LIST)
# Layers by how they are compressed.
COMPRESSIONS = {
    LAYER_TAR: "none",
    DOCKER_LAYER_PLAIN: "none",
    LAYER_GZIP: "gzip",
    DOCKER_LAYER: "gzip",
    LAYER_ZSTD: "zstd",
    DOCKER_LAYER_ZSTD: "zstd",
}

# No layer of any known image comes near it; what claims more is hostile.
_LARGEST = 1 << 43


class Digest(str):
    """A content's digest, `sha256:` and 64 hexadecimal digits (descriptor.md, "Digests")."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Digest:
        """Check `text`; raises ImageError for what is no digest or uses another algorithm."""
        if isinstance(text, str) and re.fullmatch(r"sha256:[0-9a-f]{64}", text):
            return cls(text)
        raise ImageError(f"{str(text)[:90]!r} is no digest; they are written sha256:<64 hexadecimal digits>")

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """The digest of `data`."""
        return cls(f"sha256:{hashlib.sha256(data).hexdigest()}")

    @property
    def hex(self) -> str:
        """The part behind the algorithm's name."""
        return self.partition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What some content is, and how to know it. `size` in bytes.

    `platform` is set in indexes: `os`, `architecture`, perhaps `variant` (image-index.md).
    """

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, data: bytes, media_type: str) -> Descriptor:
        """The descriptor of `data`."""
        return cls(media_type=media_type, digest=Digest.of(data), size=len(data))

    @classmethod
    def parse(cls, value: object, what: str) -> Descriptor:
        """Read the JSON object; raises ImageError, which calls it `what`."""
        content = mapping(value, what)
        size = content.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < _LARGEST:
            raise ImageError(f"{what} has no size that can be")
        platform = mapping(content.get("platform") or {}, f"the platform of {what}")
        return cls(
            media_type=string(content.get("mediaType"), f"the media type of {what}"),
            digest=Digest.parse(content.get("digest")),
            size=size,
            annotations=strings(content.get("annotations") or {}, f"the annotations of {what}"),
            platform={name: text for name, text in platform.items() if isinstance(text, str)},
        )

    def as_json(self) -> dict[str, Any]:
        """The JSON object."""
        found: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        if self.platform:
            found["platform"] = dict(self.platform)
        return found


def mapping(value: object, what: str) -> Mapping[str, Any]:
    """`value`, if it is a JSON object; raises ImageError."""
    if isinstance(value, dict):
        return value
    raise ImageError(f"{what} is no JSON object")


def string(value: object, what: str) -> str:
    """`value`, if it is a string; raises ImageError."""
    if isinstance(value, str):
        return value
    raise ImageError(f"{what} is no string")


def strings(value: object, what: str) -> dict[str, str]:
    """`value`, if it is an object of strings; raises ImageError."""
    return {name: string(text, what) for name, text in mapping(value, what).items()}
