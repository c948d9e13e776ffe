"""Docker archives, written and read, with others' tools in between, and hostile ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardian.errors import HostError, ImageError, VerificationError
from wardian.image.archive import write_archive
from wardian.image.descriptor import LAYER_GZIP
from wardian.image.library import Library, StoredImage
from wardian.image.load import load, load_stream
from wardian.image.reference import Reference
from wardian.image.source import StagedSource
from wardian.store.store import Store
from wardian.system.progress import Silent

MakeImage = Callable[..., StoredImage]
Need = Callable[[object, str], None]
NAME = Reference.parse("example:1")
PLAIN = b"x" * 10240  # any bytes are a layer as long as nobody unpacks them


def run(*words: object) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write(library: Library, image: StoredImage, path: Path, name: Reference | None = NAME) -> bytes:
    with open(path, "wb") as file:
        write_archive(library, image, file, name)
    return path.read_bytes()


def hexdigest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pack(members: Iterable[tuple[str | tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data) or info.size
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def configuration(*layers: bytes) -> bytes:
    content = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hexdigest(layer)}" for layer in layers]},
    }
    return json.dumps(content).encode()


def older(
    layers: Iterable[tuple[str, bytes]], config: bytes, tags: object = ("old:1",)
) -> list[tuple[str, bytes]]:
    """The members of an archive as Docker wrote them before 25."""
    listed = list(layers)
    content = [
        {"Config": f"{hexdigest(config)}.json", "RepoTags": tags, "Layers": [name for name, _ in listed]}
    ]
    return [
        *dict(listed).items(),
        (f"{hexdigest(config)}.json", config),
        ("manifest.json", json.dumps(content).encode()),
        ("repositories", b"{}"),
    ]


def load_bytes(library: Library, data: bytes, tmp_path: Path) -> list[str]:
    (tmp_path / "in.tar").write_bytes(data)
    return [kept.name.familiar for kept in load(library, tmp_path / "in.tar", Silent())]


def is_untouched(library: Library) -> bool:
    """Whether nothing has come into the store: no name, no blob, no temporary file."""
    return not (
        library.names()
        or list(library.store.contents().rglob("*"))
        or list((library.store.root / "temporary").iterdir())
    )


def test_both_forms_are_written(library: Library, make_image: MakeImage, tmp_path: Path) -> None:
    image = make_image()
    data = write(library, image, tmp_path / "x.tar")
    assert data == write(library, image, tmp_path / "y.tar")
    with tarfile.open(tmp_path / "x.tar") as archive:
        listed = archive.getnames()
        file = archive.extractfile("manifest.json")
        assert file
        content = json.loads(file.read())
        assert {(it.uid, it.gid, it.mtime, it.uname) for it in archive.getmembers()} == {(0, 0, 0, "")}
    assert listed[:3] == ["oci-layout", "index.json", "manifest.json"]
    (layer,) = image.manifest.layers
    assert content == [
        {
            "Config": f"blobs/sha256/{image.manifest.config.digest.hex}",
            "RepoTags": ["example:1"],
            "Layers": [f"blobs/sha256/{layer.digest.hex}"],
        }
    ]


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_what_was_written_is_read(
    library: Library, other: Library, make_image: MakeImage, tmp_path: Path, compression: str
) -> None:
    image = make_image({"a": b"a"}, {"b": b"b"}, compression=compression)
    write(library, image, tmp_path / "x.tar")
    load(other, tmp_path / "x.tar", Silent())
    found = other.resolve("example:1")
    assert found.configuration == image.configuration
    assert (found.descriptor == image.descriptor) is (compression != "zstd")
    assert {layer.media_type.rpartition("+")[2] for layer in found.manifest.layers} == {
        "gzip" if compression == "gzip" else "application/vnd.oci.image.layer.v1.tar"
    }
    assert other.missing(found) == ()


@pytest.mark.parametrize(("packed", "suffix"), [(PLAIN, "tar"), (gzip.compress(PLAIN, mtime=0), "tar+gzip")])
@pytest.mark.parametrize("order", [1, -1])
def test_the_older_form_is_read(
    library: Library, tmp_path: Path, packed: bytes, suffix: str, order: int
) -> None:
    config = configuration(PLAIN, PLAIN)
    members = dict(older([("one/layer.tar", packed), ("two/layer.tar", packed)], config))
    del members["two/layer.tar"]
    data = pack([(link("two/layer.tar", "../one/layer.tar"), b""), *members.items()][::order])
    assert load_bytes(library, data, tmp_path) == ["old:1"]
    image = library.resolve("old:1")
    assert library.missing(image) == ()
    assert [layer.media_type.rpartition(".")[2] for layer in image.manifest.layers] == [suffix] * 2
    assert library.blob(image.manifest.config.digest).read_bytes() == config
    assert load_bytes(library, data, tmp_path) == ["old:1"]


@pytest.mark.parametrize("tags", [None, [], ["NO NAME"]])
def test_an_archive_without_names_is_named_by_its_file(
    library: Library, tmp_path: Path, tags: object
) -> None:
    (name,) = load_bytes(library, pack(older([("l.tar", PLAIN)], configuration(PLAIN), tags)), tmp_path)
    assert name == "in:latest"
    assert library.resolve("in")


def test_an_archive_of_several_names(library: Library, tmp_path: Path) -> None:
    data = pack(older([("l.tar", PLAIN)], configuration(PLAIN), ["a:1", "registry.example/b:2"]))
    assert load_bytes(library, data, tmp_path) == ["a:1", "registry.example/b:2"]


def test_images_that_share_their_configuration(library: Library, tmp_path: Path) -> None:
    config = configuration(PLAIN)
    members = dict(older([("a.tar", PLAIN), ("b.tar", gzip.compress(PLAIN))], config))
    members["manifest.json"] = json.dumps(
        [
            {"Config": f"{hexdigest(config)}.json", "RepoTags": [f"{name}:1"], "Layers": [f"{name}.tar"]}
            for name in ("a", "b")
        ]
    ).encode()
    assert load_bytes(library, pack(members.items()), tmp_path) == ["a:1", "b:1"]
    images = [library.resolve(name) for name in ("a:1", "b:1")]
    assert images[0].manifest.config == images[1].manifest.config
    assert images[0].manifest.layers != images[1].manifest.layers
    assert [library.missing(image) for image in images] == [(), ()]


@pytest.mark.parametrize("program", ["gzip", "zstd", "xz", "bzip2"])
def test_compressed_archives_are_read(
    library: Library, other: Library, make_image: MakeImage, tmp_path: Path, program: str, need: Need
) -> None:
    need(shutil.which(program), f"{program} is not installed")
    write(library, make_image(), tmp_path / "x.tar")
    with open(tmp_path / "x.packed", "wb") as file:
        subprocess.run([program, "-c", tmp_path / "x.tar"], stdout=file, check=True)
    with open(tmp_path / "x.packed", "rb") as packed:
        (kept,) = load_stream(other, packed, "standard input", Silent())
    assert kept.name == NAME


def test_a_layer_of_other_bytes(library: Library, tmp_path: Path) -> None:
    for layer in (b"y" * 10240, gzip.compress(b"y"), b""):
        with pytest.raises(VerificationError, match=r"the layer l\.tar unpacks to sha256:"):
            load_bytes(library, pack(older([("l.tar", layer)], configuration(PLAIN))), tmp_path)
        assert is_untouched(library)


def test_a_configuration_of_another_digest(library: Library, tmp_path: Path) -> None:
    members = older([("l.tar", PLAIN)], configuration(PLAIN))
    changed = [(name, data + b" " if len(name) == 69 else data) for name, data in members]
    with pytest.raises(VerificationError, match="not the one that it is named by"):
        load_bytes(library, pack(changed), tmp_path)
    assert is_untouched(library)


HALF = b'[{"Config": "\\ud800", "Layers": ["l.tar"]}]'
SPARSE = tarfile.TarInfo("l.tar")
SPARSE.type = tarfile.GNUTYPE_SPARSE


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ([("../x", b"x")], "leads out of it"),
        ([("a/../../x", b"x")], "leads out of it"),
        ([(link("a/l", "../../x"), b"")], "a link that leads out of it"),
        ([(link("l", "/etc/passwd"), b"")], "a link that leads out of it"),
        ([(link("l", "../x", tarfile.LNKTYPE), b"")], "leads out of it"),
        ([(link("l", "", tarfile.CHRTYPE), b"")], "is a device or a pipe"),
        ([(link("l", "", tarfile.FIFOTYPE), b"")], "is a device or a pipe"),
        ([("a", b"1"), ("./a", b"2")], "two different files 'a'"),
        ([(f"{number}", b"") for number in range(10_001)], "more than 10000 files"),
        ([("repositories", b"{}")], "a Docker before 1.10"),
        ([*older([("l.tar", PLAIN)], configuration(PLAIN))[:1], ("manifest.json", HALF)], "has no file"),
        ([("etc/passwd", b"root")], "neither an OCI layout nor a docker archive"),
        ([("manifest.json", b"{")], "is no JSON"),
        ([("manifest.json", b"[" * 100_000)], "is no JSON"),
        ([("manifest.json", b"{}")], "names no images"),
        ([("manifest.json", b"[]")], "names no images"),
        ([("manifest.json", b"[1]")], "is no JSON object"),
        ([("manifest.json", b'[{"Config": 1}]')], "is no string"),
        ([("manifest.json", b'[{"Config": "x"}]')], "has no file 'x'"),
        ([("manifest.json", b'[{"Config": "x"}]'), ("x", b"{}")], "it has no rootfs"),
        ([("manifest.json", b" " * (5 << 20))], "has more than 4194304 bytes"),
        (older([("l.tar", PLAIN)], configuration(PLAIN, PLAIN)), "is of 2 layers, and manifest.json names 1"),
        (older([("l.tar", PLAIN)], configuration(PLAIN))[1:], "has no file 'l.tar'"),
        (older([("l.tar", gzip.compress(PLAIN)[:-9])], configuration(PLAIN)), "is truncated"),
        (older([("l.tar", b"\x1f\x8b" + bytes(90))], configuration(PLAIN)), "cannot be decompressed"),
        ([("l", PLAIN), *older([("l.tar", PLAIN)], configuration(PLAIN), "tag")], "RepoTags is no array"),
    ],
)
def test_hostile_archives(
    library: Library, tmp_path: Path, members: list[tuple[str | tarfile.TarInfo, bytes]], error: str
) -> None:
    with pytest.raises(ImageError, match=error) as caught:
        load_bytes(library, pack(members), tmp_path)
    assert caught.value.exit_status == 1
    assert is_untouched(library)
    assert {path.name for path in tmp_path.iterdir()} == {"store", "in.tar"}


def test_a_member_larger_than_the_disk(library: Library, tmp_path: Path) -> None:
    info = tarfile.TarInfo("manifest.json")
    info.size = 1 << 60
    (tmp_path / "in.tar").write_bytes(info.tobuf())
    with pytest.raises(Exception, match="there is no room for") as caught:
        load(library, tmp_path / "in.tar", Silent())
    assert getattr(caught.value, "exit_status", None) == 1
    assert is_untouched(library)


def test_an_extended_header_that_would_fill_the_memory(library: Library, tmp_path: Path) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
        info = tarfile.TarInfo("x")
        info.type, info.size = kind, 1 << 34
        with pytest.raises(ImageError, match="headers of more than 1048576 bytes"):
            load_bytes(library, info.tobuf(tarfile.GNU_FORMAT) + bytes(2048), tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"text", bytes(10240), b"\x1f\x8b\x08", gzip.compress(b"text", mtime=0)]
)
def test_files_that_are_no_archives(library: Library, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ImageError):
        load_bytes(library, data, tmp_path)
    assert is_untouched(library)


def test_a_name_of_half_characters_in_a_folder(library: Library, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/manifest.json").write_bytes(HALF)
    with pytest.raises(ImageError, match="has a member whose name is none"):
        load(library, tmp_path / "folder", Silent())


def test_files_that_cannot_be_read(library: Library, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"cannot read .*nowhere: No such file"):
        load(library, tmp_path / "nowhere", Silent())
    with pytest.raises(ImageError, match="is no image"):
        load(library, tmp_path, Silent())


WHOLE = pack(
    older([("one/layer.tar", PLAIN), ("two/layer.tar", gzip.compress(PLAIN))], configuration(PLAIN, PLAIN))
)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


def try_bytes(scratch: Path, data: bytes) -> bool:
    """Whether `data` load; if not, the error is ours and the store untouched."""
    library = Library(Store.open(scratch / os.urandom(6).hex()))
    (scratch / "in.tar").write_bytes(data)
    try:
        load(library, scratch / "in.tar", Silent())
    except (ImageError, VerificationError):
        assert library.names() == ()
        assert not list((library.store.root / "temporary").iterdir())
        return False
    finally:
        shutil.rmtree(library.store.root)
    return True


@quick
@given(cut=st.integers(min_value=0, max_value=len(WHOLE) - 10240))
def test_truncated_archives(scratch: Path, cut: int) -> None:
    whole = len(WHOLE.rstrip(b"\0")) + 511 & ~511
    if cut < whole - 512:  # what follows is padding, and `repositories`, which is not read
        try_bytes(scratch, WHOLE[:cut])


@quick
@given(
    changes=st.lists(
        st.tuples(
            st.integers(min_value=0, max_value=len(WHOLE) - 1), st.integers(min_value=0, max_value=255)
        ),
        min_size=1,
        max_size=8,
    )
)
def test_damaged_archives(scratch: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for position, value in changes:
        data[position] = value
    try_bytes(scratch, bytes(data))


PATHS = st.sampled_from(
    [
        "manifest.json",
        "oci-layout",
        "index.json",
        "x",
        "../x",
        "/x",
        "a/../../x",
        "x/",
        "",
        "\udcff",
        "a" * 300,
    ]
)
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | PATHS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Config", "Layers", "RepoTags", "manifests", "mediaType", "digest", "size"]),
            inner,
        )
    ),
    max_leaves=6,
)


@quick
@given(
    members=st.lists(
        st.tuples(PATHS, st.binary(max_size=20) | JSON.map(lambda value: json.dumps(value).encode())),
        max_size=5,
    )
)
def test_made_up_archives(scratch: Path, members: list[tuple[str | tarfile.TarInfo, bytes]]) -> None:
    try:
        data = pack(members)
    except (UnicodeEncodeError, ValueError):
        return
    assert not try_bytes(scratch, data)
    assert {path.name for path in scratch.iterdir()} == {"in.tar"}


def test_skopeo_reads_it(library: Library, make_image: MakeImage, tmp_path: Path, need: Need) -> None:
    need(shutil.which("skopeo"), "skopeo is not installed")
    image = make_image({"a": b"a"}, {"b": b"b"})
    write(library, image, tmp_path / "x.tar")
    seen = json.loads(run("skopeo", "inspect", "--config", f"docker-archive:{tmp_path}/x.tar:example:1"))
    assert seen["rootfs"]["diff_ids"] == list(image.configuration.diff_ids)
    assert json.loads(run("skopeo", "inspect", f"oci-archive:{tmp_path}/x.tar:1"))["Digest"] == (
        image.descriptor.digest
    )
    run("skopeo", "copy", f"docker-archive:{tmp_path}/x.tar:example:1", f"oci:{tmp_path}/oci:1")


def test_what_skopeo_wrote_is_read(
    library: Library, other: Library, make_image: MakeImage, tmp_path: Path, need: Need
) -> None:
    need(shutil.which("skopeo"), "skopeo is not installed")
    image = make_image({"a": b"a"}, {"a": b"a"}, {"b": b"b"})
    write(library, image, tmp_path / "x.tar")
    run("skopeo", "copy", f"oci-archive:{tmp_path}/x.tar", f"docker-archive:{tmp_path}/y.tar:me/name:tag")
    (kept,) = load(other, tmp_path / "y.tar", Silent())
    assert kept.name.familiar == "me/name:tag"
    assert other.resolve("me/name:tag").configuration.diff_ids == image.configuration.diff_ids


def test_a_bomb_is_not_unpacked(
    library: Library, make_image: MakeImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image({"zeros": bytes(1 << 20)}, compression="zstd")
    zeros = bytes(1 << 20)
    loaded = pack(older([("l.tar", gzip.compress(zeros))], configuration(zeros)))
    monkeypatch.setattr("wardian.image.decompress._SLACK", 0)
    with pytest.raises(ImageError, match="unpacks to more than"):
        write(library, image, tmp_path / "x.tar")
    with pytest.raises(ImageError, match=r"the layer l\.tar unpacks to more than"):
        load_bytes(library, loaded, tmp_path)
    assert not list((library.store.root / "temporary").iterdir())


def test_a_layer_that_images_share_is_unpacked_once(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(PLAIN)
    image = {"Config": f"{hexdigest(config)}.json", "Layers": ["l.tar"]}
    content = json.dumps([{**image, "RepoTags": [f"x:{number}"]} for number in range(50)])
    read = []
    pieces = StagedSource.pieces
    monkeypatch.setattr(StagedSource, "pieces", lambda self, name: read.append(name) or pieces(self, name))
    members = [("l.tar", PLAIN), (image["Config"], config), ("manifest.json", content.encode())]
    assert len(load_bytes(library, pack(members), tmp_path)) == 50
    assert read.count("l.tar") == 1


def test_documents_that_would_fill_the_memory(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [configuration(PLAIN) + b" " * number for number in range(20)]
    content = json.dumps([{"Config": f"{number}", "Layers": ["l.tar"]} for number in range(20)])
    files = [(f"{number}", config) for number, config in enumerate(configs)]
    monkeypatch.setattr("wardian.image.found._MOST_BYTES", 5000)
    with pytest.raises(ImageError, match="manifests and configurations of more than 5000 bytes"):
        load_bytes(library, pack([("l.tar", PLAIN), *files, ("manifest.json", content.encode())]), tmp_path)
    assert is_untouched(library)


def test_unpacking_leaves_room_on_the_disk(
    library: Library, make_image: MakeImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image(compression="zstd")
    monkeypatch.setattr("wardian.system.disk.has_room", lambda *_: False)
    with pytest.raises(HostError, match="there is no room in the store"):
        write(library, image, tmp_path / "x.tar")


def test_a_layer_of_another_compression_than_it_says(
    library: Library, make_image: MakeImage, tmp_path: Path
) -> None:
    image = make_image({"a": b"a"}, compression="zstd")
    wrong = tuple(replace(layer, media_type=LAYER_GZIP) for layer in image.manifest.layers)
    image = replace(image, manifest=replace(image.manifest, layers=wrong))
    write(library, image, tmp_path / "x.tar")
    with tarfile.open(tmp_path / "x.tar") as archive:
        (content,) = json.load(archive.extractfile("manifest.json") or io.BytesIO())
        layer = archive.extractfile(content["Layers"][0])
        assert layer
        assert layer.read().startswith(b"a\0")
