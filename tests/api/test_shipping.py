"""Pushing while layers are still made: what goes wrong on the way is raised once, at the end."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from tests.images import store_image
from tests.registry.servers import PROGRAM, RealRegistry, running_registry

from wardian.api.shipping import Arrived, push, stored
from wardian.errors import ImageError, UserError
from wardian.image.library import Library, StoredImage
from wardian.image.reference import Reference
from wardian.store.store import Store
from wardian.system.progress import Silent


@pytest.fixture
def registry(tmp_path: Path, need: Callable[[object, str], None]) -> Iterator[RealRegistry]:
    need(os.path.exists(PROGRAM), "docker-registry is not installed")
    (tmp_path / "registry").mkdir()
    with running_registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Store.open(tmp_path / "home"))


def test_blobs_are_sent_as_they_come(library: Library, registry: RealRegistry) -> None:
    image = store_image(library, {"a": os.urandom(5000)}, {"b": b"2"})
    reference = Reference.parse(f"{registry.host}/a:1")
    keywords = {"store": library.store, "environment": {"HOME": "/nosuch"}, "progress": Silent()}
    done = push(stored(library, image), reference, **keywords)  # type: ignore[arg-type]
    assert done.digest == image.descriptor.digest
    assert (done.traffic.sent, done.traffic.present) == (3, 0)
    again = push(stored(library, image), reference, **keywords)  # type: ignore[arg-type]
    assert (again.traffic.sent, again.traffic.present) == (0, 3)


def test_a_failure_on_the_way_is_raised_at_the_end(
    library: Library, registry: RealRegistry, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    image = store_image(library, *({"a": os.urandom(5000)} for _ in range(8)))

    def source(arrived: Arrived) -> StoredImage:
        """As packing does: blobs are told of by whatever a future calls when it is done."""
        for layer in image.manifest.layers:
            future: Future[None] = Future()
            future.add_done_callback(lambda _, layer=layer: arrived(layer, tmp_path / "nosuch"))  # type: ignore[misc]
            future.set_result(None)
        return image

    with caplog.at_level(logging.DEBUG, logger="concurrent.futures"), pytest.raises((UserError, OSError)):
        push(
            source,
            Reference.parse(f"{registry.host}/a:1"),
            store=library.store,
            environment={"HOME": "/nosuch"},
            progress=Silent(),
        )
    assert not caplog.records


def test_an_image_that_is_not_whole(library: Library) -> None:
    image = store_image(library, {"a": b"1"}, {"b": b"2"})
    library.blob(image.manifest.layers[0].digest).unlink()
    with pytest.raises(ImageError, match="example:1 is not whole: 1 of its 2 layers are not in the store"):
        stored(library, image)
