"""What one layer holds: its members with the digests of their contents, and the texts that name packages.

A listing follows from the layer's `diff_id` alone, so it is kept in the store's cache: two images that
share a layer have it read once. A layer is hostile: everything that is kept of it is bounded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.errors import HostError, ImageError
from wardian.image import decompress
from wardian.image.members import Members, clean
from wardian.system import files

if TYPE_CHECKING:
    from pathlib import Path

    from wardian.image.descriptor import Descriptor, Digest
    from wardian.image.library import Library

MOST = 1_000_000  # members of an image; a kilobyte of memory each. Large images have a tenth of it
_FORMAT = 1  # of the cached file; another one is read anew
_CACHE = "listings"
# What names packages: dpkg's database (distroless images have it in pieces), apk's, Python's metadata.
_WANTED = re.compile(
    r"var/lib/dpkg/(status|status\.d/[^/]+|info/[^/]+\.list)"
    r"|(usr/)?lib/apk/db/installed"
    r"|(.*/)?[^/]+\.dist-info/(METADATA|RECORD)"
    r"|(.*/)?[^/]+\.egg-info(/PKG-INFO)?",
    re.DOTALL,
)
_LONGEST_TEXT = 16 << 20  # Debian's status with everything installed has a few
_ALL_TEXTS = 128 << 20
# Bytes of a layer's files that have holes: a header may tell of any number, and hashing takes a second for
# each gigabyte. They may be what any layer may hold; other files are bounded as their layer is.
_MOST_SPARSE = decompress.bound(0)

_Row = tuple[str, str, int, int, int, int, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The members of one layer in their order: `digests` and `texts` by their numbers."""

    members: tuple[tarfile.TarInfo, ...]
    digests: Mapping[int, str]
    texts: Mapping[int, str]


def list_layer(library: Library, layer: Descriptor, diff_id: Digest) -> Listing:
    """List a layer, or recall its listing.

    Raises ImageError for what is no layer, VerificationError where the store is damaged.
    """
    path = library.store.cache(_CACHE) / f"{diff_id.hex}.json"
    if (known := _recall(path)) is not None:
        return known
    found = _scan(library, layer, diff_id)
    with contextlib.suppress(HostError):  # a full disk costs time alone
        files.write_atomic(path, _encode(found))
    return found


def _scan(library: Library, layer: Descriptor, diff_id: Digest) -> Listing:
    what = f"the stored layer {layer.digest}"
    members = Members(decompress.layer(library.blob(layer.digest), layer, diff_id, what), what)
    rows: list[tarfile.TarInfo] = []
    digests: dict[int, str] = {}
    texts: dict[int, str] = {}
    room = _ALL_TEXTS
    sparse = 0
    for number, member in enumerate(members):
        if number >= MOST:
            raise ImageError(f"{what} has more than {MOST} members")
        sparse += member.size if member.issparse() else 0
        if sparse > _MOST_SPARSE:
            raise ImageError(f"{what} has files with holes of more than {_MOST_SPARSE} bytes")
        rows.append(_stripped(member))
        if member.isreg() and member.size:
            wanted = member.size <= min(_LONGEST_TEXT, room) and _WANTED.fullmatch(clean(member.name, what))
            digests[number], text = _read(members.content(member), keep=bool(wanted))
            if wanted:
                texts[number] = text
                room -= member.size
    return Listing(members=tuple(rows), digests=digests, texts=texts)


def _read(pieces: Iterator[bytes], *, keep: bool) -> tuple[str, str]:
    """The digest of a content, and its text where it is to be kept."""
    digest, kept = hashlib.sha256(), []
    for piece in pieces:
        digest.update(piece)
        if keep:
            kept.append(piece)
    return digest.hexdigest(), b"".join(kept).decode("utf-8", "surrogateescape")


def _stripped(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """What is used of a member: its attributes may be large."""
    return _member(
        (
            member.name,
            member.type.decode("latin-1"),
            member.mode & 0o7777,
            member.uid,
            member.gid,
            member.size,
            member.linkname,
            "",
        )
    )


def _member(row: _Row) -> tarfile.TarInfo:
    info = tarfile.TarInfo(row[0])
    info.type = row[1].encode("latin-1")
    info.mode, info.uid, info.gid, info.size, info.linkname = row[2:7]
    return info


def _encode(listing: Listing) -> str:
    rows = [
        (it.name, it.type.decode("latin-1"), it.mode, it.uid, it.gid, it.size, it.linkname, digest)
        for number, it in enumerate(listing.members)
        for digest in (listing.digests.get(number, ""),)
    ]
    texts = {str(number): text for number, text in listing.texts.items()}
    return json.dumps({"format": _FORMAT, "members": rows, "texts": texts}, separators=(",", ":"))


def _recall(path: Path) -> Listing | None:
    """The listing that a file holds; None where it holds none."""
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != _FORMAT:
            return None
        rows: list[_Row] = [tuple(row) for row in content["members"]]
        return Listing(
            members=tuple(map(_member, rows)),
            digests={number: row[7] for number, row in enumerate(rows) if row[7]},
            texts={int(number): text for number, text in content["texts"].items()},
        )
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
