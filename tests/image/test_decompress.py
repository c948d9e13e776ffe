"""Decompression: every form, in any pieces, and none that is damaged or too large."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardian.errors import ImageError, VerificationError
from wardian.image import decompress
from wardian.image.descriptor import LAYER_GZIP, LAYER_TAR, Descriptor, Digest

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "zstd": lambda data: importlib.import_module("backports.zstd").compress(data),
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}
SKIPPABLE = b"\x5e\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"junk"


def unpack(data: bytes, compression: str, step: int = 1 << 20, **options: int) -> bytes:
    pieces = (data[start : start + step] for start in range(0, len(data), step))
    return b"".join(decompress.decompressed(pieces, compression, "the layer", **options))


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.binary(max_size=300) | st.just(1_500_000).map(bytes), min_size=1, max_size=4),
    name=st.sampled_from(sorted(COMPRESS)),
    step=st.sampled_from([1, 7, 1000, 65_536, 1 << 20]),
)
def test_any_number_of_members_in_any_pieces(parts: list[bytes], name: str, step: int) -> None:
    data = b"".join(map(COMPRESS[name], parts))
    if len(data) > 100_000:
        step = max(step, 1000)
    assert unpack(data, name, step) == b"".join(parts)
    compression, stream = decompress.recognised(
        data[start : start + step] for start in range(0, len(data), step)
    )
    assert b"".join(stream) == data
    if name != "none":
        assert compression == name


@pytest.mark.parametrize("name", sorted(set(COMPRESS) - {"none"}))
def test_damage_is_an_error(name: str) -> None:
    data = COMPRESS[name](b"0123456789" * 1000)
    with pytest.raises(ImageError, match="the layer is truncated"):
        unpack(data[:-1], name)
    with pytest.raises(ImageError, match="the layer cannot be decompressed"):
        unpack(data[:20] + bytes(20) + data[40:], name)
    with pytest.raises(ImageError, match=r"the layer (cannot be decompressed|is truncated)"):
        unpack(data + b"more", name)
    assert unpack(data + bytes(100), name) == b"0123456789" * 1000


@pytest.mark.parametrize("name", sorted(COMPRESS))
def test_bombs_end_at_their_bound(name: str) -> None:
    data = COMPRESS[name](bytes(20_000_000))
    assert len(unpack(data, name, most=20_000_000)) == 20_000_000
    with pytest.raises(ImageError, match="unpacks to more than 1000000 bytes"):
        unpack(data, name, most=1_000_000)


def test_frames_that_hold_nothing_are_passed_over() -> None:
    frames = SKIPPABLE + COMPRESS["zstd"](b"text") + SKIPPABLE
    assert decompress.sniff(frames) == "zstd"
    assert unpack(frames, "zstd") == b"text"


def test_both_inflaters_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(gzip.compress(bytes([number]) * 100_000) for number in range(50))
    fast = unpack(data, "gzip", 777)

    def missing(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(decompress.importlib, "import_module", missing)
    assert unpack(data, "gzip", 777) == fast
    with pytest.raises(ImageError, match="zstd is needed") as caught:
        unpack(SKIPPABLE, "zstd")
    assert caught.value.hint == "install the Python package backports.zstd"


def test_a_stored_layer_is_verified(tmp_path: Path) -> None:
    plain, packed = b"tar", gzip.compress(b"tar")
    path = tmp_path / "blob"
    path.write_bytes(packed)
    descriptor, diff_id = Descriptor.of(packed, LAYER_GZIP), Digest.of(plain)
    assert b"".join(decompress.layer(path, descriptor, diff_id, "the layer")) == plain
    with pytest.raises(VerificationError, match="the layer, unpacked, should have the digest"):
        list(decompress.layer(path, descriptor, Digest.of(b"other"), "the layer"))
    path.write_bytes(packed[:-1] + b"?")
    broken = Descriptor.of(path.read_bytes(), LAYER_GZIP)
    with pytest.raises(ImageError, match="cannot be decompressed"):
        list(decompress.layer(path, broken, diff_id, "the layer"))
    with pytest.raises(VerificationError, match="the layer should have the digest") as caught:
        list(decompress.layer(path, descriptor, diff_id, "the layer"))
    assert caught.value.hint == "pull, load or build the image again: the damaged file was removed"
    assert not path.exists()
    with pytest.raises(ImageError, match="the layer cannot be read"):
        list(decompress.layer(path, Descriptor.of(packed, LAYER_TAR), diff_id, "the layer"))


def test_a_damaged_blob_that_stays(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.mkdir()  # what cannot be unlinked, by root either
    with pytest.raises(VerificationError) as caught:
        decompress.drop_damaged(path, Digest.of(b""), "the layer", "00")
    assert caught.value.hint == f"remove {path}, which is damaged, and pull, load or build the image again"


def test_pieces_are_read_as_a_file() -> None:
    file = decompress.opened(iter([b"", b"abc", b"", b"defg"]))
    assert (file.read(2), file.read(3), file.read(), file.read(1)) == (b"ab", b"cde", b"fg", b"")


def test_a_stored_layer_is_what_its_bytes_are(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    for compress in COMPRESS.values():
        path.write_bytes(compress(b"tar" * 1000))
        descriptor = Descriptor.of(path.read_bytes(), LAYER_TAR)
        found = decompress.layer(path, descriptor, Digest.of(b"tar" * 1000), "the layer")
        assert b"".join(found) == b"tar" * 1000


def test_a_stored_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompress, "_SLACK", 0)
    data = gzip.compress(bytes(1 << 20))
    (tmp_path / "blob").write_bytes(data)
    stream = decompress.layer(tmp_path / "blob", Descriptor.of(data, LAYER_GZIP), Digest.of(b""), "it")
    with pytest.raises(ImageError, match=f"it unpacks to more than {100 * len(data)} bytes"):
        list(stream)


def test_how_much_a_layer_may_hold() -> None:
    # 40 GiB of zeros pass, however they are packed: 42 MB of gzip, 1.4 MB of zstd.
    assert decompress.bound(1_400_000) > 40 << 30
    # What gzip and zstd can make of a blob does not.
    assert decompress.bound(1 << 27) < 1000 << 27
    assert decompress.bound(1 << 22) < 30_000 << 22
    assert decompress.bound(1 << 60) == decompress.LARGEST


def test_a_name_is_no_compression() -> None:
    assert decompress.sniff(b"BZhang.txt") == "none"
    assert decompress.sniff(bz2.compress(b"")) == decompress.sniff(bz2.compress(b"x", 1)) == "bzip2"
