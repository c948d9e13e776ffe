"""Tar members: what others' programs read of them is what the entries said."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.errors import ImageError
from wardian.image import tar
from wardian.image.entry import EPOCH, Entry

Need = Callable[[object, str], None]
TYPES = {
    "file": tarfile.REGTYPE,
    "hardlink": tarfile.LNKTYPE,
    "symlink": tarfile.SYMTYPE,
    "directory": tarfile.DIRTYPE,
    "fifo": tarfile.FIFOTYPE,
    "whiteout": tarfile.REGTYPE,
    "opaque": tarfile.REGTYPE,
}


def archive(entries: Iterable[Entry]) -> bytes:
    parts = []
    for entry in entries:
        content = entry.data or b""
        parts += [tar.header(entry), content, bytes(tar.padding(len(content)))]
    return b"".join([*parts, tar.END])


def read(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8") as file:
        return file.getmembers()


def file(path: str, **fields: object) -> Entry:
    return replace(Entry(path=path, kind="file", data=b"content"), **fields)  # type: ignore[arg-type]


# Names as a file system has them: any bytes but two, as os.fsdecode gives them; and longer than 255 bytes.
characters = st.one_of(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.binary(min_size=1, max_size=40)
    .filter(lambda name: not {0, 47} & set(name))
    .map(lambda name: name.decode("utf-8", "surrogateescape")),
    st.text("abc", min_size=1, max_size=200),
)
names = characters.filter(lambda name: name not in (".", "..") and not name.startswith(".wh."))
paths = st.lists(names, min_size=1, max_size=6).map("/".join)
numbers = st.one_of(st.integers(0, 3000), st.sampled_from([2097151, 2097152, 2**32 - 2]))
attributes = st.dictionaries(
    st.text("abc.ü ", min_size=1, max_size=20).map(lambda name: f"user.{name}"),
    st.binary(max_size=600),
    max_size=3,
)
entries = st.builds(
    Entry,
    path=paths,
    kind=st.sampled_from(list(TYPES)),
    mode=st.integers(0, 0o7777),
    uid=numbers,
    gid=numbers,
    mtime=st.one_of(st.just(EPOCH), st.integers(-(10**10), 10**12)),
    target=paths,
    data=st.binary(max_size=1500),
    xattrs=attributes,
)


@given(st.lists(entries, max_size=4))
def test_tarfile_reads_what_entries_say(found: list[Entry]) -> None:
    members = read(
        archive(replace(entry, data=entry.data if entry.kind == "file" else None) for entry in found)
    )
    assert len(members) == len(found)
    for entry, member in zip(found, members, strict=True):
        folder, slash, name = entry.path.rpartition("/")
        expected = {"whiteout": f"{folder}{slash}.wh.{name}", "opaque": f"{entry.path}/.wh..wh..opq"}
        assert member.name == expected.get(entry.kind, entry.path)
        assert member.type == TYPES[entry.kind]
        assert (member.mode, member.uid, member.gid) == (entry.mode, entry.uid, entry.gid)
        assert member.mtime == entry.mtime
        assert member.size == (len(entry.data or b"") if entry.kind == "file" else 0)
        assert member.linkname == (entry.target if entry.kind in ("symlink", "hardlink") else "")
        assert (member.uname, member.gname) == ("", "")
        xattrs = {key: value for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")}
        assert {
            key.removeprefix("SCHILY.xattr."): value.encode("utf-8", "surrogateescape")
            for key, value in xattrs.items()
        } == entry.xattrs


@given(entries)
def test_headers_are_whole_blocks_and_what_is_not_ascii_is_in_records_alone(entry: Entry) -> None:
    header = tar.header(entry)
    assert len(header) % 512 == 0
    assert header[-512:].isascii()
    assert header[-512 + 257 : -512 + 265] == b"ustar\x0000"


def test_plain_names_need_one_block() -> None:
    assert len(tar.header(file("usr/bin/python3"))) == 512
    assert len(tar.header(file("a" * 100))) == 512
    # POSIX's prefix of 155 bytes, which ends before a slash.
    long = "/".join(["d" * 77, "e" * 77, "f" * 100])
    assert len(tar.header(file(long))) == 512
    assert len(tar.header(file("x" + long))) == 3 * 512
    assert len(tar.header(file("a" * 101))) == 3 * 512
    folder = Entry(path="d" * 60 + "/" + "e" * 99, kind="directory")
    assert len(tar.header(folder)) == 512
    assert [member.name for member in read(archive([file(long), file("x" + long), folder]))] == [
        long,
        "x" + long,
        folder.path,
    ]


def test_the_root_folder() -> None:
    assert tar.member_name(Entry(path="", kind="directory")) == "./"
    assert tar.member_name(Entry(path="", kind="opaque")) == ".wh..wh..opq"


@pytest.mark.parametrize("size", [2**33 - 1, 2**33, 2**33 + 12345, 2**40])
def test_sizes_over_8_gib(size: int) -> None:
    entry = Entry(path="big", kind="file", size=size)
    header = tar.header(entry)
    assert len(header) == (512 if size < 2**33 else 3 * 512)
    assert tarfile.open(fileobj=io.BytesIO(header), mode="r|").next().size == size  # type: ignore[union-attr]  # noqa: SIM115
    assert tar.estimate(entry) == 512 + size + tar.padding(size)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (file("usr/.wh.x"), r"'usr/.wh.x' cannot be in an image: a name that begins with .wh. says that"),
        (file(".wh.dir/x"), "says that a file is removed"),
        (Entry(path="a/.wh.b", kind="whiteout"), "says that a file is removed"),
        (file("a\0b"), "has a null character"),
        (Entry(path="a", kind="symlink", target="x\0"), "has a null character"),
        (file("a", uid=-1), "its owner is -1:0"),
        (file("\ud800"), r"'\\ud800' cannot be in an image: it is no name of a file"),
        (file("a", xattrs={"user.a=b": b""}), "has an attribute that tar cannot hold: 'user.a=b'"),
    ],
)
def test_what_no_layer_can_hold(entry: Entry, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        tar.header(entry)


def test_names_that_only_look_like_removals() -> None:
    assert tar.member_name(file("a.wh.b/c.wh.d")) == "a.wh.b/c.wh.d"


def test_the_bytes_never_change() -> None:
    """Layers of earlier versions have to be made again bit by bit: a change here changes every digest."""
    data = archive(EXAMPLES)
    assert hashlib.sha256(data).hexdigest() == (
        "908086bd4ce804c8a842d1b7406f0736691ff012eb1360fbc594e8515fb929a7"
    )


EXAMPLES = (
    Entry(path="usr", kind="directory", mode=0o755),
    Entry(path="usr/file", kind="file", mode=0o4755, data=b"a" * 700, uid=33, gid=42, mtime=1700000000),
    Entry(path="usr/hard", kind="hardlink", mode=0o4755, target="usr/file", uid=33, gid=42, mtime=1700000000),
    Entry(path="usr/soft", kind="symlink", mode=0o777, target="../" * 40 + "x"),
    Entry(path="usr/pipe", kind="fifo"),
    Entry(path="usr/Übergrößenträger/Ω", kind="file", data=b"1"),
    Entry(path="usr/" + os.fsdecode(b"latin\xe41"), kind="file", data=b"2"),
    Entry(path="usr/" + "long/" * 60 + "name", kind="file", data=b"3"),
    Entry(path="usr/owned", kind="file", data=b"", uid=3000000, gid=4000000),
    Entry(path="usr/marked", kind="file", data=b"", xattrs={"user.b": b"\0\xff\n", "user.a": b"="}),
    Entry(path="usr/gone", kind="whiteout"),
    Entry(path="usr/over", kind="opaque"),
)


def _extract(command: list[str], folder: Path, locale: str, said: str = "") -> None:
    (folder / "a.tar").write_bytes(archive(EXAMPLES))
    (folder / "out").mkdir()
    done = subprocess.run(
        [*command, "-xf", "../a.tar"],
        cwd=folder / "out",
        env={**os.environ, "LC_ALL": locale},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, said)


def _compare(out: Path) -> None:
    for entry in EXAMPLES:
        path = out / tar.member_name(entry)
        if entry.kind == "symlink":
            assert os.readlink(path) == entry.target
            continue
        status = os.lstat(path)
        assert int(status.st_mtime) == entry.mtime or entry.kind == "directory"
        if os.geteuid() == 0:
            assert (status.st_uid, status.st_gid) == (entry.uid, entry.gid)
        assert status.st_mode & 0o7777 == entry.mode or os.geteuid() != 0
        if entry.kind == "file":
            assert path.read_bytes() == entry.data
    assert (out / "usr/file").samefile(out / "usr/hard")


def test_gnu_tar_reads_it(tmp_path: Path) -> None:
    # It takes names as bytes whatever they are, and says so of the record that makes others do it.
    said = "tar: Ignoring unknown extended header keyword 'hdrcharset'\n"
    _extract(["tar", "--numeric-owner", "-p", "--xattrs", "--xattrs-include=user.*"], tmp_path, "C", said)
    _compare(tmp_path / "out")
    assert os.getxattr(tmp_path / "out/usr/marked", "user.b") == b"\0\xff\n"


def test_libarchive_reads_it(tmp_path: Path, need: Need) -> None:
    need(shutil.which("bsdtar"), "bsdtar is not installed")
    _extract(["bsdtar", "--numeric-owner", "-p"], tmp_path, "C.UTF-8")
    _compare(tmp_path / "out")
