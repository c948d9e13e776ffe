"""Blobs that arrive where there is no room for them."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wardian.errors import HostError
from wardian.image.descriptor import LAYER_TAR, Descriptor
from wardian.registry.partial import Partial

DATA = b"x" * 1000


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """No file may grow beyond some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("act", [Partial.check, Partial.reset], ids=["check", "reset"])
def test_what_is_still_to_be_written_may_find_no_room(tmp_path: Path, act: Callable[[Partial], None]) -> None:
    path = tmp_path / "blob"
    with Partial(path, Descriptor.of(DATA, LAYER_TAR), lambda _: None) as partial:
        partial.add(DATA)
        with no_room(), pytest.raises(HostError) as caught:
            act(partial)
    assert caught.value.message == f"cannot write {path}: {os.strerror(errno.EFBIG)}"
    assert caught.value.hint == "check the store's permissions and free space"
