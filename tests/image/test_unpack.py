"""Unpacking layers: what overlayfs sees of them, and what hostile ones cannot do."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardian.errors import HostError, ImageError, VerificationError, WardianError
from wardian.image.descriptor import LAYER_GZIP, Descriptor, Digest
from wardian.image.library import Library, layer_snapshot_key
from wardian.image.unpacking import Unpacking, folders
from wardian.store.store import Store
from wardian.system.progress import Silent

pytestmark = pytest.mark.namespaces

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: object) -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def file(name: str, data: bytes | str = b"", **fields: object) -> Member:
    return member(name, data=data.encode() if isinstance(data, str) else data, **fields)


def folder(name: str, **fields: object) -> Member:
    return member(name, tarfile.DIRTYPE, **{"mode": 0o755, **fields})


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Member:
    return member(name, kind, linkname=target)


def tar(members: Iterable[Member]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@dataclass(frozen=True, kw_only=True)
class Bench:
    store: Store
    messages: list[str]

    def put(self, blob: bytes) -> Descriptor:
        return Library(self.store).add(blob, LAYER_GZIP)

    def unpack(self, data: bytes, *, blob: bytes | None = None, diff_id: Digest | None = None) -> Path:
        """The root folder of the one layer whose tar is `data`."""
        diff_ids = [diff_id or Digest.of(data)]
        descriptor = self.put(gzip.compress(data, 1) if blob is None else blob)
        progress = Silent()
        progress.message = self.messages.append  # type: ignore[method-assign]
        with Unpacking(self.store, diff_ids, what="example:1", progress=progress) as unpacking:
            unpacking.submit(0, descriptor)
            unpacking.join()
        return folders(self.store, diff_ids)[0]

    def layer(self, *members: Member) -> Path:
        return self.unpack(tar(members))

    def refused(self, *members: Member) -> WardianError:
        """The failure of a layer, of which nothing is kept."""
        data = tar(members)
        with pytest.raises(WardianError) as failure:
            self.unpack(data)
        self.check_nothing_kept(data)
        assert failure.value.exit_status == 1
        assert failure.value.hint
        return failure.value

    def attempt(self, data: bytes) -> Path | None:
        """The root folder, or None for a layer that is refused for a reason that can be told."""
        try:
            return self.unpack(data)
        except (ImageError, VerificationError, HostError) as error:
            return None if error.hint else Path("/a failure without a hint")

    def check_nothing_kept(self, data: bytes) -> None:
        assert not self.store.snapshot(layer_snapshot_key(Digest.of(data))).exists()
        assert list((self.store.root / "temporary").iterdir()) == []


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(store=Store.open(tmp_path / "home"), messages=[])


def is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: Path) -> bool:
    return "user.overlay.opaque" in os.listxattr(path)


def test_what_a_layer_holds(bench: Bench) -> None:
    long = "/".join(["a-rather-long-folder-name-of-forty-letters"] * 8)
    root = bench.layer(
        folder("etc", mode=0o1777, mtime=1_000_000_000),
        file("etc/passwd", "root", mode=0o644, mtime=1_100_000_000, uid=7, gid=8),
        file("usr/bin/su", "x", mode=0o4755),
        link("bin", "usr/bin"),
        link("etc/outside", "/../../../etc"),
        link("etc/again", "etc/passwd", tarfile.LNKTYPE),
        member("run/pipe", tarfile.FIFOTYPE, mode=0o600),
        file("grüße/日本 \t\n.txt", "ü"),
        file(f"{long}/file", "deep"),
        file("closed", "secret", mode=0),
        folder("locked", mode=0o500),
        file("locked/inside", "x"),
    )
    assert (root / "etc/passwd").read_text() == "root"
    assert stat.S_IMODE((root / "etc/passwd").stat().st_mode) == 0o644
    assert (root / "etc/passwd").stat().st_mtime == 1_100_000_000
    assert (root / "etc").stat().st_mtime == 1_000_000_000  # though files were made in it afterwards
    assert stat.S_IMODE((root / "etc").stat().st_mode) == 0o1777
    assert stat.S_IMODE((root / "usr/bin/su").stat().st_mode) == 0o4755
    assert os.readlink(root / "bin") == "usr/bin"
    assert os.readlink(root / "etc/outside") == "/../../../etc"
    assert (root / "etc/again").stat().st_ino == (root / "etc/passwd").stat().st_ino
    assert stat.S_ISFIFO((root / "run/pipe").stat().st_mode)
    assert (root / "grüße/日本 \t\n.txt").read_text() == "ü"
    assert (root / long / "file").read_text() == "deep"
    assert (root / "closed").read_text() == "secret"
    assert stat.S_IMODE((root / "locked").stat().st_mode) == 0o700
    assert {path.lstat().st_uid for path in root.rglob("*")} == {os.geteuid()}


def test_folders_that_a_layer_only_implies_are_their_owners_to_write(bench: Bench) -> None:
    root = bench.layer(
        file("a/b/c/file"),
        file("d/e/f/.wh.gone"),
        file("g/h/i/.wh..wh..opq"),
        member("pipe", tarfile.FIFOTYPE, mode=0o622, mtime=1_000_000_000),
    )
    modes = {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_dir()}
    assert modes == {0o755}
    assert stat.S_IMODE((root / "pipe").stat().st_mode) == 0o622
    assert (root / "pipe").stat().st_mtime == 1_000_000_000


@pytest.mark.parametrize("compression", ["gzip", "members", "zstd", "frames", "none"])
def test_every_compression(bench: Bench, compression: str) -> None:
    content = random.Random(1).randbytes(3_000_000)
    data = tar([file("random", content)])
    half = len(data) // 2
    blobs = {
        "gzip": lambda: gzip.compress(data, 1),
        "members": lambda: gzip.compress(data[:half], 1) + gzip.compress(data[half:], 9),
        "zstd": lambda: zstandard.compress(data),
        "frames": lambda: zstandard.compress(data[:half]) + zstandard.compress(data[half:]),
        "none": lambda: data,
    }
    assert (bench.unpack(data, blob=blobs[compression]()) / "random").read_bytes() == content


def test_whiteouts(bench: Bench) -> None:
    root = bench.layer(
        file("etc/.wh.gone"),
        file(".wh.top"),
        file("opaque/.wh..wh..opq"),
        file("opaque/new", "x"),
        # A whiteout is about lower layers only (layer.md), in whatever order it comes.
        file("before", "stays"),
        file(".wh.before"),
        file(".wh.after"),
        file("after", "stays"),
        folder("tree"),
        file("tree/leaf", "stays"),
        file(".wh.tree"),
        file(".wh.other"),
        folder("other"),
        file(".wh..wh.plnk", "of AUFS"),
    )
    assert is_whiteout(root / "etc/gone")
    assert is_whiteout(root / "top")
    assert is_opaque(root / "opaque")
    assert (root / "opaque/new").read_text() == "x"
    assert (root / "before").read_text() == (root / "after").read_text() == "stays"
    assert is_opaque(root / "tree")
    assert (root / "tree/leaf").read_text() == "stays"
    assert is_opaque(root / "other")
    assert not list(root.rglob(".wh*"))


def test_a_layer_that_hides_all_below(bench: Bench) -> None:
    diff_ids = []
    for members in ([file("low", "1")], [file(".wh..wh..opq"), file("high", "2")], [file("top", "3")]):
        data = tar(members)
        bench.unpack(data)
        diff_ids.append(Digest.of(data))
    found = folders(bench.store, diff_ids)
    assert [sorted(path.name for path in root.iterdir()) for root in found] == [["high"], ["top"]]


def test_a_layer_that_comes_twice_stands_once(bench: Bench) -> None:
    first, second = tar([file("a", "1")]), tar([file(".wh.a")])
    diff_ids = [Digest.of(first), Digest.of(second), Digest.of(first)]
    with Unpacking(bench.store, diff_ids, what="example:1", progress=Silent()) as unpacking:
        for number, data in enumerate((first, second, first)):
            unpacking.submit(number, bench.put(gzip.compress(data)))
        unpacking.join()
    assert [Path(root).parent.name for root in folders(bench.store, diff_ids)] == [
        layer_snapshot_key(diff_id) for diff_id in diff_ids[1:]
    ]


def test_later_members_take_the_place_of_earlier_ones(bench: Bench) -> None:
    root = bench.layer(
        file("file", "first"),
        file("file", "second"),
        folder("folder", mode=0o700),
        file("folder/kept", "x"),
        folder("folder", mode=0o755),
        folder("gone"),
        file("gone/inside", "x"),
        file("gone", "now a file"),
        link("link", "file"),
        file("link", "no longer a link"),
        link("file", "file", tarfile.LNKTYPE),
    )
    assert (root / "file").read_text() == "second"
    assert (root / "folder/kept").exists()
    assert stat.S_IMODE((root / "folder").stat().st_mode) == 0o755
    assert (root / "gone").read_text() == "now a file"
    assert not (root / "link").is_symlink()


def test_devices_are_left_out_and_told(bench: Bench) -> None:
    root = bench.layer(
        member("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3),
        member("dev/sda", tarfile.BLKTYPE, devmajor=8),
        member("dev/zero\033[31m", tarfile.CHRTYPE, devmajor=0, devminor=0),
        file("etc/issue", "x"),
    )
    assert sorted(path.name for path in root.iterdir()) == ["etc"]
    (message,) = bench.messages
    assert "3 device files" in message
    assert "'dev/null'" in message
    assert "\033" not in message


def test_extended_attributes(bench: Bench, tmp_path: Path) -> None:
    attributes = {
        "SCHILY.xattr.user.note": "grün",
        "SCHILY.xattr.user.overlay.redirect": "/etc",
        "SCHILY.xattr.user.overlay.opaque": "y",
        "SCHILY.xattr.security.capability": "\x01",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
    }
    root = bench.layer(folder("a", pax_headers=attributes), file("b", "x", pax_headers=attributes))
    for name in ("a", "b"):
        assert os.listxattr(root / name) == ["user.note"]
        assert os.getxattr(root / name, "user.note") == "grün".encode()


def test_sparse_and_huge_files_need_no_disk(bench: Bench) -> None:
    size = 9 << 30  # more than a tar header's field of twelve octal digits holds
    info = tarfile.TarInfo("huge")
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "huge",
        "GNU.sparse.realsize": str(size),
    }
    table = f"2\n0\n3\n{size - 3}\n3\n".encode()
    stored = table + b"\0" * (512 - len(table)) + b"abcxyz"
    info.size = len(stored)
    root = bench.unpack(tar([(info, stored), file("zeros", bytes(5 << 20)), file("after", "x")]))
    assert (root / "huge").stat().st_size == size
    with open(root / "huge", "rb") as opened:
        assert opened.read(5) == b"abc\0\0"
        opened.seek(-4, os.SEEK_END)
        assert opened.read() == b"\0xyz"
    assert sum((root / name).stat().st_blocks for name in ("huge", "zeros")) * 512 < 1 << 20
    assert (root / "zeros").read_bytes() == bytes(5 << 20)
    assert (root / "after").read_text() == "x"


def test_a_file_with_holes_in_the_old_format(bench: Bench, tmp_path: Path) -> None:
    with open(tmp_path / "holes", "wb") as file:
        file.seek(5 << 20)
        file.write(b"x" * 4096)
        file.truncate(10 << 20)
    words = ["tar", "--sparse", "--format=gnu", "-cf", "-", "holes"]
    data = subprocess.run(words, cwd=tmp_path, stdout=subprocess.PIPE, check=True).stdout
    assert len(data) < 1 << 20
    assert (bench.unpack(data) / "holes").read_bytes() == (tmp_path / "holes").read_bytes()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that no layer may reach, at a path that hostile ones know."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("untouched")
    return tmp_path / "outside"


HOSTILE: dict[str, Callable[[str], list[Member]]] = {
    "dots": lambda out: [file(f"../../../../../../../../../../../..{out}/new")],
    "dots after a folder": lambda out: [folder("a"), file(f"a/../../..{out}/new")],
    "hard link by dots": lambda out: [link("a", f"../../../../../../..{out}/file", tarfile.LNKTYPE)],
    "hard link by an absolute name": lambda out: [link("a", f"{out}/file", tarfile.LNKTYPE)],
    "hard link to a folder": lambda out: [folder("d"), link("a", "d", tarfile.LNKTYPE)],
    "hard link through a link": lambda out: [link("l", out), link("a", "l/file", tarfile.LNKTYPE)],
    "through a link": lambda out: [link("l", out), file("l/new")],
    "through a chain": lambda out: [link("l", out), link("m", "l"), file("m/new")],
    "through a link to dots": lambda out: [link("l", "../" * 20 + out[1:]), file("l/new")],
    "whiteout of dots": lambda out: [file(".wh...")],
    "whiteout of the folder": lambda out: [file("a/.wh..")],
    "whiteout of nothing": lambda out: [file("a/.wh.")],
    "whiteout through a link": lambda out: [link("l", out), file("l/.wh.file")],
    "opaque through a link": lambda out: [link("l", out), file("l/.wh..wh..opq")],
    "root is a link": lambda out: [link("./", out), file("new")],
    "below a file": lambda out: [file("a", "x"), file("a/b", "x")],
    "a name that is too long": lambda out: [file("x" * 300)],
    "a path that is too long": lambda out: [file("x/" * 3000 + "x")],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_members(bench: Bench, outside: Path, name: str) -> None:
    failure = bench.refused(*HOSTILE[name](str(outside)))
    assert isinstance(failure, ImageError)
    assert "example:1" in failure.message
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "untouched"


def test_links_into_the_layer_itself_stay_there(bench: Bench, outside: Path) -> None:
    root = bench.layer(
        folder("etc"),
        link("l", "/etc"),
        file("l/made", "x"),
        link("victim", str(outside / "file")),
        file("victim", "not written through"),
        file("/absolute", "x"),
        file("./etc/../dotted", "x"),
        link("up", "../../../../etc"),
        file("up/also", "x"),
    )
    assert (outside / "file").read_text() == "untouched"
    assert {path.name for path in root.iterdir()} == {"etc", "l", "victim", "absolute", "dotted", "up"}
    assert {path.name for path in (root / "etc").iterdir()} == {"made", "also"}


def test_folders_that_nobody_named_cannot_be_links_to_nowhere(bench: Bench) -> None:
    bench.refused(link("l", "/nowhere"), file("l/new"))


def test_bytes_that_are_not_those_of_the_configuration(bench: Bench) -> None:
    data = tar([file("a", "x")])
    with pytest.raises(VerificationError, match="the image's configuration says") as failure:
        bench.unpack(data, diff_id=Digest.of(b"other"))
    assert failure.value.hint
    bench.check_nothing_kept(data)
    assert not list((bench.store.root / "snapshots").glob("*"))


@pytest.mark.parametrize("change", ["cut", "garbage", "tail", "crc"])
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_damaged_streams(bench: Bench, change: str, compression: str) -> None:
    data = tar([file("a", random.Random(2).randbytes(200_000))])
    blob = gzip.compress(data) if compression == "gzip" else zstandard.compress(data)
    broken = {
        "cut": blob[:100_000],
        "garbage": blob[:50_000] + b"\xff" * 100 + blob[50_100:],
        "tail": blob + b"more",
        "crc": blob[:-6] + b"\0\0\0\0\0\0",
    }[change]
    with pytest.raises((VerificationError, ImageError)) as failure:
        bench.unpack(data, blob=broken)
    assert failure.value.hint
    bench.check_nothing_kept(data)


def test_a_blob_that_the_disk_has_damaged_is_removed(bench: Bench) -> None:
    data = tar([file("a", "x" * 10_000)])
    blob = gzip.compress(data)
    descriptor = bench.put(blob)
    path = bench.store.content(descriptor.digest.hex)
    path.chmod(0o600)
    path.write_bytes(blob[:50] + bytes(20) + blob[70:])
    with Unpacking(bench.store, [Digest.of(data)], what="example:1", progress=Silent()) as unpacking:
        unpacking.submit(0, descriptor)
        with pytest.raises(VerificationError, match=r"the stored layer .* should have the digest") as it:
            unpacking.join()
    assert it.value.hint == "pull, load or build the image again: the damaged file was removed"
    assert not path.exists()


def test_damage_that_makes_members_impossible_is_told_as_such(bench: Bench) -> None:
    data = tar([folder("d"), link("a", "b", tarfile.LNKTYPE)])
    descriptor = bench.put(data)
    path = bench.store.content(descriptor.digest.hex)
    path.write_bytes(tar([folder("d"), link("a", "d", tarfile.LNKTYPE)]))
    with Unpacking(bench.store, [Digest.of(data)], what="example:1", progress=Silent()) as unpacking:
        unpacking.submit(0, descriptor)
        with pytest.raises(VerificationError, match=r"the stored layer .* should have the digest"):
            unpacking.join()
    assert not path.exists()


def test_a_blob_that_is_not_there(bench: Bench) -> None:
    descriptor = Descriptor.of(b"never stored", LAYER_GZIP)
    with (
        pytest.raises(ImageError, match="is not in the store"),
        Unpacking(bench.store, [Digest.of(b"")], what="example:1", progress=Silent()) as unpacking,
    ):
        unpacking.submit(0, descriptor)


def zstd_of_zeros(amount: int) -> bytes:
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    piece = bytes(1 << 20)
    return b"".join(compressor.compress(piece) for _ in range(amount >> 20)) + compressor.flush()


def test_a_bomb(bench: Bench) -> None:
    """It is refused by what its headers say, before it has been read."""
    head, small = member("bomb")[0], member("a")[0]
    head.size, small.size = 1 << 40, 16 << 20
    blob = zstandard.compress(small.tobuf()) + zstd_of_zeros(16 << 20)
    blob += zstandard.compress(head.tobuf()) + zstd_of_zeros(128 << 20)
    with pytest.raises(ImageError, match=f"unpacks to more than {(64 << 30) + 100 * len(blob)} ") as failure:
        bench.unpack(b"", blob=blob)
    assert failure.value.hint
    bench.check_nothing_kept(b"")


def test_a_bomb_without_members(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wardian.image.decompress._SLACK", 0)
    with pytest.raises(ImageError, match="unpacks to more than"):
        bench.unpack(b"", blob=zstandard.compress(bytes(1024)) + zstd_of_zeros(128 << 20))
    bench.check_nothing_kept(b"")


def test_headers_that_ask_for_all_memory(bench: Bench) -> None:
    header = member("pax", tarfile.XHDTYPE)[0]
    header.size = 6 << 30
    blob = zstandard.compress(header.tobuf(tarfile.GNU_FORMAT)) + zstd_of_zeros(3 << 30)
    with pytest.raises(ImageError, match="it has a member with headers of more than 1048576 bytes"):
        bench.unpack(b"", blob=blob)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no tar at all" * 100,
        tar([file("a", "x" * 2000)])[:1500],
        tar([file("a", "x")])[:1024] + b"garbage" * 200,
        tar([member("x", tarfile.XHDTYPE)]) * 3,
        b"".join(tar([member(f"x{i}", tarfile.XHDTYPE)])[:512] for i in range(5000)),
    ],
    ids=["nothing", "text", "cut", "garbage", "headers alone", "headers without end"],
)
def test_what_is_no_archive(bench: Bench, data: bytes) -> None:
    with pytest.raises(WardianError) as failure:
        bench.unpack(data, blob=gzip.compress(data))
    assert isinstance(failure.value, (ImageError, VerificationError))
    assert "Traceback" not in failure.value.message
    bench.check_nothing_kept(data)


def test_an_empty_layer(bench: Bench) -> None:
    assert list(bench.unpack(bytes(1024)).iterdir()) == []


def test_modules_of_the_layer_are_not_imported(bench: Bench, tmp_path: Path) -> None:
    """After the change of root Python would look for its modules in the layer, at the paths it knows."""
    planted = f"open({str(tmp_path / 'reached')!r}, 'w')\nraise SystemExit('planted')\n"
    library = Path(os.__file__).parent
    members = [
        file(f"{library}/{name}", planted)
        for name in ("encodings/cp437.py", "copy.py", "traceback.py", "linecache.py", "encodings/punycode.py")
    ]
    charset = {"hdrcharset": "BINARY", "path": "a\udcff"}
    root = bench.layer(*members, member("a", pax_headers=charset))
    assert {"a\udcff"} <= set(os.listdir(root))
    assert not (tmp_path / "reached").exists()


def unpack_on(kind: str, options: str, layer: str, tmp_path: Path) -> str:
    """The error, and its hint, of a layer that is unpacked on such a file system."""
    program = f"""
import os, sys, gzip
from pathlib import Path
from wardian.system import namespace
from wardian.errors import HostError
user, group = os.getuid(), os.getgid()
namespace.unshare(namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS)
namespace.map_only(user, group)
namespace.mount("none", {str(tmp_path)!r}, {kind!r}, 0, {options!r})
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.image.test_unpack import Bench, file, tar
from wardian.store.store import Store
bench = Bench(store=Store.open({str(tmp_path / "home")!r}), messages=[])
data = tar([{layer}])
try:
    bench.unpack(data)
except HostError as error:
    print(error.message, "|", error.hint)
bench.check_nothing_kept(data)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_system_without_attributes(tmp_path: Path) -> None:
    """That is the host's affair, and no reason to distrust the image."""
    message, _, hint = unpack_on("ramfs", "", "file('a/.wh..wh..opq')", tmp_path).partition("|")
    assert "Operation not supported" in message
    assert hint.strip() == "run `wardian doctor`"


def test_a_full_disk(tmp_path: Path) -> None:
    """A file system of 32 MiB in a namespace of its own takes no layer of 64."""
    found = unpack_on("tmpfs", "size=32m", "file('a', b'x' * (64 << 20))", tmp_path)
    message, _, hint = found.partition("|")
    assert "No space left on device" in message or "almost full" in message
    assert "wardian prune" in hint


def test_two_at_once(bench: Bench) -> None:
    data = tar([file("a", random.Random(3).randbytes(2_000_000))])
    descriptor = bench.put(gzip.compress(data, 1))
    diff_ids = [Digest.of(data)]
    with (
        Unpacking(bench.store, diff_ids, what="one:1", progress=Silent()) as one,
        Unpacking(bench.store, diff_ids, what="two:1", progress=Silent()) as two,
    ):
        one.submit(0, descriptor)
        two.submit(0, descriptor)
        one.join()
        two.join()
    (root,) = folders(bench.store, diff_ids)
    assert hashlib.sha256((root / "a").read_bytes()).digest()


def test_it_ends_with_its_block(bench: Bench) -> None:
    data = tar([file("a", random.Random(3).randbytes(20_000_000))])
    descriptor = bench.put(gzip.compress(data, 1))

    def interrupted() -> None:
        with Unpacking(bench.store, [Digest.of(data)], what="one:1", progress=Silent()) as unpacking:
            unpacking.submit(0, descriptor)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    bench.check_nothing_kept(data)


KILLED = """
import sys
from wardian.image.descriptor import LAYER_ZSTD, Descriptor, Digest
from wardian.image.unpacking import Unpacking
from wardian.store.store import Store
from wardian.system.progress import Silent
home, digest, size = sys.argv[1:]
blob = Descriptor(media_type=LAYER_ZSTD, digest=Digest.parse(digest), size=int(size))
with Unpacking(Store.open(home), [Digest.of(b"")], what="one:1", progress=Silent()) as unpacking:
    unpacking.submit(0, blob)
    print("begun", flush=True)
    unpacking.join()
"""


def test_it_ends_with_who_started_it(bench: Bench) -> None:
    """Killed at any instant, it leaves nothing that the next process does not sweep."""
    head = member("zeros")[0]
    head.size = 1 << 40
    blob = zstandard.compress(head.tobuf()) + zstd_of_zeros(2 << 30) * 20  # takes a minute and no disk
    descriptor = bench.put(blob)
    words = [str(bench.store.root), str(descriptor.digest), str(len(blob))]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *words], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"begun\n"
    deadline = time.monotonic() + 20
    while len(unpackers(bench)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    process.stdout.close()
    while unpackers(bench):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with bench.store.temporary():
        pass
    bench.check_nothing_kept(b"")


def unpackers(bench: Bench) -> list[str]:
    """The processes that unpack for this store."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if b"\0wardian.image.unpack\0" in command and str(bench.store.root).encode() in command:
            found.append(path.parent.name)
    return found


NAMES = st.lists(
    st.sampled_from(["a", "b", "c", "..", ".", "", ".wh.a", ".wh.b", ".wh..wh..opq", ".wh...", "ü"]),
    min_size=1,
    max_size=5,
).map("/".join)
KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
TARGETS = st.one_of(NAMES, NAMES.map("/".__add__), NAMES.map("../../../".__add__))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAMES, KINDS, TARGETS, st.integers(0, 0o7777)), max_size=12))
def test_nothing_leads_out(bench: Bench, tmp_path: Path, wanted: list[tuple[str, bytes, str, int]]) -> None:
    """Whatever a layer holds: it is unpacked or refused, and nothing outside of it changes."""
    (tmp_path / "sentinel").write_text("x")
    before = sorted(path.name for path in tmp_path.iterdir())
    members = [
        member(name, kind, b"data" if kind == tarfile.REGTYPE else b"", linkname=target, mode=mode)
        for name, kind, target, mode in wanted
    ]
    data = tar(members)
    root = bench.attempt(data)
    assert root is None or root.is_dir()
    for place, _, _ in os.walk(root or tmp_path / "none"):
        assert os.access(place, os.R_OK | os.W_OK | os.X_OK)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "sentinel").read_text() == "x"
    assert list((bench.store.root / "temporary").iterdir()) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 511), st.integers(0, 255), st.integers(0, 4))
def test_any_byte_of_the_headers(bench: Bench, position: int, value: int, block: int) -> None:
    data = bytearray(tar([file("a", "data", pax_headers={"comment": "x"}), folder("b"), link("c", "b")]))
    data[block * 512 + position] = value
    header = data[block * 512 : block * 512 + 512]
    if not 148 <= position < 156:  # with a checksum that is right again
        total = sum(header[:148]) + sum(header[156:]) + 8 * ord(" ")
        data[block * 512 + 148 : block * 512 + 156] = b"%06o\0 " % total
    root = bench.attempt(bytes(data))
    assert root is None or root.is_dir()
