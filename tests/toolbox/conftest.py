"""What tests of the toolbox share: a store, the host's platform, and packages of made-up programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardian.image.platform import Platform
from wardian.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def host() -> Platform:
    return Platform.host()
