"""Reading packages, hostile ones too."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zlib
from pathlib import Path

import pytest
import zstandard

from wardian.ecosystems.debian.deb import open_data, read_control
from wardian.ecosystems.debian.decompress import decompress
from wardian.errors import VerificationError


def ar(members: dict[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, data in members.items():
        out += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
            + data
            + b"\n" * (len(data) % 2)
        )
    return out


def tar(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def write(tmp_path: Path):
    def make(data: bytes) -> Path:
        path = tmp_path / "some.deb"
        path.write_bytes(data)
        return path

    return make


def contents(path: Path) -> dict[str, bytes]:
    with path.open("rb") as file, open_data(file, name=path.name) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def control(path: Path) -> dict[str, bytes]:
    with path.open("rb") as file:
        return {name: found.data for name, found in read_control(file, name=path.name).items()}


@pytest.mark.parametrize(("kind", "pack"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)])
def test_each_compression(write, kind, pack):
    members = {
        "debian-binary": b"2.0\n",
        f"control.tar{kind}": pack(tar(control=b"Package: a\n", postinst=b"#!")),
        f"data.tar{kind}": pack(tar(file=b"x" * 3_000_001)),
    }
    path = write(ar(members))
    assert control(path) == {"control": b"Package: a\n", "postinst": b"#!"}
    assert contents(path) == {"./file": b"x" * 3_000_001}


def test_zstd_is_read(write):
    members = {"data.tar.zst": zstandard.compress(tar(file=b"x" * 3_000_001))}
    assert contents(write(ar(members))) == {"./file": b"x" * 3_000_001}


def test_streams_laid_end_to_end():
    data = [lzma.compress(b"a" * 2_000_000), lzma.compress(b"b"), b"\0" * 8]
    for pieces in (data, [b"".join(data)], [bytes([byte]) for byte in b"".join(data)]):
        assert b"".join(decompress(iter(pieces), ".xz", name="x")) == b"a" * 2_000_000 + b"b"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "some.deb is no Debian package: it is no ar archive"),
        (b"PK\3\4" * 20, "some.deb is no Debian package: it is no ar archive"),
        (ar({"debian-binary": b"2.0\n"}), "some.deb is no Debian package: it has no data.tar"),
        (ar({"data.tar.xz": lzma.compress(tar(a=b"x" * 999))[:-40]}), "some.deb is truncated"),
        (ar({"data.tar": tar(a=b"x" * 999)})[:-900], "some.deb is truncated"),
        (ar({"data.tar.xz": b"not xz at all"}), "some.deb cannot be decompressed"),
        (ar({"data.tar.lz": b"?"}), "unknown compression '.lz'"),
        (ar({"data.tar": b"\1" * 2048}), "some.deb is no Debian package"),
        (b"!<arch>\n" + b"x" * 80, "some.deb is no Debian package: damaged at byte 8"),
        (b"!<arch>\n" + f"{'data.tar':<16}{0:<32}{-5:<10}`\n".encode(), "damaged at byte 8"),
    ],
)
def test_damaged_packages(write, data, said):
    with pytest.raises(VerificationError) as caught:
        contents(write(data))
    assert caught.value.message.startswith(said) or said in caught.value.message


def test_a_bomb_is_stopped(write):
    header = tarfile.TarInfo("a")
    header.size = 100_000_000
    bomb = lzma.compress(header.tobuf() + b"\0" * 100_000_000)
    path = write(ar({"data.tar.xz": bomb}))
    with (
        pytest.raises(VerificationError, match="unpacks to far more than its size allows"),
        path.open("rb") as file,
        open_data(file, name=path.name) as data,
    ):
        for _ in data:
            pass


def test_a_control_archive_is_small(write):
    path = write(ar({"control.tar.xz": lzma.compress(tar(control=b"x" * 20_000_000))}))
    with pytest.raises(VerificationError, match="unpacks to far more than its size allows"):
        control(path)


def test_xz_may_not_ask_for_gigabytes(write):
    small = lzma.compress(tar(a=b"1"))
    # The dictionary's size is one byte in the block header, whose checksum is made anew.
    header = bytearray(small[12:24])
    header[4] = 38  # 2 GiB
    header[-4:] = zlib.crc32(bytes(header[:-4])).to_bytes(4, "little")
    with pytest.raises(VerificationError, match="cannot be decompressed"):
        contents(write(ar({"data.tar.xz": small[:12] + bytes(header) + small[24:]})))
