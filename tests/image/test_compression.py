"""Blobs: the same bytes for the same tar, which every decoder reads as one stream."""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.metadata
import io
import itertools
import json
import random
import re
import struct
import tarfile
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from fastcrc import crc64

from wardian.image import blob, chunked, compression, tar
from wardian.image.compression import COMPRESSIONS, PIECE, Compression
from wardian.image.entry import Entry

ROOT = Path(__file__).parents[2]
# Words, so that it compresses; the same ones each time.
WORDS = " ".join(random.Random(7).choices([f"word{number}" for number in range(900)], k=1_600_000)).encode()
ENTRIES = (
    Entry(path="usr", kind="directory", mode=0o755),
    Entry(path="usr/small", kind="file", data=b"hello\n", uid=1000, gid=1000),
    Entry(path="usr/big", kind="file", data=WORDS, mode=0o755, mtime=0),
    Entry(path="usr/empty", kind="file", data=b""),
    Entry(path="usr/Größe", kind="file", data=WORDS[:5000], xattrs={"user.a": b"\0\xff"}),
    Entry(path="usr/link", kind="symlink", mode=0o777, target="Größe"),
    Entry(path="usr/hard", kind="hardlink", target="usr/small", uid=1000, gid=1000),
    Entry(path="usr/pipe", kind="fifo"),
    Entry(path="usr/gone", kind="whiteout"),
    Entry(path="usr/over", kind="opaque"),
)


def pack(
    how: Compression, entries: tuple[Entry, ...] = ENTRIES, *, threads: int = 2
) -> tuple[bytes, blob.Result, list[int]]:
    """The blob, what is told of it, and what was told meanwhile."""
    out, told = io.BytesIO(), list[int]()
    pool = blob.Threads(threads)
    target = (
        chunked.ChunkedBlob(out, threads=pool, told=told.append)
        if how == "zstd:chunked"
        else blob.Blob(out, how, threads=pool, told=told.append)
    )
    for entry in entries:
        target.member(entry, tar.header(entry))
        if entry.data:
            target.content(len(entry.data), blob.reader(entry.data))
    return out.getvalue() if (result := target.finish()) else b"", result, told


def unpack(how: Compression, data: bytes) -> bytes:
    if how == "gzip":
        return gzip.decompress(data)
    if how == "none":
        return data
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as stream:
        return stream.read()


@pytest.mark.parametrize("how", COMPRESSIONS)
def test_one_stream(how: Compression) -> None:
    data, result, told = pack(how)
    plain = unpack(how, data)
    assert (result.size, result.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (result.tar_size, result.tar_sha256) == (len(plain), hashlib.sha256(plain).hexdigest())
    assert sum(told) == len(plain)
    assert plain == unpack("none", pack("none")[0])
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as file:
        assert file.extractfile("usr/big").read() == WORDS  # type: ignore[union-attr]


@pytest.mark.parametrize("how", COMPRESSIONS)
def test_the_number_of_threads_does_not_show(how: Compression) -> None:
    assert pack(how, threads=1)[0] == pack(how, threads=5)[0]


@pytest.mark.parametrize(
    ("how", "digest"),
    [
        ("gzip", "ff59e117ef49b948b0a0dfa56478ef0cb27e58536b886c007a0f69ace2f8212d"),
        ("zstd", "b41f55c2cccef316f31f4c96db572203224b88c009cbb579d5ad11250b3b3458"),
        ("zstd:chunked", "86ef61c945ce1c9581e19e030b3c0f8895dedf1ef8049205c3a80bd1a7d6b9f5"),
        ("none", "41c1a90e2fc76afcee9c60987d01905915af36905c9007464cd70cf23ec30e6e"),
    ],
)
def test_the_bytes_never_change(how: Compression, digest: str) -> None:
    """A library that compresses in another way changes the digest of every image that there is.

    Where that is wanted, its version goes into `FORMATS` and `pyproject.toml`, and the change into the
    changelog.
    """
    assert pack(how)[1].sha256 == digest


def test_the_libraries_are_those_that_the_formats_name() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for name, version in re.findall(
        r"(deflate|zstandard) ([0-9.]+),", " ".join(compression.FORMATS.values())
    ):
        assert importlib.metadata.version(name) == version
        assert f"{name}=={version}" in asked


def test_gzip_is_members_of_4_mib_without_a_time() -> None:
    data, result, _ = pack("gzip")
    heads = [match.start() for match in re.finditer(rb"\x1f\x8b\x08\x00\0\0\0\0\x00\xff", data)]
    assert len(heads) == -(-result.tar_size // PIECE) == 4
    sizes = [struct.unpack("<I", data[end - 4 : end])[0] for end in [*heads[1:], len(data)]]
    assert sizes == [PIECE, PIECE, PIECE, result.tar_size - 3 * PIECE]


@pytest.mark.parametrize("how", COMPRESSIONS)
def test_a_layer_of_nothing(how: Compression) -> None:
    data, result, _ = pack(how, ())
    assert unpack(how, data) == tar.END
    assert result.tar_size == 1024


@pytest.mark.parametrize("size", [PIECE - 512, PIECE - 1024, PIECE, 2 * PIECE - 512, PIECE - 512 - 1024])
@pytest.mark.parametrize("how", COMPRESSIONS)
def test_pieces_that_are_just_full(how: Compression, size: int) -> None:
    """The member's header takes 512 bytes, the end 1024."""
    plain = unpack(how, pack(how, (Entry(path="a", kind="file", data=bytes(size)),))[0])
    assert len(plain) == 512 + size + 1024
    assert tarfile.open(fileobj=io.BytesIO(plain)).getmembers()[0].size == size  # noqa: SIM115


@pytest.mark.parametrize("how", COMPRESSIONS)
@pytest.mark.parametrize("count", [9, 11])
def test_content_that_is_shorter_or_longer_than_its_header_says(how: Compression, count: int) -> None:
    pool, out = blob.Threads(1), io.BytesIO()
    target = (
        chunked.ChunkedBlob(out, threads=pool, told=lambda _: None)
        if how == "zstd:chunked"
        else blob.Blob(out, how, threads=pool, told=lambda _: None)
    )
    entry = Entry(path="a", kind="file", size=10)
    target.member(entry, tar.header(entry))
    with pytest.raises(blob.ChangedError):
        target.content(10, blob.reader(bytes(count)))


def test_content_over_8_gib() -> None:
    """Its size is in the extended header, and the pieces are as for any other."""
    size = (8 << 30) + 1
    entry = Entry(path="big", kind="file", size=size)
    pieces: list[int] = []

    class Counting(blob.Blob):
        def _flush(self) -> None:  # nothing is hashed or written, so that it takes no time
            pieces.append(self._piece.used)
            self._piece.used = 0

    target = Counting(io.BytesIO(), "none", threads=blob.Threads(1), told=lambda _: None)
    target.member(entry, tar.header(entry))
    left = size

    def fill(view: memoryview) -> int:
        nonlocal left
        count = min(len(view), left)
        left -= count
        return count

    target.content(size, fill)
    assert (left, sum(pieces)) == (0, len(pieces) * PIECE)
    assert len(pieces) == (size + 3 * 512) // PIECE


# zstd:chunked


def table(data: bytes, annotations: Mapping[str, str]) -> dict[str, Any]:
    """The table of contents, as containers/storage reads it."""
    prefix = "io.github.containers.zstd-chunked."
    offset, length, size, kind = map(int, annotations[f"{prefix}manifest-position"].split(":"))
    packed = data[offset : offset + length]
    assert kind == 1
    assert annotations[f"{prefix}manifest-checksum"] == f"sha256:{hashlib.sha256(packed).hexdigest()}"
    plain = frame(packed)
    assert len(plain) == size
    found: dict[str, Any] = json.loads(plain)
    return found


def frame(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


def split(data: bytes, annotations: Mapping[str, str], digest: str) -> list[dict[str, Any]]:
    position = annotations["io.github.containers.zstd-chunked.tarsplit-position"]
    offset, length, size = map(int, position.split(":"))
    packed = data[offset : offset + length]
    assert digest == f"sha256:{hashlib.sha256(packed).hexdigest()}"
    plain = frame(packed)
    assert len(plain) == size
    return [json.loads(line) for line in plain.splitlines()]


def contents(data: bytes, entries: list[dict[str, Any]]) -> dict[str, bytes]:
    """Every file, read from its own frames alone, as a partial pull does."""
    found: dict[str, bytes] = {}
    for number, entry in enumerate(entries):
        if entry["type"] not in ("reg", "chunk") or "offset" not in entry:
            continue
        following = entries[number + 1 :]
        more = following and following[0]["type"] == "chunk"
        first = next(item for item in entries if item["name"] == entry["name"] and item["type"] == "reg")
        end = following[0]["offset"] if more else first["endOffset"]
        chunk = frame(data[entry["offset"] : end])
        if "chunkSize" in entry:
            assert entry.get("chunkOffset", 0) == len(found.get(entry["name"], b""))
            assert entry["chunkSize"] == len(chunk)
            assert entry["chunkDigest"] == f"sha256:{hashlib.sha256(chunk).hexdigest()}"
        found[entry["name"]] = found.get(entry["name"], b"") + chunk
    return found


def test_a_table_of_contents() -> None:
    data, result, _ = pack("zstd:chunked")
    found = table(data, result.annotations)
    assert found["version"] == 1
    entries = found["entries"]
    assert [entry["name"] for entry in entries if entry["type"] != "chunk"] == [
        tar.member_name(entry) for entry in ENTRIES
    ]
    files = contents(data, entries)
    assert files == {entry.path: entry.data for entry in ENTRIES if entry.data}
    for entry in entries:
        if entry["type"] == "reg" and entry.get("size"):
            assert entry["digest"] == f"sha256:{hashlib.sha256(files[entry['name']]).hexdigest()}"
    by_name = {entry["name"]: entry for entry in reversed(entries)}
    assert by_name["usr/"] == {
        "type": "dir",
        "name": "usr/",
        "mode": 0o755,
        "modtime": "2025-01-01T00:00:00Z",
    }
    assert by_name["usr/hard"] == {
        "type": "hardlink",
        "name": "usr/hard",
        "linkName": "usr/small",
        "mode": 0o644,
        "uid": 1000,
        "gid": 1000,
        "modtime": "2025-01-01T00:00:00Z",
    }
    assert by_name["usr/big"]["modtime"] == "1970-01-01T00:00:00Z"
    assert by_name["usr/Größe"]["xattrs"] == {"user.a": base64.b64encode(b"\0\xff").decode()}
    assert by_name["usr/.wh.gone"]["type"] == by_name["usr/over/.wh..wh..opq"]["type"] == "reg"
    assert len([entry for entry in entries if entry["name"] == "usr/big"]) == -(-len(WORDS) // PIECE)


def test_the_tar_comes_back_from_its_headers_and_files() -> None:
    """As Podman makes it when it pushes or saves what it pulled in parts (vbatts/tar-split)."""
    data, result, _ = pack("zstd:chunked")
    found = table(data, result.annotations)
    files = contents(data, found["entries"])
    lines = split(data, result.annotations, found["tarSplitDigest"])
    parts, names = [], []
    for number, line in enumerate(lines):
        assert line["position"] == number
        payload = base64.b64decode(line["payload"] or "")
        if line["type"] == 2:
            parts.append(payload)
            continue
        names.append(line["name"])
        if line.get("size"):
            content = files[line["name"]]
            assert len(content) == line["size"]
            assert payload == crc64.go_iso(content).to_bytes(8, "big")
            parts.append(content)
    assert names == [tar.member_name(entry) for entry in ENTRIES]
    assert b"".join(parts) == unpack("zstd:chunked", data)
    # containers/storage reads each header from the segment before its file, behind the padding.
    padding = 0
    for line, following in itertools.pairwise(lines):
        if line["type"] == 2:
            header = base64.b64decode(line["payload"])[padding:]
            with tarfile.open(fileobj=io.BytesIO(header), mode="r|") as archive:
                assert archive.next().name == following["name"].rstrip("/")  # type: ignore[union-attr]
            padding = tar.padding(following.get("size", 0))


def test_the_footer() -> None:
    data, result, _ = pack("zstd:chunked")
    assert data[-72:-64] == b"\x50\x2a\x4d\x18" + struct.pack("<I", 64)
    assert data[-8:] == b"GNUlInUx"
    prefix = "io.github.containers.zstd-chunked."
    table_at, table_length, table_size, kind = result.annotations[f"{prefix}manifest-position"].split(":")
    numbers = [table_at, table_length, table_size, kind]
    numbers += result.annotations[f"{prefix}tarsplit-position"].split(":")
    assert list(struct.unpack("<7Q", data[-64:-8])) == list(map(int, numbers))


def test_a_file_has_the_same_frames_in_every_layer() -> None:
    """Else nothing of it could be found in another layer that is there already."""
    big = ENTRIES[2]
    frames = []
    for before in (b"", WORDS[: PIECE - 5000]):
        data, result, _ = pack("zstd:chunked", (Entry(path="a", kind="file", data=before), big))
        entries = [item for item in table(data, result.annotations)["entries"] if item["name"] == big.path]
        frames.append(data[entries[0]["offset"] : entries[0]["endOffset"]])
    assert frames[0] == frames[1]


@pytest.mark.parametrize(
    "entry",
    [
        Entry(path="latin\udce4", kind="file", data=b"x"),
        Entry(path="link", kind="symlink", target="\udce4"),
        Entry(path="usr/small", kind="file", data=b"again"),
        Entry(path="usr/small", kind="directory"),
        Entry(path="old", kind="file", data=b"x", mtime=-1),
        Entry(path="future", kind="file", data=b"x", mtime=10**12),
    ],
)
def test_what_a_table_cannot_say_is_plain_zstd(entry: Entry) -> None:
    data, result, _ = pack("zstd:chunked", (*ENTRIES, entry))
    assert not result.annotations
    assert unpack("zstd:chunked", data) == unpack("none", pack("none", (*ENTRIES, entry))[0])


def test_entries_that_are_the_same_but_for_their_names_are_told_apart() -> None:
    first = replace(ENTRIES[1], path="a")
    data, result, _ = pack("zstd:chunked", (first, replace(first, path="b")))
    assert contents(data, table(data, result.annotations)["entries"]) == {"a": b"hello\n", "b": b"hello\n"}
