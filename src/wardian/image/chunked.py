"""zstd:chunked: a zstd layer whose files can be fetched one by one (containers/storage, pkg/chunked).

Each file's content is a frame of its own, or several of 4 MiB. Behind the tar's frames come three skippable
ones (RFC 8878, 3.1.2), which other decoders pass over: a table of contents with each file's digest and
place; the tar's headers in the form of vbatts/tar-split, without which Podman could not give the tar back,
and so would fetch whole layers; and a footer. The layer's annotations say where they lie.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

from wardian.image import compression, tar
from wardian.image.blob import Blob, Chunk, Fill, Tell, Threads

if TYPE_CHECKING:
    from wardian.image.entry import Entry

_CHECKSUM = "io.github.containers.zstd-chunked.manifest-checksum"
_POSITION = "io.github.containers.zstd-chunked.manifest-position"
_TAR_SPLIT = "io.github.containers.zstd-chunked.tarsplit-position"
_TABLE_TYPE = 1  # "CRFS", the only one
_SKIPPABLE = b"\x50\x2a\x4d\x18"
_MAGIC = b"GNUlInUx"
_TYPES = {
    "file": "reg",
    "whiteout": "reg",
    "opaque": "reg",
    "directory": "dir",
    "symlink": "symlink",
    "hardlink": "hardlink",
    "fifo": "fifo",
}
_LATEST = 253402300799  # the end of the year 9999, the last that RFC 3339 can say


class ChunkedBlob(Blob):
    """A blob with a table of contents.

    Without one where the table, which is JSON, could not say what the tar says: then it is plain zstd.
    """

    def __init__(self, file: BinaryIO, *, threads: Threads, told: Tell) -> None:
        super().__init__(file, "zstd:chunked", threads=threads, told=told)
        self._split = TarSplit()
        self._members: list[_Member] = []
        self._names: set[str] = set()
        self._describable = True
        self._file_digest = hashlib.sha256()

    def member(self, entry: Entry, header: bytes) -> None:
        """Begin an entry's member."""
        name = tar.member_name(entry)
        same = name.rstrip("/")
        self._describable &= tar.is_text(name + entry.target) and same not in self._names
        self._describable &= 0 <= entry.mtime <= _LATEST
        self._names.add(same)
        self._members.append(_Member(entry, name))
        if self._describable:
            self._split.header(header)
            if not tar.member_size(entry):
                self._split.file(name, 0, b"")
        super().member(entry, header)

    def content(self, size: int, fill: Fill) -> None:
        """Add a member's content. Raises ChangedError if it has not exactly `size` bytes."""
        if not size:
            return
        # So that a file's chunks are the same in whatever layer it lies.
        if self._piece.used and self._piece.used + size > compression.PIECE:
            self._flush()
        self._file_digest, self._checksum = hashlib.sha256(), 0
        self._cut(self._members[-1].chunk(0))
        super().content(size, fill)

    def _took(self, content: memoryview) -> None:
        from fastcrc import crc64

        self._checksum = crc64.go_iso(content, self._checksum)
        self._file_digest.update(content)

    def _following(self) -> Chunk | None:
        """A file that fills a piece goes on in the next."""
        if self._chunk is None:
            return None
        return self._members[-1].chunk(self._chunk.start + self._chunk.size)

    def _end(self, padding: int) -> None:
        self._cut(None)
        member = self._members[-1]
        member.digest = self._file_digest.hexdigest()
        if self._describable:
            size = tar.member_size(member.entry)
            self._split.file(member.name, size, self._checksum.to_bytes(8, "big"))
            self._split.padding(padding)
        super()._end(padding)

    def _close(self) -> Mapping[str, str]:
        if not self._describable:
            return {}
        split, split_size = self._split.finish()
        table = json.dumps(
            {
                "version": 1,
                "entries": [item for member in self._members for item in member.table()],
                "tarSplitDigest": f"sha256:{hashlib.sha256(split).hexdigest()}",
            },
            separators=(",", ":"),
            ensure_ascii=False,
        ).encode()
        (packed,) = compression.zstd([table])
        at = self._skippable(packed)
        split_at = self._skippable(split)
        numbers = (at, len(packed), len(table), _TABLE_TYPE, split_at, len(split), split_size)
        self._skippable(struct.pack("<7Q", *numbers) + _MAGIC)
        return {
            _CHECKSUM: f"sha256:{hashlib.sha256(packed).hexdigest()}",
            _POSITION: f"{at}:{len(packed)}:{len(table)}:{_TABLE_TYPE}",
            _TAR_SPLIT: f"{split_at}:{len(split)}:{split_size}",
        }

    def _skippable(self, data: bytes) -> int:
        """Append a frame that decoders skip; returns where its content lies."""
        self._append(_SKIPPABLE + struct.pack("<I", len(data)))
        at = self._size
        self._append(data)
        return at


class _Member:
    """What the table says of one member (containers/storage, FileMetadata)."""

    __slots__ = ("chunks", "digest", "entry", "name")

    def __init__(self, entry: Entry, name: str) -> None:
        self.entry, self.name = entry, name
        self.chunks: list[Chunk] = []
        self.digest = ""

    def chunk(self, start: int) -> Chunk:
        """Begin a chunk of the content."""
        self.chunks.append(Chunk(start=start))
        return self.chunks[-1]

    def table(self) -> Iterator[Mapping[str, Any]]:
        """The member's entries: the first describes it, and each chunk but the first has one of its own."""
        entry = self.entry
        first: dict[str, Any] = {
            "type": _TYPES[entry.kind],
            "name": self.name,
            "linkName": entry.target if entry.kind in ("symlink", "hardlink") else "",
            "mode": entry.mode & 0o7777,
            "size": tar.member_size(entry),
            "uid": entry.uid,
            "gid": entry.gid,
            "modtime": _time(entry.mtime),
            "xattrs": {name: base64.b64encode(value).decode() for name, value in entry.xattrs.items()},
        }
        if self.chunks:
            first |= {"digest": f"sha256:{self.digest}", "endOffset": self.chunks[-1].end}
            first |= self._place(self.chunks[0])
        yield {name: value for name, value in first.items() if value}
        for chunk in self.chunks[1:]:
            yield {"type": "chunk", "name": self.name, **self._place(chunk)}

    def _place(self, chunk: Chunk) -> Mapping[str, Any]:
        if len(self.chunks) == 1:
            return {"offset": chunk.offset}
        return {
            "offset": chunk.offset,
            "chunkSize": chunk.size,
            **({"chunkOffset": chunk.start} if chunk.start else {}),
            "chunkDigest": f"sha256:{chunk.digest}",
        }


class TarSplit:
    """A tar without its contents, compressed: lines of JSON (vbatts/tar-split, tar/storage).

    A file's padding belongs to the header behind it, as containers/storage expects.
    """

    def __init__(self) -> None:
        import zstandard

        self._stream = zstandard.ZstdCompressor(level=3).compressobj()
        self._data: list[bytes] = []
        self._size = self._position = 0
        self._padding = b""

    def header(self, blocks: bytes) -> None:
        """A member's header."""
        self._line({"type": 2, "payload": base64.b64encode(self._padding + blocks).decode()})
        self._padding = b""

    def file(self, name: str, size: int, checksum: bytes) -> None:
        """A member's content: its CRC-64 (ISO 3309), with the highest byte first."""
        found = base64.b64encode(checksum).decode() if size else None
        self._line({"type": 1, "name": name, **({"size": size} if size else {}), "payload": found})

    def padding(self, count: int) -> None:
        """Zeros behind a content."""
        self._padding = bytes(count)

    def finish(self) -> tuple[bytes, int]:
        """The compressed lines, and how many bytes they were."""
        self._line({"type": 2, "payload": base64.b64encode(self._padding + tar.END).decode()})
        self._data.append(self._stream.flush())
        return b"".join(self._data), self._size

    def _line(self, fields: Mapping[str, object]) -> None:
        text = json.dumps({**fields, "position": self._position}, separators=(",", ":"), ensure_ascii=False)
        line = text.encode() + b"\n"
        self._data.append(self._stream.compress(line))
        self._size += len(line)
        self._position += 1


@lru_cache(maxsize=1024)
def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
