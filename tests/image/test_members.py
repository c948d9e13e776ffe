"""Headers of hostile archives: what they hold, and what reading them costs, is bounded."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.images import member, tar

from wardian.errors import ImageError
from wardian.image.members import Members, clean

Need = Callable[[object, str], None]


def header(kind: bytes, body: bytes) -> bytes:
    """An extended header with these bytes."""
    info = member("x", kind, size=len(body))
    return info.tobuf(tarfile.GNU_FORMAT) + body + bytes(-len(body) % 512)


def record(name: str, text: str) -> bytes:
    """One record of a pax header."""
    rest = f" {name}={text}\n".encode()
    length = len(rest) + len(str(len(rest)))
    return str(len(rest) + len(str(length))).encode() + rest


def read(data: bytes) -> list[str]:
    """The names of an archive's members."""
    return [found.name for found in Members((data,), "it")]


FILE = tar({"a": b"text"})
OLD_SPARSE = bytearray(member("s", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
OLD_SPARSE[482] = 1  # more areas follow
OLD_SPARSE[148:156] = b"%06o\0 " % (sum(OLD_SPARSE[:148]) + sum(OLD_SPARSE[156:]) + 8 * 32)
MORE = (b"%011o\0" % 512 * 2 * 21).ljust(504, b"\0") + b"\1".ljust(8, b"\0")
HOSTILE = {
    "a number without end": (header(tarfile.XHDTYPE, b"1" * 1_000_000) + FILE, "an endless number"),
    "long numbers": (header(tarfile.XHDTYPE, (b"1" * 1000 + b" ") * 1000) + FILE, "an endless number"),
    "records in records": (header(tarfile.XHDTYPE, b"2 " * 500_000 + b"x=\n") + FILE, "else than records"),
    "a record past the end": (header(tarfile.XHDTYPE, b"99 a=b\n") + FILE, "else than records"),
    "no records": (header(tarfile.XHDTYPE, b"text") + FILE, "else than records"),
    "global headers": (
        b"".join(header(tarfile.XGLTYPE, record(f"k{n}", "x" * 1000)) + FILE[:1024] for n in range(20)),
        "global headers of more than 16384 bytes",
    ),
    "one large header": (header(tarfile.GNUTYPE_LONGNAME, b"x" * 2_000_000) + FILE, "headers of more than"),
    "large headers in a row": (
        header(tarfile.GNUTYPE_LONGNAME, b"x" * 400_000) * 3 + FILE,
        "headers of more than 1048576 bytes",
    ),
    "headers in a row": (header(tarfile.GNUTYPE_LONGNAME, b"x") * 900 + FILE, "recursion"),
    "a long name": (header(tarfile.GNUTYPE_LONGNAME, b"x" * 5000) + FILE, "name of more than 4096"),
    "a long target": (header(tarfile.XHDTYPE, record("linkpath", "x" * 5000)) + FILE, "name of more than"),
    "old holes without end": (bytes(OLD_SPARSE) + MORE * 3000, "headers of more than 1048576 bytes"),
    "holes without end": (
        tar(
            [
                (
                    member("s", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
                    b"9999999\n" + b"0\n" * 800_000,
                )
            ]
        ),
        "headers of more than 1048576 bytes",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers(name: str) -> None:
    data, error = HOSTILE[name]
    began = time.process_time()
    with pytest.raises(ImageError, match=error):
        read(data)
    assert time.process_time() - began < 5


def test_headers_that_are_in_use() -> None:
    comment = header(tarfile.XGLTYPE, record("comment", "0" * 40))  # as git archive writes it
    names = ["a" * 100 + "/" + "b" * 250, "1" * 255, "grüße"]
    attributes = {
        "SCHILY.xattr.user.x": "x" * 65_536,
        "SCHILY.xattr.user.number": "7" * 3000,
        "mtime": "1700000000.123456789",
    }
    data = tar([(member(name, pax_headers=attributes), b"x") for name in names])
    assert read(comment + data) == names
    padded = header(tarfile.XHDTYPE, record("path", "b") + bytes(100))
    assert read(padded + FILE) == ["b"]


def test_holes_of_every_format(tmp_path: Path, need: Need) -> None:
    need(shutil.which("tar"), "tar is not installed")
    with open(tmp_path / "file", "wb") as file:
        for number in range(50):
            file.seek(number << 20)
            file.write(b"%4d" % number * 1024)
        file.truncate(60 << 20)
    expected = (tmp_path / "file").read_bytes()
    for form in (["gnu"], *(["posix", f"--sparse-version={version}"] for version in ("0.0", "0.1", "1.0"))):
        words = ["tar", "--sparse", f"--format={form[0]}", *form[1:], "-cf", "-", "file"]
        data = subprocess.run(words, cwd=tmp_path, stdout=subprocess.PIPE, check=True).stdout
        assert len(data) < 1 << 20
        members = Members((data,), "it")
        for found in members:
            assert (found.name, found.size) == ("file", 60 << 20)
            assert b"".join(members.content(found)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a/../b", "b"), ("./a//b/.", "a/b"), ("/", ""), ("a/..", ""), ("a\udcff", "a\udcff")],
)
def test_names(name: str, expected: str) -> None:
    assert clean(name, "it") == expected


@pytest.mark.parametrize("name", ["..", "a/../../b", "/..", "a\0b", "\ud800"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ImageError, match="it has a member whose name"):
        clean(name, "it")
