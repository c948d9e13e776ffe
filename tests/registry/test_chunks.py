"""Uploads in chunks, to a registry that knows how far one has got."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from wardian.errors import RegistryError

from .by_the_book import Book, running_book
from .conftest import make_image, push
from .proxy import Fault, answer_status, running_proxy

CHUNK = 100_000


@pytest.fixture
def book() -> Iterator[Book]:
    with running_book() as made:
        yield made


@pytest.fixture
def made(library):
    return make_image(library, os.urandom(350_000))


@pytest.fixture
def registry(book, open_registry):
    opened = open_registry(book.host)
    opened.manner.chunk = CHUNK
    return opened


def test_chunks_follow_each_other(book, registry, library, made):
    push(registry, f"{book.host}/a/b:1", made, library)
    assert book.chunks == ["0-99999", "100000-199999", "200000-299999", "300000-349999"]
    assert set(book.blobs) == {made.manifest.layers[0].digest, made.manifest.config.digest}
    assert book.manifests["1"][1] == made.data


def test_what_has_arrived_before_a_break_is_not_sent_again(book, registry, library, made):
    book.break_at = [50_000, 230_000]
    done = push(registry, f"{book.host}/a/b:1", made, library)
    assert book.chunks == ["0-99999", "50000-149999", "150000-249999", "230000-329999", "330000-349999"]
    assert done.traffic.sent == 2


def test_progress_counts_each_byte_once(book, registry, library, made):
    book.break_at = [50_000, 230_000]
    counts = []
    layer = made.manifest.layers[0]
    registry.upload("a/b", layer, library.blob(layer.digest), advance=counts.append)
    assert sum(counts) == layer.size
    assert min(counts) < 0  # what was lost is counted back


def test_a_registry_that_wants_larger_chunks_gets_them(book, registry, library, made):
    book.least = 150_000
    push(registry, f"{book.host}/a/b:1", made, library)
    assert book.chunks == ["0-149999", "150000-299999", "300000-349999"]


@pytest.mark.parametrize("chunk", [None, CHUNK])
def test_an_upload_that_is_forgotten_is_begun_anew(book, registry, library, made, chunk):
    registry.manner.chunk = chunk
    book.forgets = 3
    push(registry, f"{book.host}/a/b:1", made, library)
    assert len(book.blobs) == 2


def test_an_upload_that_never_gets_on_is_given_up(book, registry, library, made):
    book.break_at = [10_000 * number for number in range(1, 20)]
    with pytest.raises(RegistryError, match="4 attempts"):
        push(registry, f"{book.host}/a/b:1", made, library)
    assert "1" not in book.manifests


def test_an_upload_that_is_forgotten_each_time_is_given_up(book, registry, library, made):
    book.forgets = 999
    with pytest.raises(RegistryError, match="it has forgotten the upload; 4 attempts"):
        push(registry, f"{book.host}/a/b:1", made, library)
    assert book.manifests == {}


def test_an_upload_that_is_lost_late_each_time_is_given_up(book, registry, library, made):
    """Each time the first chunk is taken, and the second breaks off with all that there was."""

    class Forgetful(dict):
        def __getitem__(self, name):
            found = super().__getitem__(name)
            if len(found) == CHUNK:
                del found[:]
            return found

    book.uploads = Forgetful()
    with pytest.raises(RegistryError, match=r"4 attempts|begun 8 times, and each time it was lost"):
        push(registry, f"{book.host}/a/b:1", made, library)
    assert book.manifests == {}


def test_an_upload_that_always_ends_with_less_than_was_sent_is_given_up(book, library, made, open_registry):
    """All chunks are taken, the end fails in passing, and then most of it is said to be missing."""
    layer = made.manifest.layers[0]
    with running_proxy(book.host) as proxy:
        proxy.faults += [
            Fault(pattern="PATCH", act=answer_status(202), times=999),
            Fault(pattern="PUT .*/blobs/uploads/", act=answer_status(503), times=999),
            Fault(pattern="GET .*/blobs/uploads/", act=answer_status(204, Range="0-9999"), times=999),
        ]
        registry = open_registry(proxy.host)
        registry.manner.chunk = CHUNK
        with pytest.raises(RegistryError, match="begun 8 times, and each time it was lost"):
            registry.upload("a/b", layer, library.blob(layer.digest), advance=lambda _: None)
