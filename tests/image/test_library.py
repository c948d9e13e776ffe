"""Images in the store: what is found by which words, and what is refused."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from wardian.errors import ImageError, VerificationError
from wardian.image.descriptor import CONFIG, INDEX, MANIFEST, Descriptor, Digest
from wardian.image.library import Library, StoredImage, layer_snapshot_key
from wardian.image.manifest import Index, Manifest
from wardian.image.platform import Platform
from wardian.image.reference import Reference
from wardian.store.store import Store

MakeImage = Callable[..., StoredImage]


def test_a_blob_is_stored_once_under_its_digest(library: Library) -> None:
    descriptor = library.add(b"text", CONFIG)
    assert descriptor == Descriptor.of(b"text", CONFIG)
    assert library.blob(descriptor.digest).read_bytes() == b"text"
    before = library.blob(descriptor.digest).stat().st_ino
    assert library.add(b"text", CONFIG) == descriptor
    assert library.blob(descriptor.digest).stat().st_ino == before


def test_a_blob_of_another_size_is_written_anew(library: Library) -> None:
    descriptor = library.add(b"text", CONFIG)
    library.blob(descriptor.digest).write_bytes(b"te")
    assert not library.has(descriptor)
    library.add(b"text", CONFIG)
    assert library.blob(descriptor.digest).read_bytes() == b"text"


@pytest.mark.parametrize("data", [b"", b"tex", b"texts", b"TEXT"])
def test_what_is_copied_has_to_be_what_was_named(library: Library, data: bytes) -> None:
    descriptor = Descriptor.of(b"text", CONFIG)
    with pytest.raises(VerificationError, match=r"the layer (should have|is longer)"):
        library.copy((data,), descriptor, "the layer")
    assert not library.blob(descriptor.digest).exists()
    assert not list((library.store.root / "temporary").iterdir())


def test_an_image_is_found_by_name_and_digest(library: Library, make_image: MakeImage) -> None:
    image = make_image(name="example:1")
    digest = image.descriptor.digest
    for text in (
        "example:1",
        "docker.io/library/example:1",
        f"example:1@{digest}",
        f"example@{digest}",
        str(digest),
        digest.hex,
        digest.hex[:12],
    ):
        assert library.resolve(text) == image
    for text in ("example", "example:2", f"example:2@{digest}", digest.hex[:3], "0" * 64):
        with pytest.raises(ImageError, match="there is no image") as caught:
            library.resolve(text)
        assert caught.value.hint


@pytest.mark.parametrize("repository", ["library/a", "library/a/b", "a/b", "library/library"])
def test_names_as_people_write_them_mean_the_same(repository: str) -> None:
    name = Reference(registry="docker.io", repository=repository, tag="1")
    assert Reference.parse(name.familiar) == name
    assert ("library/" in name.familiar) is (repository == "library/a/b")


def test_near_names_are_offered(library: Library, make_image: MakeImage) -> None:
    make_image(name="registry.example/team/analysis:1.0")
    with pytest.raises(ImageError) as caught:
        library.resolve("registry.example/team/analysis:1.1")
    assert caught.value.hint == "did you mean registry.example/team/analysis:1.0?"


def test_a_digest_that_two_images_begin_with_is_refused(library: Library, make_image: MakeImage) -> None:
    made = {}
    for number in range(2000):
        image = make_image(name="", architecture=f"x{number}")
        prefix = image.descriptor.digest.hex[:4]
        library.keep(Reference.parse(f"n:{number}"), image.descriptor, origin="loaded")
        if prefix in made:
            break
        made[prefix] = image
    with pytest.raises(ImageError, match="begins 2 images' digests"):
        library.resolve(prefix)


def test_a_name_moves_and_is_forgotten(library: Library, make_image: MakeImage) -> None:
    first, second = make_image(name="x"), make_image({"a": b"b"}, name="x")
    assert library.resolve("x").descriptor == second.descriptor != first.descriptor
    assert [str(kept.name) for kept in library.names()] == ["docker.io/library/x:latest"]
    assert library.forget(Reference.parse("x"))
    assert not library.forget(Reference.parse("x"))
    assert library.names() == ()


def test_an_index_gives_the_image_for_a_platform(library: Library, make_image: MakeImage) -> None:
    host = Platform.host().architecture
    far = "s390x" if host != "s390x" else "amd64"
    images = [make_image(name="", architecture=architecture) for architecture in (far, host)]
    entries = tuple(
        Descriptor(
            media_type=MANIFEST,
            digest=image.descriptor.digest,
            size=image.descriptor.size,
            platform={"os": "linux", "architecture": image.configuration.architecture},
        )
        for image in images
    )
    index = library.add(Index(manifests=entries).encode(), INDEX)
    library.keep(Reference.parse("many"), index, origin="pulled")
    assert library.resolve("many").configuration.architecture == host
    assert library.resolve("many", Platform(architecture=far)).configuration.architecture == far
    with pytest.raises(ImageError, match="not there for linux/ppc64le; it is for linux/"):
        library.resolve("many", Platform(architecture="ppc64le"))
    library.blob(images[1].descriptor.digest).unlink()
    assert library.resolve("many").configuration.architecture == far  # the only one that is there


def test_an_image_for_another_platform_is_refused(library: Library, make_image: MakeImage) -> None:
    make_image(name="far", architecture="s390x")
    with pytest.raises(ImageError, match="far:latest is for linux/s390x, not for linux/ppc64le"):
        library.resolve("far", Platform(architecture="ppc64le"))


def test_damage_is_noticed(library: Library, make_image: MakeImage) -> None:
    image = make_image(name="x")
    config = library.blob(image.manifest.config.digest)
    config.write_bytes(config.read_bytes().replace(b"tool", b"evil"))
    other = replace(image.manifest.layers[0], size=1)  # a wrong size does not remove the right bytes
    with pytest.raises(VerificationError, match="should have 1 bytes"):
        library.read(other, "the layer")
    assert library.missing(image) == ()
    with pytest.raises(VerificationError, match="the configuration of x:latest should have the digest") as it:
        library.resolve("x")
    assert it.value.hint == "pull, load or build the image again: the damaged file was removed"
    with pytest.raises(ImageError, match="is not in the store"):
        library.resolve("x")


def test_missing_layers_are_named(library: Library, make_image: MakeImage) -> None:
    image = make_image({"a": b"a"}, {"b": b"b"})
    assert library.missing(image) == ()
    library.blob(image.manifest.layers[1].digest).unlink()
    assert library.missing(image) == (image.manifest.layers[1],)


def test_a_manifest_that_does_not_fit_its_configuration(library: Library, make_image: MakeImage) -> None:
    image = make_image({"a": b"a"}, {"b": b"b"})
    short = Manifest(config=image.manifest.config, layers=image.manifest.layers[:1])
    with pytest.raises(ImageError, match="has 1 layers, and its configuration 2"):
        library.stored(library.add(short.encode(), MANIFEST))
    strange = Descriptor(media_type="text/plain", digest=image.manifest.layers[0].digest, size=1)
    odd = Manifest(config=image.manifest.config, layers=(strange, strange))
    with pytest.raises(ImageError, match="a layer of the type text/plain"):
        library.stored(library.add(odd.encode(), MANIFEST))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"name": 1}', '{"name": "x", "origin": "elsewhere"}', "[" * 9999]
)
def test_unreadable_names_are_passed_over(library: Library, make_image: MakeImage, text: str) -> None:
    make_image(name="x")
    (library.store.references() / "0.json").write_text(text)
    assert [kept.name.familiar for kept in library.names()] == ["x:latest"]


def test_keys_of_unpacked_layers() -> None:
    assert layer_snapshot_key(Digest.of(b"")) == "c98055fd2445263891826db42438411bf514d325"


def _add_many(root: str, number: int) -> None:
    library = Library(Store.open(root))
    for round in range(30):
        descriptor = library.add(f"{round}".encode() * 1000, CONFIG)
        library.keep(Reference.parse(f"x:{round}"), descriptor, origin="loaded", project=str(number))


def test_two_processes_at_once(tmp_path: Path) -> None:
    root = str(tmp_path / "store")
    workers = [multiprocessing.Process(target=_add_many, args=(root, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    library = Library(Store.open(root))
    assert len(library.names()) == 30
    assert all(library.has(kept.descriptor) for kept in library.names())
