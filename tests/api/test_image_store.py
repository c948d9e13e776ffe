"""The public names for images: found, named, written, read, pushed, pulled, measured, compared."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from tests.images import store_image
from tests.registry.servers import PROGRAM, RealRegistry, running_registry

import wardian
from wardian import ImageStore, StoredImage
from wardian.errors import EngineError, ImageError
from wardian.image.library import Library
from wardian.store.store import Store

LAYERS = ({"etc/": b"", "etc/a": b"1" * 3000}, {"etc/": b"", "etc/b": b"2"})
DOCUMENT = Path(__file__).parents[2] / "docs/api.md"


@pytest.fixture
def registry(tmp_path: Path, need: Callable[[object, str], None]) -> Iterator[RealRegistry]:
    need(os.path.exists(PROGRAM), "docker-registry is not installed")
    (tmp_path / "registry").mkdir()
    with running_registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., ImageStore]:
    """Open a store below the test's folder, with nothing of the user's own configuration."""

    def open_store(name: str = "home", **environment: str) -> ImageStore:
        return ImageStore.open(tmp_path / name, environment={"HOME": str(tmp_path / "user"), **environment})

    return open_store


@pytest.fixture
def store(opened: Callable[..., ImageStore]) -> ImageStore:
    return opened()


@pytest.fixture
def image(store: ImageStore, tmp_path: Path) -> StoredImage:
    return store_image(Library(Store.open(tmp_path / "home")), *LAYERS)


def test_every_public_name_is_there_and_typed() -> None:
    """What type checkers see under TYPE_CHECKING is what an import gives."""
    assert sorted(wardian._HOMES) == sorted(wardian.__all__)
    lines = (Path(wardian.__file__).read_text().split("if TYPE_CHECKING:\n")[1]).split("\n\n")[0].split("\n")
    seen = {}
    for line in filter(None, lines):
        module, names = line.strip().removeprefix("from ").split(" import ")
        for name in names.split(", "):
            own, _, public = name.partition(" as ")
            seen[public or own] = getattr(import_module(module), own)
    assert seen == {name: getattr(wardian, name) for name in wardian.__all__}
    documented = DOCUMENT.read_text()
    assert [name for name in wardian.__all__ if f"`{name}`" not in documented] == []
    with pytest.raises(AttributeError, match="has no attribute 'nosuch'"):
        wardian.nosuch  # noqa: B018


def test_the_store_is_that_of_the_environment(tmp_path: Path, image: StoredImage) -> None:
    (kept,) = ImageStore.open(environment={"WARDIAN_HOME": str(tmp_path / "home")}).names()
    assert (kept.name.familiar, kept.descriptor, kept.origin) == ("example:1", image.descriptor, "loaded")


def test_found_and_named(store: ImageStore, image: StoredImage) -> None:
    made = store.tag(image.descriptor.digest.hex[:8], "registry.example/x:2")
    assert (made.name.familiar, made.origin) == ("registry.example/x:2", "tagged")
    assert store.find("registry.example/x:2", platform=str(image.platform)).descriptor == image.descriptor
    assert store.images(store.lookup("example:1")) == (image,)
    assert store.configuration(image)["rootfs"]["diff_ids"] == list(image.configuration.diff_ids)
    with pytest.raises(ImageError, match="names a digest, which no one can choose"):
        store.tag("example:1", f"x@{image.descriptor.digest}")
    with pytest.raises(ImageError, match="there is no image 'nosuch' here"):
        store.remove("example:1", "nosuch")
    assert [kept.name.familiar for kept in store.remove("example:1")] == ["example:1"]
    assert [kept.name.familiar for kept in store.names()] == ["registry.example/x:2"]


def test_an_image_that_is_not_whole_is_not_found(
    store: ImageStore, image: StoredImage, tmp_path: Path
) -> None:
    Library(Store.open(tmp_path / "home")).blob(image.manifest.layers[0].digest).unlink()
    with pytest.raises(ImageError, match="example:1 is not whole: 1 of its 2 layers are not in the store"):
        store.find("example:1")


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_written_and_read(
    store: ImageStore, image: StoredImage, opened: Callable[..., ImageStore], form: wardian.ArchiveFormat
) -> None:
    file = io.BytesIO()
    store.save(image, file, format=form)
    other = opened("other")
    (kept,) = other.load(io.BytesIO(file.getvalue()), what="a stream")
    assert (kept.name.familiar, kept.descriptor.digest) == ("example:1", image.descriptor.digest)
    assert other.find("example:1") == image


def test_no_other_format(store: ImageStore, image: StoredImage) -> None:
    with pytest.raises(ImageError, match="'zip' is no format of archives"):
        store.save(image, io.BytesIO(), format="zip")  # type: ignore[arg-type]


def test_a_layout_is_looked_at_before_the_image_is_made(
    store: ImageStore, image: StoredImage, opened: Callable[..., ImageStore], tmp_path: Path
) -> None:
    def refuse() -> StoredImage:
        raise AssertionError("made for nothing")

    with pytest.raises(ImageError, match="is there, and is no OCI layout"):
        store.save_layout(refuse, tmp_path)
    assert store.save_layout(lambda: image, tmp_path / "layout") == image
    assert json.loads((tmp_path / "layout/index.json").read_bytes())["manifests"]
    (kept,) = opened("other").load(tmp_path / "layout")
    assert kept.descriptor.digest == image.descriptor.digest


def test_an_engine_is_looked_for_before_the_image_is_made(store: ImageStore, image: StoredImage) -> None:
    def refuse() -> StoredImage:
        raise AssertionError("made for nothing")

    with pytest.raises(EngineError):
        store.deliver(refuse, host="unix:///nosuch.sock")
    with pytest.raises(ImageError, match="names an image by its digest, and engines know"):
        store.deliver(refuse, name=f"x@{image.descriptor.digest}")


def test_compared(store: ImageStore, image: StoredImage, tmp_path: Path) -> None:
    other = store_image(Library(Store.open(tmp_path / "home")), *LAYERS, {"c": b"3"}, name="example:2")
    difference = wardian.compare(store.inventory(image), store.inventory(other))
    assert [(change.path, change.old) for change in difference.files] == [("c", None)]
    assert (difference.shared, difference.new_layers) == (2, 1)
    measures = wardian.measure(difference.new)
    assert (measures.tree.bytes, measures.largest[0].path) == (3002, "etc/a")
    assert wardian.size_map(measures.tree, str).startswith("<svg ")


@pytest.mark.namespaces
def test_the_documents_example(
    opened: Callable[..., ImageStore], registry: RealRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()
    store_image(Library(Store.open(tmp_path / "home")), *LAYERS, name="penguins")
    text = DOCUMENT.read_text().split("## Images\n")[1]
    block = [line[4:] for line in text.split("\n") if line.startswith("    ") or not line]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARDIAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    exec("\n".join(block).replace("registry.example", registry.host), {})
    assert {kept.name.familiar for kept in store.names()} == {
        "penguins:latest",
        f"{registry.host}/me/penguins:1.0",
    }
