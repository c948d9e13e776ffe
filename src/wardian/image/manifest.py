"""Image manifests, indexes and configurations (image-spec: manifest.md, image-index.md, config.md).

Read from hostile JSON, of the OCI's and of Docker's media types; written in the OCI's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardian.errors import ImageError
from wardian.image.descriptor import (
    CONFIG,
    INDEX,
    INDEXES,
    MANIFEST,
    MANIFESTS,
    Descriptor,
    Digest,
    mapping,
    string,
    strings,
)
from wardian.image.platform import Platform

# distribution-spec, "Pushing Manifests": registries take 4 MiB at least; larger ones are refused here.
LARGEST = 4 << 20
_MOST_LAYERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One platform's image: its configuration and its layers from bottom to top."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    media_type: str = MANIFEST

    def encode(self) -> bytes:
        """The manifest's bytes, the same for equal manifests."""
        return encode(
            {
                "schemaVersion": 2,
                "mediaType": self.media_type,
                "config": self.config.as_json(),
                "layers": [layer.as_json() for layer in self.layers],
                **({"annotations": dict(self.annotations)} if self.annotations else {}),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Images side by side, told apart by platform or annotations."""

    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    media_type: str = INDEX

    def encode(self) -> bytes:
        """The index's bytes, the same for equal indexes."""
        return encode(
            {
                "schemaVersion": 2,
                "mediaType": self.media_type,
                "manifests": [item.as_json() for item in self.manifests],
                **({"annotations": dict(self.annotations)} if self.annotations else {}),
            }
        )

    def select(self, platform: Platform, what: str) -> Descriptor:
        """The entry for `platform`; raises ImageError, naming those that there are, where there is none."""
        for item in self.manifests:
            if (item.platform.get("os"), item.platform.get("architecture")) == (
                platform.os,
                platform.architecture,
            ):
                return item
        known = {
            f"{item.platform.get('os', '?')}/{item.platform.get('architecture', '?')}"
            for item in self.manifests
            if item.platform.get("os", "unknown") != "unknown"  # as attestations are marked
        }
        raise ImageError(
            f"{what} is not there for {platform}; it is for {', '.join(sorted(known)) or 'no platform'}",
            hint="name one of these with --platform" if known else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How a container of an image runs by default: the `config` object of config.md."""

    user: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    directory: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""

    def as_json(self) -> dict[str, Any]:
        """The JSON object, without what is empty."""
        found = {
            "User": self.user,
            "ExposedPorts": {port: {} for port in self.ports},
            "Env": [f"{name}={value}" for name, value in self.environment],
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Volumes": {volume: {} for volume in self.volumes},
            "WorkingDir": self.directory,
            "Labels": dict(self.labels),
            "StopSignal": self.stop_signal,
        }
        return {name: value for name, value in found.items() if value}

    @classmethod
    def parse(cls, value: object) -> Execution:
        """Read the JSON object; raises ImageError."""
        content = mapping(value or {}, "the configuration's `config`")
        variables = _words(content.get("Env"), "Env")
        return cls(
            user=string(content.get("User") or "", "User"),
            environment=tuple((name, text) for name, _, text in (word.partition("=") for word in variables)),
            entrypoint=_words(content.get("Entrypoint"), "Entrypoint"),
            command=_words(content.get("Cmd"), "Cmd"),
            directory=string(content.get("WorkingDir") or "", "WorkingDir"),
            ports=tuple(sorted(mapping(content.get("ExposedPorts") or {}, "ExposedPorts"))),
            volumes=tuple(sorted(mapping(content.get("Volumes") or {}, "Volumes"))),
            labels=strings(content.get("Labels") or {}, "Labels"),
            stop_signal=string(content.get("StopSignal") or "", "StopSignal"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How a layer came to be. An `empty` one stands for no layer."""

    created_by: str
    created: str = ""
    comment: str = ""
    empty: bool = False

    def as_json(self) -> dict[str, Any]:
        """The JSON object, without what is empty."""
        found = {
            "created": self.created,
            "created_by": self.created_by,
            "comment": self.comment,
            "empty_layer": self.empty,
        }
        return {name: value for name, value in found.items() if value}

    @classmethod
    def parse(cls, value: object) -> History:
        """Read the JSON object; raises ImageError."""
        content = mapping(value, "an entry of `history`")
        return cls(
            created_by=string(content.get("created_by") or "", "created_by"),
            created=string(content.get("created") or "", "created"),
            comment=string(content.get("comment") or "", "comment"),
            empty=bool(content.get("empty_layer")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a manifest's `config` holds: platform, how to run, what the layers are. `created` is RFC 3339."""

    os: str = "linux"
    architecture: str
    execution: Execution
    diff_ids: tuple[Digest, ...]
    history: tuple[History, ...] = ()
    created: str = ""

    def encode(self) -> bytes:
        """The configuration's bytes, the same for equal configurations."""
        return encode(
            {
                **({"created": self.created} if self.created else {}),
                "architecture": self.architecture,
                "os": self.os,
                "config": self.execution.as_json(),
                "rootfs": {"type": "layers", "diff_ids": [str(diff_id) for diff_id in self.diff_ids]},
                "history": [entry.as_json() for entry in self.history],
            }
        )


def encode(value: object) -> bytes:
    """JSON without white space, members in the order they are given.

    Raises ImageError for half characters, which others' JSON may hold and UTF-8 may not.
    """
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ImageError(
            f"{error.object[error.start : error.end]!r} is no character that can be written"
        ) from error


def parse_manifest(data: bytes, what: str, media_type: str = "") -> Manifest | Index:
    """Read a manifest or an index; `media_type` is what it was announced as, if anything.

    Raises ImageError, which calls it `what`, for an unknown type and for anything malformed.
    """
    content = mapping(_decode(data, what), what)
    kind = string(content.get("mediaType") or media_type, f"the media type of {what}") or _guess(content)
    if media_type and kind != media_type and media_type in (*MANIFESTS, *INDEXES):
        raise ImageError(f"{what} was announced as {media_type} and says it is {kind}")
    annotations = strings(content.get("annotations") or {}, f"the annotations of {what}")
    if kind in INDEXES:
        entries = _list(content.get("manifests"), f"{what}: `manifests`")
        found = tuple(Descriptor.parse(item, f"an entry of {what}") for item in entries)
        return Index(manifests=found, annotations=annotations, media_type=kind)
    if kind not in MANIFESTS:
        raise ImageError(
            f"{what} has the type {kind[:120] or 'none'}, which is no image manifest or index",
            hint="push the image again with a current tool: the OCI's and Docker's schema 2 are read",
        )
    layers = _list(content.get("layers"), f"{what}: `layers`")
    if len(layers) > _MOST_LAYERS:
        raise ImageError(f"{what} has {len(layers)} layers")
    return Manifest(
        config=Descriptor.parse(content.get("config"), f"the config of {what}"),
        layers=tuple(Descriptor.parse(layer, f"a layer of {what}") for layer in layers),
        annotations=annotations,
        media_type=kind,
    )


def parse_configuration(data: bytes, what: str, config_type: str = CONFIG) -> Configuration:
    """Read an image's configuration; raises ImageError for what is none, such as another artifact's."""
    content = mapping(_decode(data, what), what)
    if not isinstance(content.get("rootfs"), dict):
        raise ImageError(f"{what} ({config_type}) is no image configuration: it has no rootfs")
    diff_ids = _list(content["rootfs"].get("diff_ids"), f"{what}: `diff_ids`")
    return Configuration(
        os=string(content.get("os") or "linux", f"{what}: `os`"),
        architecture=string(content.get("architecture") or "", f"{what}: `architecture`"),
        execution=Execution.parse(content.get("config")),
        diff_ids=tuple(Digest.parse(diff_id) for diff_id in diff_ids),
        history=tuple(map(History.parse, _list(content.get("history") or [], f"{what}: `history`"))),
        created=string(content.get("created") or "", f"{what}: `created`"),
    )


def _decode(data: bytes, what: str) -> object:
    if len(data) > LARGEST:
        raise ImageError(f"{what} has {len(data)} bytes; manifests and configurations have at most {LARGEST}")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{what} is no JSON: {str(error)[:200]}") from error


def _guess(content: Mapping[str, Any]) -> str:
    # OCI manifests may leave their media type out (manifest.md, `mediaType`).
    if "manifests" in content:
        return INDEX
    return MANIFEST if "layers" in content and "config" in content else ""


def _list(value: object, what: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise ImageError(f"{what} is no array")


def _words(value: object, what: str) -> tuple[str, ...]:
    return tuple(string(word, f"a word of {what}") for word in _list(value or [], what))
