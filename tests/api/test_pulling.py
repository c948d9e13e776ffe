"""Pulling and unpacking at once: a name is for what could be unpacked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.images import store_image
from tests.registry.servers import PROGRAM, RealRegistry, running_registry

from wardian.api.pulling import pull_and_unpack
from wardian.api.shipping import Arrived, push
from wardian.errors import VerificationError
from wardian.image.descriptor import CONFIG, MANIFEST, Digest
from wardian.image.library import Library, StoredImage
from wardian.image.platform import Platform
from wardian.image.reference import Reference
from wardian.image.unpacking import are_there
from wardian.store.store import Store
from wardian.system.progress import Silent

pytestmark = pytest.mark.namespaces
ENVIRONMENT = {"HOME": "/nosuch"}


@pytest.fixture
def registry(tmp_path: Path, need: Callable[[object, str], None]) -> Iterator[RealRegistry]:
    need(os.path.exists(PROGRAM), "docker-registry is not installed")
    (tmp_path / "registry").mkdir()
    with running_registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Store.open(tmp_path / "home"))


@pytest.fixture
def away(tmp_path: Path) -> Library:
    """Another machine's."""
    return Library(Store.open(tmp_path / "away"))


def with_wrong_digests(library: Library, image: StoredImage) -> StoredImage:
    """The image, whose configuration says that its layers unpack to something else."""
    configuration = replace(
        image.configuration,
        diff_ids=tuple(Digest.of(digest.encode()) for digest in image.configuration.diff_ids),
    )
    manifest = replace(image.manifest, config=library.add(configuration.encode(), CONFIG))
    return library.stored(library.add(manifest.encode(), MANIFEST), image.name)


def push_to(reference: Reference, library: Library, image: StoredImage) -> None:
    def source(arrived: Arrived) -> StoredImage:
        for blob in (*image.manifest.layers, image.manifest.config):
            arrived(blob, library.blob(blob.digest))
        return image

    push(source, reference, store=library.store, environment=ENVIRONMENT, progress=Silent())


def test_an_image_that_does_not_unpack_takes_no_name(
    registry: RealRegistry, library: Library, away: Library
) -> None:
    reference = Reference.parse(f"{registry.host}/x:1")

    def pull() -> StoredImage:
        return pull_and_unpack(
            reference, away, platform=Platform.host(), environment=ENVIRONMENT, progress=Silent()
        )

    good = store_image(library, {"a": b"good"})
    push_to(reference, library, good)
    assert are_there(away.store, pull().configuration.diff_ids)
    push_to(reference, library, with_wrong_digests(library, store_image(library, {"a": b"bad"})))
    with pytest.raises(VerificationError, match="the image's configuration says"):
        pull()
    kept = away.find(reference)
    assert kept
    assert kept.descriptor == good.descriptor
