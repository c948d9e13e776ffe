"""Tiny images made by hand, with Python's own tarfile and gzip, for tests of all rooms."""

from __future__ import annotations

import gzip
import importlib
import io
import tarfile
from collections.abc import Iterable, Mapping

from wardian.image.descriptor import CONFIG, LAYER_GZIP, LAYER_TAR, LAYER_ZSTD, MANIFEST, Digest
from wardian.image.library import Library, StoredImage
from wardian.image.manifest import Configuration, Execution, History, Manifest
from wardian.image.platform import Platform
from wardian.image.reference import Reference

# A path, which ends in a slash where it is a folder's, or a whole member; and a file's bytes.
Members = Iterable[tuple[str | tarfile.TarInfo, bytes]]
LAYER: Mapping[str, bytes] = {"etc/": b"", "etc/name": b"value\n", "usr/bin/tool": b"#!/bin/sh\n"}


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    """A member with other fields than the usual ones."""
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    """A symbolic link, or one of another kind."""
    return member(name, kind, linkname=target), b""


def tar(members: Members | Mapping[str, bytes]) -> bytes:
    """A tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members.items() if isinstance(members, Mapping) else members:
            info = name
            if isinstance(info, str):
                kind = tarfile.DIRTYPE if info.endswith("/") else tarfile.REGTYPE
                info = member(info.rstrip("/"), kind, mode=0o755)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def compress(data: bytes, compression: str) -> tuple[bytes, str]:
    """Compressed data, and the media type of a layer of them."""
    if compression == "gzip":
        return gzip.compress(data, mtime=0), LAYER_GZIP
    if compression == "zstd":
        return importlib.import_module("backports.zstd").compress(data), LAYER_ZSTD
    return data, LAYER_TAR


def store_image(
    library: Library,
    *layers: Members | Mapping[str, bytes],
    name: str = "example:1",
    compression: str = "gzip",
    architecture: str = "",
    execution: Execution | None = None,
) -> StoredImage:
    """Put an image of these layers into a store; it gets `name` unless that is empty."""
    tars = [tar(members) for members in (layers or (LAYER,))]
    blobs = [library.write((data,), kind) for data, kind in (compress(it, compression) for it in tars)]
    configuration = Configuration(
        architecture=architecture or Platform.host().architecture,
        execution=execution or Execution(command=("tool",), environment=(("PATH", "/usr/bin"),)),
        diff_ids=tuple(map(Digest.of, tars)),
        history=tuple(History(created_by=f"layer {number}") for number in range(len(tars))),
    )
    manifest = Manifest(config=library.add(configuration.encode(), CONFIG), layers=tuple(blobs))
    descriptor = library.add(manifest.encode(), MANIFEST)
    familiar = ""
    if name:
        reference = Reference.parse(name)
        library.keep(reference, descriptor, origin="loaded")
        familiar = reference.familiar
    return library.stored(descriptor, familiar)
