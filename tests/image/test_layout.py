"""OCI layouts, written and read, with others' tools in between."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from wardian.errors import HostError, ImageError, VerificationError
from wardian.image.descriptor import INDEX, MANIFEST, Descriptor, Digest
from wardian.image.layout import write_folder, write_tar
from wardian.image.library import Library, StoredImage
from wardian.image.load import load
from wardian.image.manifest import Index
from wardian.image.reference import Reference
from wardian.store.store import Store
from wardian.system.progress import Silent

MakeImage = Callable[..., StoredImage]
NAME = Reference.parse("example:1")
Need = Callable[[object, str], None]


def run(*words: object) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(index: Path) -> list[str]:
    content = json.loads((index / "index.json").read_text())
    return [item["annotations"]["io.containerd.image.name"] for item in content["manifests"]]


def write(library: Library, image: StoredImage, path: Path, name: Reference | None = NAME) -> bytes:
    with open(path, "wb") as file:
        write_tar(library, image, file, name)
    return path.read_bytes()


def edit(folder: Path, name: str, change: Callable[[dict], object]) -> None:  # type: ignore[type-arg]
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


@pytest.fixture
def layout(library: Library, make_image: MakeImage, tmp_path: Path) -> Path:
    """A layout with one image of two layers."""
    folder = tmp_path / "layout"
    write_folder(library, make_image({"a": b"a"}, {"b": b"b"}), folder, NAME)
    return folder


def test_a_folder_holds_the_image(library: Library, make_image: MakeImage, tmp_path: Path) -> None:
    image = make_image()
    write_folder(library, image, tmp_path / "x", NAME)
    assert (tmp_path / "x/oci-layout").read_text() == '{"imageLayoutVersion":"1.0.0"}'
    assert json.loads((tmp_path / "x/index.json").read_text()) == {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            {
                "mediaType": MANIFEST,
                "digest": image.descriptor.digest,
                "size": image.descriptor.size,
                "annotations": {
                    "io.containerd.image.name": "docker.io/library/example:1",
                    "org.opencontainers.image.ref.name": "1",
                },
                "platform": {"architecture": image.configuration.architecture, "os": "linux"},
            }
        ],
    }
    found = {path.name for path in (tmp_path / "x/blobs/sha256").iterdir()}
    assert found == {
        blob.digest.hex for blob in (image.descriptor, image.manifest.config, *image.manifest.layers)
    }
    assert {path.name for path in (tmp_path / "x").iterdir()} == {"oci-layout", "index.json", "blobs"}


def test_images_are_added_to_a_folder(library: Library, make_image: MakeImage, tmp_path: Path) -> None:
    first, second = make_image({"a": b"1"}), make_image({"a": b"2"})
    folder = tmp_path / "x"
    write_folder(library, first, folder, Reference.parse("one:1"))
    write_folder(library, first, folder, Reference.parse("two:1"))
    (folder / "other").write_text("stays")
    write_folder(library, second, folder, Reference.parse("one:1"))
    assert names(folder) == ["docker.io/library/two:1", "docker.io/library/one:1"]
    assert (folder / "other").read_text() == "stays"
    assert {kept.name.familiar for kept in load(library, folder, Silent())} == {"one:1", "two:1"}
    assert library.resolve("one:1").descriptor == second.descriptor
    assert library.resolve("two:1").descriptor == first.descriptor


def test_what_others_wrote_into_a_layout_stays(library: Library, make_image: MakeImage, layout: Path) -> None:
    more = {"artifactType": "text/x", "urls": ["registry.example"], "platform": {"os.features": ["f"]}}
    edit(layout, "index.json", lambda it: it["manifests"][0].update(more))
    edit(layout, "index.json", lambda it: it.update(subject={"size": 1}, annotations={"a": "b"}))
    before = json.loads((layout / "index.json").read_text())
    write_folder(library, make_image({"a": b"2"}), layout, Reference.parse("two:1"))
    after = json.loads((layout / "index.json").read_text())
    assert after["manifests"].pop()["annotations"]["io.containerd.image.name"] == "docker.io/library/two:1"
    assert after == before
    edit(layout, "index.json", lambda it: it.update(annotations={"a": "\ud800"}))
    with pytest.raises(ImageError, match="is no character that can be written"):
        write_folder(library, make_image({"a": b"2"}), layout, NAME)


def _write_one(root: str, folder: str, number: int) -> None:
    library = Library(Store.open(root))
    write_folder(library, library.resolve("example:1"), Path(folder), Reference.parse(f"x:{number}"))


def test_several_processes_write_one_folder(library: Library, make_image: MakeImage, tmp_path: Path) -> None:
    make_image()
    place = (str(library.store.root), str(tmp_path / "x"))
    workers = [multiprocessing.Process(target=_write_one, args=(*place, number)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 6
    assert sorted(names(tmp_path / "x")) == [f"docker.io/library/x:{number}" for number in range(6)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "x"]


def test_the_tag_alone_is_replaced_where_another_wrote_it(
    library: Library, make_image: MakeImage, layout: Path
) -> None:
    edit(layout, "index.json", lambda it: it["manifests"][0]["annotations"].pop("io.containerd.image.name"))
    write_folder(library, make_image({"a": b"2"}), layout, NAME)
    assert names(layout) == ["docker.io/library/example:1"]


def test_what_is_no_layout_is_not_written_into(
    library: Library, make_image: MakeImage, tmp_path: Path
) -> None:
    image = make_image()
    for name in ("folder", "file"):
        path = tmp_path / name
        path.mkdir() if name == "folder" else path.write_text("x")
        with pytest.raises(ImageError, match="is there, and is no OCI layout"):
            write_folder(library, image, path, NAME)
    assert list((tmp_path / "folder").iterdir()) == []
    with pytest.raises(HostError, match="cannot write"):
        write_folder(library, image, tmp_path / "nowhere/x", NAME)


def test_nothing_is_left_of_a_layout_that_failed(
    library: Library, make_image: MakeImage, tmp_path: Path
) -> None:
    image = make_image({"a": b"a"}, {"b": b"b"})
    blob = library.blob(image.manifest.layers[1].digest)
    blob.write_bytes(b"x" * blob.stat().st_size)
    with pytest.raises(VerificationError, match="the stored blob") as caught:
        write_folder(library, image, tmp_path / "x", NAME)
    assert caught.value.hint == "pull, load or build the image again: the damaged file was removed"
    with pytest.raises(ImageError, match="is not whole: 1 of its 2 layers are not in the store"):
        write_folder(library, image, tmp_path / "x", NAME)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_a_tar_has_the_same_bytes_each_time(library: Library, make_image: MakeImage, tmp_path: Path) -> None:
    image = make_image()
    assert write(library, image, tmp_path / "1.tar") == write(library, image, tmp_path / "2.tar")


@pytest.mark.parametrize("form", ["folder", "tar", "packed"])
def test_what_was_written_is_read(
    library: Library, other: Library, make_image: MakeImage, tmp_path: Path, form: str
) -> None:
    image = make_image({"a": b"a"}, {"b": b"b" * 3_000_000})
    path = tmp_path / f"x.{form}"
    if form == "folder":
        write_folder(library, image, path, NAME)
    else:
        write(library, image, path)
    if form == "packed":
        run("gzip", path)
        path = tmp_path / "x.packed.gz"
    (kept,) = load(other, path, Silent())
    assert (kept.name, kept.descriptor, kept.origin) == (NAME, image.descriptor, "loaded")
    assert other.missing(other.resolve("example:1")) == ()
    assert not list((other.store.root / "temporary").iterdir())


@pytest.mark.parametrize(
    ("annotations", "name"),
    [
        ({"org.opencontainers.image.ref.name": "2"}, "layout:2"),
        ({"org.opencontainers.image.ref.name": "localhost/me/x:3"}, "localhost/me/x:3"),
        ({"org.opencontainers.image.ref.name": "../../x"}, "layout:latest"),
        ({"io.containerd.image.name": "registry.example/x:1"}, "registry.example/x:1"),
        ({"io.containerd.image.name": "NO NAME"}, "layout:latest"),
        ({}, "layout:latest"),
    ],
)
def test_names_that_others_write(
    layout: Path, other: Library, annotations: dict[str, str], name: str
) -> None:
    edit(layout, "index.json", lambda it: it["manifests"][0].update(annotations=annotations))
    (kept,) = load(other, layout, Silent())
    assert kept.name.familiar == name
    assert other.resolve(kept.name.familiar)


def test_several_without_a_name_have_their_digests(layout: Path, other: Library) -> None:
    def edited(content: dict) -> None:  # type: ignore[type-arg]
        (item,) = content["manifests"]
        item["annotations"] = {}
        content["manifests"] = [item, {**item, "annotations": {"org.opencontainers.image.ref.name": "2"}}]

    edit(layout, "index.json", edited)
    unnamed, tagged = (kept.name.familiar for kept in load(other, layout, Silent()))
    assert unnamed.startswith("layout@sha256:")
    assert tagged == "layout:2"
    assert other.resolve(unnamed)


def nest(layout: Path, *more: Descriptor) -> None:
    """Put the layout's image into an index of its own, as buildx does."""
    entry = json.loads((layout / "index.json").read_text())["manifests"][0]
    mine = Descriptor.parse({**entry, "annotations": {}}, "it")
    inner = Index(manifests=(mine, *more)).encode()
    (layout / "blobs/sha256" / Digest.of(inner).hex).write_bytes(inner)
    outer = {**entry, **Descriptor.of(inner, INDEX).as_json(), "platform": None}
    edit(layout, "index.json", lambda it: it.update(manifests=[outer]))


def test_an_index_within_the_index(layout: Path, other: Library, make_image: MakeImage) -> None:
    missing = Descriptor(
        media_type=MANIFEST,
        digest=Digest.of(b"elsewhere"),
        size=9,
        platform={"os": "linux", "architecture": "s390x"},
    )
    attestation = Descriptor(
        media_type=MANIFEST, digest=Digest.of(b"a"), size=1, platform={"os": "unknown", "architecture": "x"}
    )
    nest(layout, missing, attestation)
    (kept,) = load(other, layout, Silent())
    assert kept.descriptor.media_type == INDEX
    assert other.missing(other.resolve("example:1")) == ()


def test_images_that_share_their_configuration(
    library: Library, other: Library, make_image: MakeImage, tmp_path: Path
) -> None:
    folder = tmp_path / "x"
    images = [make_image(compression=compression) for compression in ("none", "gzip", "zstd")]
    assert len({image.manifest.config.digest for image in images}) == 1
    for number, image in enumerate(images):
        write_folder(library, image, folder, Reference.parse(f"x:{number}"))
    load(other, folder, Silent())
    for number, image in enumerate(images):
        found = other.resolve(f"x:{number}")
        assert (found.descriptor, other.missing(found)) == (image.descriptor, ())
    (folder / "blobs/sha256" / images[2].manifest.layers[0].digest.hex).unlink()
    with pytest.raises(ImageError, match="lacks the layer"):
        load(Library(Store.open(tmp_path / "third")), folder, Silent())


def test_an_index_of_an_index_that_is_there_itself(layout: Path, other: Library) -> None:
    nest(layout)
    (inner,) = json.loads((layout / "index.json").read_text())["manifests"]
    nest(layout)
    edit(layout, "index.json", lambda it: it["manifests"].insert(0, inner))
    with pytest.raises(ImageError, match="is an index of indexes"):
        load(other, layout, Silent())
    assert other.names() == ()


def damage(layout: Path, which: str) -> None:
    entry = json.loads((layout / "index.json").read_text())["manifests"][0]
    manifest = layout / "blobs/sha256" / entry["digest"].partition(":")[2]
    parts = json.loads(manifest.read_text())
    chosen = {"manifest": entry, "config": parts["config"], "layer": parts["layers"][1]}[which]
    blob = layout / "blobs/sha256" / chosen["digest"].partition(":")[2]
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize("which", ["manifest", "config", "layer"])
@pytest.mark.parametrize("packed", [False, True])
def test_other_bytes_than_named(layout: Path, other: Library, which: str, packed: bool) -> None:
    damage(layout, which)
    place = layout
    if packed:
        place = layout.with_suffix(".tar")
        run("tar", "-C", layout, "-cf", place, ".")
    with pytest.raises(VerificationError, match="should have the digest"):
        load(other, place, Silent())
    assert other.names() == ()


def test_a_blob_that_is_not_there(layout: Path, other: Library) -> None:
    for path in (layout / "blobs/sha256").iterdir():
        if path.read_bytes()[:2] == b"\x1f\x8b":
            path.unlink()
    with pytest.raises(ImageError, match="lacks the layer"):
        load(other, layout, Silent())
    assert not list(other.store.contents().iterdir())


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("oci-layout", "{", "oci-layout is no JSON"),
        ("oci-layout", "[]", "is no JSON object"),
        ("oci-layout", '{"imageLayoutVersion": "2.0.0"}', "version '2.0.0'"),
        ("index.json", "{", "index.json is no JSON"),
        ("index.json", '{"schemaVersion": 2}', "no image manifest or index"),
        ("index.json", '{"manifests": []}', "has no image in it"),
        ("index.json", '{"manifests": [{}]}', "has no size"),
        ("index.json", '{"manifests": ' + "[" * 100_000, "is no JSON"),
        ("index.json", "x" * (5 << 20), "has more than 4194304 bytes"),
        (
            "index.json",
            json.dumps({"manifests": [{"mediaType": MANIFEST, "digest": "sha256:../../x", "size": 1}]}),
            "is no digest",
        ),
    ],
)
def test_documents_that_are_none(layout: Path, other: Library, name: str, text: str, error: str) -> None:
    (layout / name).write_text(text)
    with pytest.raises(ImageError, match=error):
        load(other, layout, Silent())
    assert other.names() == ()


def test_links_and_pipes_are_not_followed(layout: Path, other: Library, tmp_path: Path) -> None:
    index = layout / "index.json"
    index.rename(tmp_path / "index.json")
    index.symlink_to(tmp_path / "index.json")
    with pytest.raises(ImageError, match="is no image"):
        load(other, layout, Silent())
    index.unlink()
    os.mkfifo(index)
    with pytest.raises(ImageError, match="is no image"):
        load(other, layout, Silent())


def test_skopeo_and_umoci_agree(library: Library, make_image: MakeImage, tmp_path: Path, need: Need) -> None:
    need(shutil.which("skopeo") and shutil.which("umoci"), "skopeo and umoci are not installed")
    image = make_image(
        {"etc/": b"", "etc/name": b"lower", "gone": b"x"}, {"etc/name": b"upper", ".wh.gone": b""}
    )
    write_folder(library, image, tmp_path / "x", NAME)
    write(library, image, tmp_path / "x.tar")
    for place in (f"oci:{tmp_path}/x:1", f"oci-archive:{tmp_path}/x.tar:1"):
        assert json.loads(run("skopeo", "inspect", place))["Digest"] == image.descriptor.digest
    rootless = ["--rootless"] if os.geteuid() else []
    run("umoci", "unpack", *rootless, "--image", f"{tmp_path}/x:1", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/etc/name").read_text() == "upper"
    assert not (tmp_path / "bundle/rootfs/gone").exists()


def test_what_skopeo_wrote_is_read(
    library: Library, other: Library, make_image: MakeImage, tmp_path: Path, need: Need
) -> None:
    need(shutil.which("skopeo"), "skopeo is not installed")
    image = make_image()
    write_folder(library, image, tmp_path / "x", NAME)
    for target, name in (("y.tar:some.where/name:tag", "some.where/name:tag"), ("z.tar", "z:latest")):
        run("skopeo", "copy", f"oci:{tmp_path}/x:1", f"oci-archive:{tmp_path}/{target}")
        (kept,) = load(other, tmp_path / target.partition(":")[0], Silent())
        assert (kept.name.familiar, kept.descriptor.digest) == (name, image.descriptor.digest)


def test_blobs_that_are_wrong_are_written_anew(
    library: Library, make_image: MakeImage, layout: Path, tmp_path: Path
) -> None:
    image = make_image({"a": b"a"}, {"b": b"b"})
    blobs = [layout / "blobs/sha256" / layer.digest.hex for layer in image.manifest.layers]
    expected = [blob.read_bytes() for blob in blobs]
    inode = blobs[1].stat().st_ino
    blobs[0].write_bytes(bytes(len(expected[0])))
    write_folder(library, image, layout, NAME)
    assert [blob.read_bytes() for blob in blobs] == expected
    assert blobs[1].stat().st_ino == inode
