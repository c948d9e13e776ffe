"""Where a registry sends us to: credentials stay behind, TLS is not left."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from wardian.errors import RegistryError
from wardian.image.reference import Reference
from wardian.registry.pull import pull

from .by_the_book import Book, running_book, storing
from .conftest import PLATFORM, make_image, push

BASIC = 'Basic realm="test"'


@pytest.fixture
def book() -> Iterator[Book]:
    with running_book() as made:
        made.challenge = BASIC
        yield made


@pytest.fixture
def made(library):
    return make_image(library, os.urandom(1000))


def test_other_hosts_get_no_credentials(book, library, other_library, made, open_registry, someone):
    registry = open_registry(book.host, credential=someone)
    push(registry, f"{book.host}/a/b:1", made, library)
    with storing(book) as seen:
        pull(registry, Reference.parse(f"{book.host}/a/b:1"), other_library, platform=PLATFORM)
    assert len(seen) == 2
    assert not any("authorization" in headers for headers in seen)
    assert all("authorization" in headers for _, path, headers in book.seen if path != "/v2/")


def test_uploads_that_go_to_another_host_carry_none(book, library, made, open_registry, someone):
    with running_book() as elsewhere:
        elsewhere.uploads = book.uploads
        book.location = f"http://{elsewhere.host}"
        registry = open_registry(book.host, credential=someone)
        push(registry, f"{book.host}/a/b:1", made, library)
        assert {method for method, _, _ in elsewhere.seen} >= {"PUT"}
        assert not any("authorization" in headers for _, _, headers in elsewhere.seen)


def test_https_is_not_left(certificate, library, other_library, made, open_registry):
    environment = {"SSL_CERT_FILE": str(certificate.path)}
    with running_book(certificate) as book:
        registry = open_registry(book.host, environment=environment)
        push(registry, f"{book.host}/a/b:1", made, library)
        with storing(book) as seen, pytest.raises(RegistryError) as caught:
            pull(registry, Reference.parse(f"{book.host}/a/b:1"), other_library, platform=PLATFORM)
        assert seen == []
    assert "it sends us from https to http" in caught.value.message
    assert caught.value.hint == "whoever runs the registry has to tell it that it is reached by https"


def test_https_to_https_is_fine(certificate, library, other_library, made, open_registry):
    environment = {"SSL_CERT_FILE": str(certificate.path)}
    with running_book(certificate) as book:
        registry = open_registry(book.host, environment=environment)
        push(registry, f"{book.host}/a/b:1", made, library)
        with storing(book, certificate) as seen:
            pull(registry, Reference.parse(f"{book.host}/a/b:1"), other_library, platform=PLATFORM)
        assert len(seen) == 2


def test_uploads_do_not_leave_https_either(certificate, library, made, open_registry):
    environment = {"SSL_CERT_FILE": str(certificate.path)}
    with running_book(certificate) as book:
        book.location = f"http://{book.host}"
        with pytest.raises(RegistryError, match="it sends us from https to http"):
            push(open_registry(book.host, environment=environment), f"{book.host}/a/b:1", made, library)


def test_redirects_without_end(book, library, other_library, made, open_registry, someone):
    registry = open_registry(book.host, credential=someone)
    push(registry, f"{book.host}/a/b:1", made, library)
    book.storage = f"http://{book.host}/v2/a/b/blobs"
    with pytest.raises(RegistryError, match="it redirects over 8 times"):
        pull(registry, Reference.parse(f"{book.host}/a/b:1"), other_library, platform=PLATFORM)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://x.test/a", "http://[::1/", "//"])
def test_redirects_to_what_is_no_address(book, library, other_library, made, open_registry, someone, target):
    registry = open_registry(book.host, credential=someone)
    push(registry, f"{book.host}/a/b:1", made, library)
    book.storage = target
    with pytest.raises(RegistryError):
        pull(registry, Reference.parse(f"{book.host}/a/b:1"), other_library, platform=PLATFORM)
