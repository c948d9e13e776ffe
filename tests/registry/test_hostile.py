"""Answers that no honest registry gives: each ends in an error that says so."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from wardian.errors import ImageError, RegistryError
from wardian.image.descriptor import INDEX
from wardian.image.reference import Reference
from wardian.registry.answers import Answer
from wardian.registry.platforms import put_platform
from wardian.registry.pull import pull
from wardian.registry.tokens import TokenServer

from .by_the_book import Book, running_book
from .conftest import PLATFORM, make_image, push
from .proxy import Fault, answer_status, running_proxy


@pytest.fixture
def book() -> Iterator[Book]:
    with running_book() as made:
        yield made


@pytest.fixture
def made(library):
    return make_image(library, os.urandom(1000))


@pytest.mark.parametrize("is_mount", [False, True])
def test_an_upload_that_goes_to_no_address(book, library, made, open_registry, is_mount):
    book.location = "https://[x/y"
    layer = made.manifest.layers[0]
    registry = open_registry(book.host)
    sources = ("other",) if is_mount else ()
    with pytest.raises(RegistryError, match="sends us to what is no address"):
        registry.upload("a/b", layer, library.blob(layer.digest), sources=sources, advance=lambda _: None)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"tags": true}', {}),
        (b'{"tags": 1}', {}),
        (b'{"tags": []}', {"Link": '<https://[x/y>; rel="next"'}),
    ],
)
def test_lists_of_tags_that_are_none(book, other_library, open_registry, body, headers):
    with running_proxy(book.host) as proxy:
        proxy.faults.append(Fault(pattern="/tags/list", act=answer_status(200, body, **headers), times=9))
        reference = Reference.parse(f"{proxy.host}/a:1")
        with pytest.raises(RegistryError, match="has no tag '1'") as caught:
            pull(open_registry(proxy.host), reference, other_library, platform=PLATFORM)
    assert caught.value.hint == "check the name and the tag"


@pytest.mark.parametrize("lifetime", ["1" * 400, "1" * 5000])
def test_tokens_that_hold_for_longer_than_numbers_go(lifetime):
    server = TokenServer(registry="r.example", realm="https://t.example/token", service="")
    answer = Answer(
        url=server.realm, status=200, body=b'{"token": "a", "expires_in": %s}' % lifetime.encode()
    )
    with pytest.raises(RegistryError, match="something that is no token"):
        server._read(answer)


def test_a_range_of_very_many_digits(book, library, other_library, made, open_registry):
    push(open_registry(book.host), f"{book.host}/a:1", made, library)
    answer = answer_status(206, b"x", Content_Range=f"bytes {'1' * 5000}-")
    with running_proxy(book.host) as proxy:
        proxy.faults.append(Fault(pattern="GET .*/blobs/", act=answer, times=99))
        with pytest.raises(RegistryError, match="another range than the one that was asked for"):
            pull(
                open_registry(proxy.host),
                Reference.parse(f"{proxy.host}/a:1"),
                other_library,
                platform=PLATFORM,
            )


def test_an_index_with_half_a_character(book, library, made, open_registry):
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "annotations": {"a": "\ud800"}}
    book.manifests["1"] = (INDEX, json.dumps(index).encode())
    with pytest.raises(ImageError, match=r"index of .* cannot be written again: .* no character"):
        put_platform(open_registry(book.host), Reference.parse(f"{book.host}/a:1"), made.descriptor, PLATFORM)
