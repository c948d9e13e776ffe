"""Entries as tar members (POSIX.1-2017, pax; image-spec, layer.md): the same bytes for the same entries.

Headers are written here rather than by tarfile, which takes 17 µs for each of an image's 45 000 files where
this takes 3. What a ustar header cannot hold goes into a pax extended header before it, as Docker's and
Podman's Go, libarchive, GNU tar and Python all read it. Owners are numbers alone: names would be looked
up in whatever system unpacks. It reads no files; pack.py does.
"""

from __future__ import annotations

import re

from wardian.errors import ImageError
from wardian.image.entry import Entry

BLOCK = 512
END = bytes(2 * BLOCK)  # two empty blocks; filling up to a tape's record of 20 is GNU tar's habit

# Names in a layer that mean removals (layer.md, "Whiteouts"); no other file may have one.
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"

_TYPES = {
    "file": b"0",
    "hardlink": b"1",
    "symlink": b"2",
    "directory": b"5",
    "fifo": b"6",
    "whiteout": b"0",
    "opaque": b"0",
}
_LONGEST_NAME, _LONGEST_PREFIX = 100, 155
# The largest numbers of fields with 7 and 11 octal digits: 2 097 151 for owners, 8 GiB less one for sizes.
_SHORT, _LONG = 0o7777777, 0o77777777777

# Magic, version, empty names of owners, device 0:0.
_TAIL = b"ustar\x0000" + bytes(64) + b"0000000\x00" * 2
# The checksum takes its own field for eight blanks.
_CONSTANT = sum(_TAIL) + 8 * ord(" ")
_PAX_NAME = b"././@PaxHeader"


def header(entry: Entry) -> bytes:
    """All blocks before the content of an entry's member. Raises ImageError for what no layer can hold."""
    name, size = member_name(entry), member_size(entry)
    link = entry.target if entry.kind in ("symlink", "hardlink") else ""
    if (
        len(name) <= _LONGEST_NAME
        and len(link) <= _LONGEST_NAME
        and name.isascii()
        and link.isascii()
        and not entry.xattrs
        and 0 <= entry.uid <= _SHORT
        and 0 <= entry.gid <= _SHORT
        and 0 <= entry.mtime <= _LONG
        and size <= _LONG
        and "\0" not in name
        and "\0" not in link
    ):
        return _block(
            name.encode(),
            _TYPES[entry.kind],
            (entry.mode & 0o7777, entry.uid, entry.gid, size, entry.mtime),
            link.encode(),
        )
    return _extended(entry, name, link, size)


def member_name(entry: Entry) -> str:
    """The name of an entry's member. Raises ImageError for a name that would mean a removal."""
    path, kind = entry.path, entry.kind
    if WHITEOUT in path and re.search(r"(?:^|/)\.wh\.", path):
        raise ImageError(
            f"{path!r} cannot be in an image: a name that begins with {WHITEOUT} says that a file is removed",
            hint="rename the file, or exclude it",
        )
    if kind == "directory":
        return f"{path}/" if path else "./"
    if kind == "whiteout":
        folder, slash, name = path.rpartition("/")
        return f"{folder}{slash}{WHITEOUT}{name}"
    if kind == "opaque":
        return f"{path}/{OPAQUE}" if path else OPAQUE
    return path


def member_size(entry: Entry) -> int:
    """How many bytes of content follow the header."""
    if entry.kind != "file":
        return 0
    return entry.size if entry.data is None else len(entry.data)


def padding(size: int) -> int:
    """How many zeros follow a content of `size` bytes."""
    return -size % BLOCK


def estimate(entry: Entry) -> int:
    """The bytes of an entry's member, for a progress bar: extended headers are not counted."""
    size = member_size(entry)
    return BLOCK + size + padding(size)


def encode(text: str) -> bytes:
    """A name's bytes. Bytes that are no UTF-8 are kept in strings as os.fsdecode keeps them.

    Raises ImageError for a string that stands for no bytes.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ImageError(f"{text!r} cannot be in an image: it is no name of a file") from error


def is_text(text: str) -> bool:
    """Whether a name is UTF-8."""
    return text.isascii() or not re.search("[\ud800-\udfff]", text)


def _block(
    name: bytes, kind: bytes, numbers: tuple[int, int, int, int, int], link: bytes, prefix: bytes = b""
) -> bytes:
    """One ustar header; `numbers` are mode, owner, group, size and time."""
    fields = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % numbers
    checksum = _CONSTANT + sum(name) + sum(fields) + kind[0] + sum(link) + sum(prefix)
    return b"".join(
        (
            name.ljust(100, b"\0"),
            fields,
            b"%06o\0 " % checksum,
            kind,
            link.ljust(100, b"\0"),
            _TAIL,
            prefix.ljust(167, b"\0"),
        )
    )


def _extended(entry: Entry, name: str, link: str, size: int) -> bytes:
    """A header whose fields do not all fit, after the pax header that holds those which do not."""
    if entry.uid < 0 or entry.gid < 0:
        raise ImageError(f"{entry.path!r} cannot be in an image: its owner is {entry.uid}:{entry.gid}")
    if "\0" in name + link:
        raise ImageError(f"{entry.path!r} cannot be in an image: its name or target has a null character")
    records = _Records()
    if not (is_text(name) and is_text(link)):
        # Names are else taken for UTF-8. Go and GNU tar read them as they are in either case.
        records.add("hdrcharset", b"BINARY")
    prefix, short = _split(records, name)
    numbers = (
        entry.mode & 0o7777,
        records.number("uid", entry.uid, _SHORT),
        records.number("gid", entry.gid, _SHORT),
        records.number("size", size, _LONG),
        records.number("mtime", entry.mtime, _LONG),
    )
    target = records.name("linkpath", link)
    for attribute, value in sorted(entry.xattrs.items()):
        if "=" in attribute or not attribute:
            raise ImageError(f"{entry.path!r} has an attribute that tar cannot hold: {attribute!r}")
        records.add(f"SCHILY.xattr.{attribute}", value)
    return records.member() + _block(short, _TYPES[entry.kind], numbers, target, prefix)


def _split(records: _Records, name: str) -> tuple[bytes, bytes]:
    """A path as a ustar header has it, folder and name; a longer one is written to `records` also."""
    raw = encode(name)
    if name.isascii() and len(raw) > _LONGEST_NAME:
        # Not at the slash that ends a folder's name, which would leave nothing for the name.
        cut = raw.find(b"/", max(1, len(raw) - _LONGEST_NAME - 1), len(raw) - 1)
        if 0 < cut <= _LONGEST_PREFIX:
            return raw[:cut], raw[cut + 1 :]
    return b"", records.name("path", name)


class _Records:
    """The records of one pax extended header (POSIX.1-2017, pax, "pax Extended Header")."""

    def __init__(self) -> None:
        self.data = b""

    def add(self, keyword: str, value: bytes) -> None:
        """Add a record. It begins with its own length, of which the digits are a part."""
        rest = b" " + encode(keyword) + b"=" + value + b"\n"
        length = len(rest) + 1
        while len(rest) + len(str(length)) != length:
            length = len(rest) + len(str(length))
        self.data += str(length).encode() + rest

    def number(self, keyword: str, value: int, largest: int) -> int:
        """What the ustar header says of a number: 0 if it does not fit and is in a record instead."""
        if 0 <= value <= largest:
            return value
        self.add(keyword, str(value).encode())
        return 0

    def name(self, keyword: str, text: str) -> bytes:
        """What the ustar header says of a name: if it is in a record, something for readers of old."""
        raw = encode(text)
        if text.isascii() and len(raw) <= _LONGEST_NAME:
            return raw
        self.add(keyword, raw)
        return text.encode("ascii", "replace")[:_LONGEST_NAME].rstrip(b"/")

    def member(self) -> bytes:
        """The extended header as a member of its own, or nothing where it has no record."""
        if not self.data:
            return b""
        head = _block(_PAX_NAME, b"x", (0o644, 0, 0, len(self.data), 0), b"")
        return head + self.data + bytes(padding(len(self.data)))
