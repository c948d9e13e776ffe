"""Which of the images' names, blobs and unpacked layers a pruning takes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.images import store_image

from wardian.api import warm
from wardian.api.pruning import prune
from wardian.build import image as records
from wardian.image.descriptor import INDEX, LAYER_TAR, Descriptor
from wardian.image.library import Library, StoredImage, layer_snapshot_key
from wardian.image.manifest import Index
from wardian.image.reference import Reference
from wardian.store import snapshots
from wardian.store.snapshots import Snapshot
from wardian.store.store import Store

DAY = 86400.0
DEB = "d" * 64  # a fetched package


def remember(store: Store, project: Path, script: str | None = None) -> Path:
    """Write an image's record; returns the launch record, which tells its last use: now."""
    identity = warm.identify(str(project), script)
    record = records.Record(
        key="k",
        name="project",
        platform="linux/amd64",
        layers=(),
        beside=(),
        project=str(project),
        identity=identity,
        created=records.now(),
    )
    records.write_record(store, record)
    launch = store.project(identity) / "launch.json"
    launch.write_text("{}")
    return launch


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """A store with a project's image, so that fetched packages are kept."""
    store = Store.open(tmp_path / "store")
    (tmp_path / "project").mkdir()
    remember(store, tmp_path / "project")
    store.content(DEB).parent.mkdir(parents=True)
    store.content(DEB).write_bytes(b"!<arch>\n")
    return Library(store)


@pytest.fixture
def make(library: Library) -> Callable[..., StoredImage]:
    """Store an image whose layers have been unpacked."""

    def make_one(*layers: bytes, name: str, **options: str) -> StoredImage:
        image = store_image(library, *({"file": layer} for layer in layers), name=name, **options)
        for diff_id in image.configuration.diff_ids:
            key = layer_snapshot_key(diff_id)
            if not snapshots.find(library.store, key):
                with library.store.temporary() as folder:
                    (folder / "new/root").mkdir(parents=True)
                    snapshots.commit(
                        library.store, folder / "new", Snapshot(name="layer", key=key, bytes=0, seconds=0)
                    )
        return image

    return make_one


def blobs(library: Library) -> set[str]:
    return {path.name for path in library.store.contents().glob("*/*")}


def of(*images: StoredImage) -> set[str]:
    return {
        blob.digest.hex
        for image in images
        for blob in (image.descriptor, image.manifest.config, *image.manifest.layers)
    }


def unpacked(library: Library) -> set[str]:
    return {path.name for path in (library.store.root / "snapshots").iterdir()}


def layers_of(*images: StoredImage) -> set[str]:
    return {layer_snapshot_key(diff_id) for image in images for diff_id in image.configuration.diff_ids}


Make = Callable[..., StoredImage]


def test_what_has_a_name_stays(library: Library, make: Make) -> None:
    image = make(b"1", b"2", name="example:1")
    assert prune(library.store.root).removed == ()
    assert blobs(library) == of(image) | {DEB}
    assert unpacked(library) == layers_of(image)


def test_what_has_none_goes_but_shared_layers(library: Library, make: Make) -> None:
    kept, lost = make(b"shared", b"1", name="kept"), make(b"shared", b"2", name="lost")
    library.forget(Reference.parse("lost"))
    dry = prune(library.store.root, dry_run=True)
    assert prune(library.store.root) == dry
    assert blobs(library) == of(kept) | {DEB}
    assert unpacked(library) == layers_of(kept)
    assert {item.name for item in dry.removed} == {
        *(f"blob {digest[:12]}" for digest in of(lost) - of(kept) - {lost.descriptor.digest.hex}),
        f"manifest {lost.descriptor.digest.hex[:12]}",
        *(f"part {key[:12]}" for key in layers_of(lost) - layers_of(kept)),
    }
    assert dry.removed[-1].name.startswith("manifest")  # what would tell of the others goes last


def test_all_images_of_an_index_stay(library: Library, make: Make) -> None:
    images = [make(b"1", name=""), make(b"2", name="", architecture="s390x")]
    missing = Descriptor(
        media_type=images[0].descriptor.media_type, digest=images[0].descriptor.digest, size=1
    )
    index = library.add(Index(manifests=(*(it.descriptor for it in images), missing)).encode(), INDEX)
    library.keep(Reference.parse("many"), index, origin="pulled")
    assert prune(library.store.root).removed == ()
    assert blobs(library) == of(*images) | {index.digest.hex, DEB}


def test_damaged_images_with_a_name_keep_what_is_known(library: Library, make: Make) -> None:
    image = make(b"1", name="example")
    library.blob(image.manifest.config.digest).write_bytes(b"{}")
    prune(library.store.root)
    assert blobs(library) | {image.manifest.config.digest.hex} == of(image) | {DEB}


@pytest.mark.parametrize("origin", ["pulled", "loaded", "tagged"])
def test_old_names_go_when_it_is_asked(library: Library, make: Make, origin: str) -> None:
    image = make(b"1", name="")
    kept = library.keep(Reference.parse("x"), image.descriptor, origin=origin)  # type: ignore[arg-type]
    (path,) = library.store.references().glob("*.json")
    os.utime(path, (0, time.time() - 40 * DAY))
    assert prune(library.store.root).removed == ()
    library.resolve("x")  # a use
    assert prune(library.store.root, older_than=30 * DAY).removed == ()
    os.utime(path, (0, time.time() - 40 * DAY))
    removed = prune(library.store.root, older_than=30 * DAY).removed
    assert removed[0].name == f"name {kept.name.familiar} of a {origin} image"
    assert library.names() == ()
    assert blobs(library) == {DEB}


def test_built_images_go_with_their_project(library: Library, make: Make, tmp_path: Path) -> None:
    for name, project in (("there", tmp_path / "project"), ("gone", tmp_path / "gone")):
        image = make(name.encode(), name="")
        library.keep(Reference.parse(name), image.descriptor, origin="built", project=str(project))
    prune(library.store.root)
    assert [kept.name.familiar for kept in library.names()] == ["there:latest"]
    script = remember(library.store, tmp_path / "project", f"{tmp_path}/project/a.py")
    script.unlink()
    prune(library.store.root, older_than=DAY)  # takes the script's image, which has no name
    assert len(list(library.store.images().iterdir())) == 1
    assert [kept.name.familiar for kept in library.names()] == ["there:latest"]
    identity = warm.identify(str(tmp_path / "project"))
    (library.store.project(identity) / "launch.json").unlink()
    prune(library.store.root, older_than=DAY)  # takes the project's image, so its name too
    assert library.names() == ()


def test_packed_layers_are_told_by_their_records(library: Library, make: Make) -> None:
    image = make(b"1", name="example")
    lost = library.write((b"of an earlier build",), LAYER_TAR)
    gone = Descriptor.of(b"never there", LAYER_TAR)
    for name, blob in (("kept", image.manifest.layers[0]), ("lost", lost), ("gone", gone)):
        record = library.store.layers() / f"{name}.gzip.json"
        record.write_text(json.dumps({"descriptor": blob.as_json()}))
    (library.store.layers() / "damaged.json").write_text("{")
    prune(library.store.root)
    assert {path.name for path in library.store.layers().iterdir()} == {"kept.gzip.json"}
    assert blobs(library) == of(image) | {DEB}


def test_fetched_packages_go_without_a_project_and_blobs_stay(library: Library, make: Make) -> None:
    image = make(b"1", name="example")
    for path in library.store.images().iterdir():
        path.unlink()
    prune(library.store.root)
    assert blobs(library) == of(image)
    assert unpacked(library) == layers_of(image)


def test_old_downloads_go_when_it_is_asked(library: Library, make: Make) -> None:
    image = make(b"1", name="example")
    for path in library.store.contents().glob("*/*"):
        os.utime(path, (0, time.time() - 40 * DAY))
    library.store.content("e" * 64).parent.mkdir()
    library.store.content("e" * 64).write_bytes(b"!<arch>\n")  # just now
    assert prune(library.store.root).removed == ()
    (gone,) = prune(library.store.root, older_than=30 * DAY).removed
    assert gone.name == f"download {DEB[:12]}"
    assert blobs(library) == of(image) | {"e" * 64}


def test_downloads_that_broke_off_go_when_they_are_old(library: Library) -> None:
    old, new = (library.store.cache("partial") / digit for digit in "ab")
    old.write_bytes(b"1")
    new.write_bytes(b"1")
    os.utime(old, (0, time.time() - 40 * DAY))
    assert [item.name for item in prune(library.store.root).removed] == [
        "unfinished download in cache/partial"
    ]
    assert not old.exists()
    assert new.exists()


def test_a_name_that_cannot_be_read_may_need_anything(library: Library, make: Make) -> None:
    image = make(b"1", name="example")
    (path,) = library.store.references().glob("*.json")
    path.write_text("{")
    assert prune(library.store.root, older_than=DAY).removed == ()
    assert of(image) <= blobs(library)
    assert layers_of(image) == unpacked(library)


def test_all_takes_all(library: Library, make: Make) -> None:
    make(b"1", name="example")
    (library.store.references() / "0.json").write_text("{")
    prune(library.store.root, everything=True)
    assert not list(library.store.references().iterdir())
    assert not blobs(library)
    assert not unpacked(library)


def test_what_is_remembered_of_runs_stays_with_the_name(library: Library, make: Make) -> None:
    store = library.store
    for name in ("kept", "lost"):
        make(name.encode(), name=name)
        record = {"reference": str(library._path(Reference.parse(name)))}
        (store.project(name) / "launch.json").write_text(json.dumps(record))
        (store.project(name) / "apt.conf").write_text("")
    for name, text in (("damaged", "{"), ("old", "[]"), ("other", '{"reference": "."}')):
        (store.project(name) / "launch.json").write_text(text)
    library.forget(Reference.parse("lost"))
    prune(store.root)
    assert {path.name for path in (store.root / "projects").iterdir()} == {
        path.stem for path in store.images().iterdir()
    } | {"kept"}
    assert (store.project("kept") / "apt.conf").exists()
    prune(store.root, everything=True)
    assert not list((store.root / "projects").iterdir())
