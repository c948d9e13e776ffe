"""The merged file system: against what umoci unpacks, and what only layers can say."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.images import link, member, store_image

from wardian.errors import HostError, ImageError, VerificationError
from wardian.export.rootfs import write_rootfs
from wardian.image.descriptor import LAYER_TAR
from wardian.image.layout import write_folder
from wardian.image.library import Library, StoredImage
from wardian.image.reference import Reference
from wardian.store.store import Store
from wardian.system.progress import Silent

LONG = f"{'n' * 200}/" * 12
Member = tuple[str | tarfile.TarInfo, bytes]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Store.open(tmp_path / "store"))


def merge(library: Library, *layers: Iterable[Member]) -> bytes:
    buffer = io.BytesIO()
    write_rootfs(library, store_image(library, *layers), buffer, Silent())
    return buffer.getvalue()


def read(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive}


def contents(data: bytes) -> dict[str, str | None]:
    """What each path holds: a file's text, a link's target, None for others."""
    found: dict[str, str | None] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if member.isreg():
                file = archive.extractfile(member)
                found[member.name] = file.read().decode() if file else None
            elif member.issym():
                found[member.name] = f"-> {member.linkname}"
            elif member.islnk():
                found[member.name] = f"= {member.linkname}"
            else:
                found[member.name] = None
    return found


def test_layers_are_merged(library: Library) -> None:
    data = merge(
        library,
        [("etc/", b""), ("etc/a", b"lower"), ("etc/b", b"lower"), ("gone/", b""), ("gone/x/y", b"")],
        [("etc/a", b"upper"), (".wh.gone", b""), ("etc/.wh.b", b""), ("new/file", b"n")],
    )
    assert contents(data) == {
        ".": None,
        "etc": None,
        "etc/a": "upper",
        "new": None,
        "new/file": "n",
    }
    assert data == merge(library, *[
        [("etc/", b""), ("etc/a", b"lower"), ("etc/b", b"lower"), ("gone/", b""), ("gone/x/y", b"")],
        [("etc/a", b"upper"), (".wh.gone", b""), ("etc/.wh.b", b""), ("new/file", b"n")],
    ])  # fmt: skip


@pytest.mark.parametrize("order", [1, -1])
def test_whiteouts_hide_lower_layers_alone(library: Library, order: int) -> None:
    upper = [("a/", b""), ("a/.wh..wh..opq", b""), ("a/new", b"new"), (".wh.b", b""), ("b/new", b"new")]
    data = merge(
        library,
        [("a/", b""), ("a/old", b"x"), ("a/deep/old", b"x"), ("b/", b""), ("b/old", b"x")],
        upper[::order],
    )
    assert contents(data) == {".": None, "a": None, "a/new": "new", "b": None, "b/new": "new"}


def test_what_is_of_another_kind_replaces(library: Library) -> None:
    data = merge(
        library,
        [("file", b"x"), ("folder/", b""), ("folder/inner", b"x"), link("link", "file")],
        [("file/", b""), ("file/inner", b"y"), ("folder", b"y"), ("link", b"y")],
    )
    assert contents(data) == {".": None, "file": None, "file/inner": "y", "folder": "y", "link": "y"}


def test_hard_links_keep_the_file_that_they_were_made_to(library: Library) -> None:
    data = merge(
        library,
        [("a", b"old"), link("b", "a", tarfile.LNKTYPE), link("d/c", "./b", tarfile.LNKTYPE)],
        [("a", b"new"), link("e", "d/c", tarfile.LNKTYPE), link("s", "a"), link("t", "s", tarfile.LNKTYPE)],
    )
    assert contents(data) == {
        ".": None,
        "d": None,
        "s": "-> a",
        "t": "-> a",
        "b": "old",
        "d/c": "= b",
        "e": "= b",
        "a": "new",
    }


def test_links_to_folders_are_gone_through(library: Library) -> None:
    data = merge(
        library,
        [("usr/lib/", b""), link("lib", "usr/lib"), link("up", "../../../usr"), link("all", "/up/lib")],
        [("lib/a", b"1"), ("up/b", b"2"), ("all/c", b"3"), ("usr/lib/d", b"")],
        [("all/.wh.d", b"")],
    )
    found = contents(data)
    assert {name: value for name, value in found.items() if value in ("1", "2", "3")} == {
        "usr/lib/a": "1",
        "usr/b": "2",
        "usr/lib/c": "3",
    }
    assert "usr/lib/d" not in found
    assert found["lib"] == "-> usr/lib"


def test_owners_modes_times_and_attributes(library: Library) -> None:
    info = member("bin/ping", mode=0o4755, uid=7, gid=3_000_000, mtime=1_000_000_000.75)
    capability = "\x01\0\0\x02\0 \0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    info.pax_headers = {"SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.x": "\udcff="}
    device = member("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)
    moved = member("up/" + "n" * 100, tarfile.CHRTYPE, devmajor=1, devminor=3)
    long = "é" * 100 + "/" + "n" * 200
    data = merge(
        library,
        [(info, b"text"), (device, b""), (member("pipe", tarfile.FIFOTYPE, mode=0o600), b""), (long, b"x")],
        [("bin/", b""), link("up", "dev"), (moved, b"")],
    )
    found = read(data)
    assert "dev/" + "n" * 100 in found
    ping = found["bin/ping"]
    assert (ping.mode, ping.uid, ping.gid, ping.mtime) == (0o4755, 7, 3_000_000, 1_000_000_000)
    assert ping.pax_headers["SCHILY.xattr.security.capability"] == capability
    assert ping.pax_headers["SCHILY.xattr.user.x"] == "\udcff="
    assert (found["dev/null"].ischr(), found["dev/null"].devmajor, found["dev/null"].devminor) == (True, 1, 3)
    assert found["pipe"].isfifo()
    assert found["bin"].mode == 0o755
    assert long in found


@pytest.mark.parametrize(
    ("layers", "error"),
    [
        ([[("../x", b"")]], "leads out of it"),
        ([[link("a", "b", tarfile.LNKTYPE)]], "is a hard link to 'b', which is not there"),
        ([[("b/", b""), link("a", "b", tarfile.LNKTYPE)]], "which is a folder"),
        ([[link("a", "b"), link("b", "a"), ("a/x", b"")]], "links lead in a circle"),
        ([[("a/" * 3000 + "x", b"")]], "has a name of more than 4096 characters"),
        ([[(LONG, b""), link("l", LONG), (f"l/{LONG}", b"")]], "is too deep"),
    ],
)
def test_layers_that_cannot_be_merged(library: Library, layers: list[list[Member]], error: str) -> None:
    with pytest.raises(ImageError, match=error):
        merge(library, *layers)


def test_a_damaged_layer(library: Library) -> None:
    image = store_image(library, [("a", b"x" * 100)])
    blob = library.blob(image.manifest.layers[0].digest)
    blob.write_bytes(blob.read_bytes()[:-8] + bytes(8))
    with pytest.raises(VerificationError, match="should have the digest"):
        write_rootfs(library, image, io.BytesIO(), Silent())


def test_umoci_unpacks_the_same(library: Library, tmp_path: Path, need) -> None:  # type: ignore[no-untyped-def]
    need(shutil.which("umoci"), "umoci is not installed")
    layers: list[list[Member]] = [
        [("etc/", b""), ("etc/a", b"1"), ("etc/b", b"2"), ("d/", b""), ("d/x", b"3"), link("l", "etc/a")],
        [("etc/.wh.a", b""), ("d/", b""), ("d/.wh..wh..opq", b""), ("d/y", b"4")],
        [("z", b"5"), link("d/z", "z", tarfile.LNKTYPE), (member("run", mode=0o4711), b"6")],
    ]
    image = store_image(library, *layers)
    write_folder(library, image, tmp_path / "layout", Reference.parse("example:1"))
    rootless = ["--rootless"] if os.geteuid() else []
    subprocess.run(
        ["umoci", "unpack", *rootless, "--image", f"{tmp_path}/layout:1", tmp_path / "bundle"],
        check=True,
        capture_output=True,
    )
    (tmp_path / "ours").mkdir()
    with open(tmp_path / "ours.tar", "wb") as file:
        write_rootfs(library, image, file, Silent())
    subprocess.run(["tar", "-C", tmp_path / "ours", "-xpf", tmp_path / "ours.tar"], check=True)
    assert _tree(tmp_path / "ours") == _tree(tmp_path / "bundle/rootfs")


def _tree(root: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        what = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        links = status.st_nlink if path.is_file() else 0
        found[str(path.relative_to(root))] = (oct(status.st_mode), status.st_uid, status.st_gid, links, what)
    return found


def sparse(size: int) -> bytes:
    """A tar of one file of that size, which is a hole but for its first bytes (GNU tar, PAX 1.0)."""
    info = member("big")
    text = b"1\n0\n4\n".ljust(512, b"\0") + b"text".ljust(512, b"\0")
    info.size = 516
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "big",
        "GNU.sparse.realsize": str(size),
    }
    return info.tobuf(tarfile.PAX_FORMAT) + text + bytes(1024)


def image_of(library: Library, data: bytes) -> StoredImage:
    image = store_image(library)
    layer = library.write((data,), LAYER_TAR)
    return replace(
        image,
        manifest=replace(image.manifest, layers=(layer,)),
        configuration=replace(image.configuration, diff_ids=(layer.digest,)),
    )


def test_files_with_holes(library: Library, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    write_rootfs(library, image_of(library, sparse(3000)), buffer, Silent())
    assert contents(buffer.getvalue())["big"] == "text" + "\0" * 2996
    with open(tmp_path / "x", "wb") as file, pytest.raises(HostError, match="there is no room"):
        write_rootfs(library, image_of(library, sparse(1 << 40)), file, Silent())
    with pytest.raises(ImageError, match="has files of 1099511627777 bytes"):
        write_rootfs(library, image_of(library, sparse((1 << 40) + 1)), io.BytesIO(), Silent())
    assert (tmp_path / "x").stat().st_size == 0


def test_members_of_all_layers_are_counted(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wardian.export.merged.MOST", 4)
    merge(library, [("a", b""), ("b", b"")], [("a", b""), ("b", b"")])
    for layers in ([[("a", b""), ("b", b"")], [("a", b""), ("b", b""), ("c", b"")]], [[("a/b/c/d/e", b"")]]):
        with pytest.raises(ImageError, match="has more than 4 members in its layers"):
            merge(library, *layers)


def test_characters_of_all_paths_are_counted(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wardian.export.merged._MOST_CHARACTERS", 2000)
    merge(library, [("a" * 200, b""), link("b", "b" * 200)], [("a" * 200, b"")])
    shortened = [("a/" * 100, b""), link("l", "a/" * 100), *((f"l/{number}", b"") for number in range(9))]
    for layers in ([[("a" * 200, b"")]] * 6, [[link("b", "b" * 200)]] * 6, [shortened]):
        with pytest.raises(ImageError, match="has paths and attributes of more than 2000 characters"):
            merge(library, *layers)
