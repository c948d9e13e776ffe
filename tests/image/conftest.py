"""Stores of the test's own, and tiny images in them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.images import store_image

from wardian.image.library import Library, StoredImage
from wardian.store.store import Store


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Store.open(tmp_path / "store"))


@pytest.fixture
def make_image(library: Library) -> Callable[..., StoredImage]:
    """Put an image of these layers into the store, and name it."""
    return partial(store_image, library)


@pytest.fixture
def other(tmp_path: Path) -> Library:
    """A second store."""
    return Library(Store.open(tmp_path / "other"))
