"""Networks that fail: every push and pull ends right, or with a clear error, never with a wrong image."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from email.utils import formatdate

import pytest

from wardian.errors import RegistryError, VerificationError
from wardian.image.reference import Reference
from wardian.registry.pull import pull
from wardian.registry.push import Push
from wardian.system.attempts import Pace

from .conftest import PLATFORM, make_image, push
from .proxy import (
    Fault,
    answer_status,
    corrupt,
    corrupt_request,
    forward,
    ignore_range,
    pass_on_and_reset,
    reset,
    reset_after_body,
    reset_within_answer,
    reset_within_body,
    stall,
    stall_within_answer,
    truncate,
)

UPLOAD = r"(PUT|PATCH) /v2/.*/blobs/uploads/"
BLOB = r"GET /v2/.*/blobs/sha256"
PASSING = {
    "reset": reset,
    "429": answer_status(429),
    "429, in seconds": answer_status(429, Retry_After="0"),
    "429, by date": answer_status(429, Retry_After=formatdate(usegmt=True)),
    "500": answer_status(500, b"<html>oops</html>"),
    "502": answer_status(502),
    "503": answer_status(503, b'{"errors": [{"code": "UNAVAILABLE", "message": "later"}]}'),
}
REQUESTS = {
    "ping": r"GET /v2/$",
    "look": r"HEAD /v2/.*/blobs/sha256",
    "begin": r"POST /v2/.*/blobs/uploads/",
    "upload": UPLOAD,
    "manifest": r"PUT /v2/.*/manifests/",
}
READS = {"ping": r"GET /v2/$", "manifest": r"GET /v2/.*/manifests/", "blob": BLOB}


@pytest.fixture
def images(library, blobs):
    return make_image(library, *blobs)


def pushed_through(proxy, registry, library, made, name):
    push(registry, f"{proxy.host}/{name}:1", made, library)


def is_there(plain, name, made, other_library, open_registry):
    image = pull(
        open_registry(plain.host), Reference.parse(f"{plain.host}/{name}:1"), other_library, platform=PLATFORM
    )
    return image.descriptor == made.descriptor and other_library.missing(image) == ()


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("where", REQUESTS)
def test_a_push_survives_what_passes(
    proxy, plain, library, other_library, images, open_registry, name, where, fault
):
    proxy.faults.append(Fault(pattern=REQUESTS[where], act=PASSING[fault], times=2))
    pushed_through(proxy, open_registry(proxy.host), library, images, name)
    assert is_there(plain, name, images, other_library, open_registry)


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("where", READS)
def test_a_pull_survives_what_passes(
    proxy, plain, library, other_library, images, open_registry, name, where, fault
):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", images, library)
    proxy.faults.append(Fault(pattern=READS[where], act=PASSING[fault], times=2))
    image = pull(
        open_registry(proxy.host), Reference.parse(f"{proxy.host}/{name}:1"), other_library, platform=PLATFORM
    )
    assert image.descriptor == images.descriptor


@pytest.mark.parametrize(
    "fault",
    [reset_within_body(70_000), pass_on_and_reset(70_000), reset_after_body, corrupt_request],
    ids=["broken off", "broken off behind the proxy", "answer lost", "other bytes"],
)
@pytest.mark.parametrize("chunk", [None, 1 << 17], ids=["whole", "chunks"])
def test_an_upload_that_breaks_off(
    proxy, plain, library, other_library, images, open_registry, name, fault, chunk
):
    registry = open_registry(proxy.host)
    registry.manner.chunk = chunk
    proxy.faults.append(Fault(pattern=UPLOAD + r".*", act=fault, times=2))
    pushed_through(proxy, registry, library, images, name)
    assert is_there(plain, name, images, other_library, open_registry)


@pytest.mark.parametrize("within", range(4))
def test_a_chunk_that_breaks_off_anywhere(proxy, plain, library, other_library, open_registry, name, within):
    made = make_image(library, os.urandom(500_000))
    registry = open_registry(proxy.host)
    registry.manner.chunk = 1 << 17
    fine = Fault(pattern=r"PATCH", act=forward, times=within)
    proxy.faults += [fine, Fault(pattern=r"PATCH", act=reset_within_body(50_000))]
    pushed_through(proxy, registry, library, made, name)
    assert is_there(plain, name, made, other_library, open_registry)


@pytest.mark.parametrize(
    "fault",
    [
        truncate(100_000, honest=False),
        truncate(100_000, honest=True),
        corrupt,
    ],
    ids=["truncated", "truncated, and announced so", "other bytes"],
)
def test_a_download_that_breaks_off_goes_on(
    proxy, plain, library, other_library, images, open_registry, name, fault
):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", images, library)
    large = max(images.manifest.layers, key=lambda layer: layer.size)
    proxy.faults.append(Fault(pattern=f"GET .*{large.digest}", act=fault))
    image = pull(
        open_registry(proxy.host), Reference.parse(f"{proxy.host}/{name}:1"), other_library, platform=PLATFORM
    )
    assert other_library.missing(image) == ()
    assert other_library.blob(large.digest).read_bytes() == library.blob(large.digest).read_bytes()
    ranges = [seen.headers.get("range") for seen in proxy.seen if large.digest in seen.path]
    assert ranges == [None, None if fault is corrupt else "bytes=100000-"]


# What hangs is given up after two seconds here: less, and a busy machine's disk counts as hanging.
HASTY = Pace(attempts=4, pause=0.01, patience=5.0, stall=2.0)


@pytest.mark.parametrize("where", ["ping", "upload", "manifest"])
def test_a_push_survives_a_stall(proxy, plain, library, other_library, images, open_registry, name, where):
    proxy.faults.append(Fault(pattern=REQUESTS[where], act=stall(4)))
    pushed_through(proxy, open_registry(proxy.host, pace=HASTY), library, images, name)
    assert is_there(plain, name, images, other_library, open_registry)


@pytest.mark.parametrize("fault", [stall(4), stall_within_answer(100_000, 4)], ids=["before", "within"])
def test_a_pull_survives_a_stall(proxy, plain, library, other_library, images, open_registry, name, fault):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", images, library)
    proxy.faults.append(Fault(pattern=BLOB, act=fault))
    registry = open_registry(proxy.host, pace=HASTY)
    image = pull(registry, Reference.parse(f"{proxy.host}/{name}:1"), other_library, platform=PLATFORM)
    assert other_library.missing(image) == ()


def test_a_server_that_knows_no_ranges_sends_it_all(
    proxy, plain, library, other_library, images, open_registry, name
):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", images, library)
    proxy.faults += [Fault(pattern=BLOB, act=reset_within_answer(60_000), times=3)]
    proxy.faults += [Fault(pattern=BLOB, act=ignore_range, times=99)]
    image = pull(
        open_registry(proxy.host), Reference.parse(f"{proxy.host}/{name}:1"), other_library, platform=PLATFORM
    )
    assert other_library.missing(image) == ()


def test_the_next_pull_goes_on_where_one_was_given_up(
    proxy, plain, library, other_library, images, open_registry, name
):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", images, library)
    large = max(images.manifest.layers, key=lambda layer: layer.size)
    proxy.faults += [Fault(pattern=f"GET .*{large.digest}", act=reset_within_answer(50_000), times=4)]
    reference = Reference.parse(f"{proxy.host}/{name}:1")
    with pytest.raises(RegistryError, match="4 attempts"):
        pull(open_registry(proxy.host), reference, other_library, platform=PLATFORM)
    assert other_library.names() == ()
    pull(open_registry(proxy.host), reference, other_library, platform=PLATFORM)
    begins = [seen.headers.get("range", "bytes=0-") for seen in proxy.seen if large.digest in seen.path]
    numbers = [int(text.removeprefix("bytes=").removesuffix("-")) for text in begins]
    # A reset may take away what was under way: less than all that was sent may have arrived.
    assert numbers == sorted(numbers)
    assert 0 < numbers[-1] <= 200_000


def test_what_an_earlier_attempt_left_may_be_anything(
    plain, library, other_library, images, open_registry, name
):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", images, library)
    for layer, left in zip(images.manifest.layers, (b"x" * 1000, b"x" * 100, b"x" * 999_999), strict=True):
        (other_library.store.cache("partial") / layer.digest.hex).write_bytes(left)
    image = pull(
        open_registry(plain.host), Reference.parse(f"{plain.host}/{name}:1"), other_library, platform=PLATFORM
    )
    for layer in image.manifest.layers:
        assert other_library.blob(layer.digest).read_bytes() == library.blob(layer.digest).read_bytes()


PULL = """
import sys
from wardian.image.library import Library
from wardian.image.platform import Platform
from wardian.image.reference import Reference
from wardian.registry.client import Registry
from wardian.registry.pull import pull
from wardian.store.store import Store
reference = Reference.parse(sys.argv[1])
registry = Registry(reference.registry, environment={})
platform = Platform(architecture="amd64")
pull(registry, reference, Library(Store.open(sys.argv[2])), platform=platform)
"""


def test_a_pull_that_is_killed_leaves_nothing_in_the_way(
    proxy, plain, library, other_library, images, open_registry, name
):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", images, library)
    large = max(images.manifest.layers, key=lambda layer: layer.size)
    stalled = stall_within_answer(400_000, 60)
    proxy.faults.append(Fault(pattern=f"GET .*{large.digest}", act=stalled))
    reference = Reference.parse(f"{proxy.host}/{name}:1")
    words = [sys.executable, "-c", PULL, str(reference), other_library.store.root]
    process = subprocess.Popen(words)
    partial = other_library.store.root / "cache/partial" / large.digest.hex
    while not partial.exists() or partial.stat().st_size < 262_144:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert other_library.names() == ()
    image = pull(open_registry(proxy.host), reference, other_library, platform=PLATFORM)
    assert other_library.missing(image) == ()
    assert proxy.seen[-1].headers.get("range") or proxy.count(f"GET .*{large.digest}") == 2


@pytest.mark.parametrize("target", ["layer", "configuration", "manifest by digest", "manifest by tag"])
def test_bytes_that_are_always_wrong(
    proxy, plain, library, other_library, images, open_registry, name, target
):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", images, library)
    pattern = {
        "layer": f"GET .*{images.manifest.layers[0].digest}",
        "configuration": f"GET .*{images.manifest.config.digest}",
    }.get(target, "GET .*/manifests/")
    by_digest = target == "manifest by digest"
    proxy.faults.append(Fault(pattern=pattern, act=corrupt, times=99))
    reference = Reference.parse(
        f"{proxy.host}/{name}" + (f"@{images.descriptor.digest}" if by_digest else ":1")
    )
    with pytest.raises(VerificationError) as caught:
        pull(open_registry(proxy.host), reference, other_library, platform=PLATFORM)
    assert caught.value.exit_status == 1
    assert re.search(r"is sha256:\w+, not sha256:|its SHA-256 is \w+, not", caught.value.message)
    assert other_library.names() == ()
    for blob in (*images.manifest.layers, images.manifest.config):
        path = other_library.blob(blob.digest)
        assert not path.exists() or path.read_bytes() == library.blob(blob.digest).read_bytes()


def test_a_layer_larger_than_its_descriptor(
    proxy, plain, library, other_library, images, open_registry, name
):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", images, library)
    layer = images.manifest.layers[1]
    proxy.faults.append(Fault(pattern=f"GET .*{layer.digest}", act=answer_status(200, b"x" * 9999), times=99))
    with pytest.raises(VerificationError, match="larger than the 100 bytes expected"):
        pull(
            open_registry(proxy.host),
            Reference.parse(f"{proxy.host}/{name}:1"),
            other_library,
            platform=PLATFORM,
        )


@pytest.mark.parametrize("where", REQUESTS)
def test_a_push_that_fails_for_ever_says_so_and_leaves_no_tag(
    proxy, plain, library, images, open_registry, name, where
):
    proxy.faults.append(Fault(pattern=REQUESTS[where], act=answer_status(503), times=999))
    began = time.monotonic()
    with pytest.raises(RegistryError) as caught:
        pushed_through(proxy, open_registry(proxy.host), library, images, name)
    assert time.monotonic() - began < 5
    assert "it answers 503 Service Unavailable; 4 attempts" in caught.value.message
    assert proxy.host in caught.value.message
    assert caught.value.hint
    with pytest.raises(RegistryError, match="has no tag"):
        open_registry(plain.host).manifest(Reference.parse(f"{plain.host}/{name}:1"))


def test_after_a_failed_upload_submitting_fails_too(proxy, library, open_registry, name):
    made = make_image(library, b"one", b"two")
    proxy.faults.append(Fault(pattern=UPLOAD, act=answer_status(400), times=99))
    with Push(open_registry(proxy.host), Reference.parse(f"{proxy.host}/{name}:1")) as done:
        done.submit(made.manifest.layers[0], library.blob(made.manifest.layers[0].digest)).exception()
        with pytest.raises(RegistryError, match="it answers 400"):
            done.submit(made.manifest.layers[1], library.blob(made.manifest.layers[1].digest))
        with pytest.raises(RegistryError, match="it answers 400"):
            done.finish(made.data, made.manifest.media_type)


def test_retry_after_is_obeyed_within_patience(proxy, library, images, open_registry, name):
    proxy.faults.append(Fault(pattern=UPLOAD, act=answer_status(429, Retry_After="1")))
    began = time.monotonic()
    pushed_through(proxy, open_registry(proxy.host), library, images, name)
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_beyond_patience_ends_at_once(proxy, library, images, open_registry, name, form):
    after = "3600" if form == "seconds" else formatdate(time.time() + 3600, usegmt=True)
    proxy.faults.append(Fault(pattern=UPLOAD, act=answer_status(429, Retry_After=after), times=99))
    began = time.monotonic()
    with pytest.raises(RegistryError, match="429 Too Many Requests"):
        pushed_through(proxy, open_registry(proxy.host), library, images, name)
    assert time.monotonic() - began < 2


def test_chunks_that_are_refused_go_in_one_piece(proxy, plain, library, other_library, open_registry, name):
    made = make_image(library, os.urandom(500_000), os.urandom(400_000))
    registry = open_registry(proxy.host)
    registry.manner.chunk = 1 << 17
    proxy.faults.append(Fault(pattern=r"PATCH", act=answer_status(416), times=99))
    pushed_through(proxy, registry, library, made, name)
    assert is_there(plain, name, made, other_library, open_registry)
    refused = proxy.count("PATCH")
    # It is remembered: the next push does not try chunks.
    more = make_image(library, os.urandom(500_000))
    push(open_registry(proxy.host), f"{proxy.host}/{name}:2", more, library)
    assert proxy.count("PATCH") == refused <= 2


def test_requests_that_are_too_large_become_smaller(
    proxy, plain, library, other_library, open_registry, name
):
    made = make_image(library, os.urandom(10 << 20))

    def bounded(request):
        (answer_status(413) if request.body_length() > 4 << 20 else forward)(request)

    proxy.faults.append(Fault(pattern=UPLOAD, act=bounded, times=999))
    registry = open_registry(proxy.host)
    pushed_through(proxy, registry, library, made, name)
    assert registry.manner.chunk == (10 << 20) // 4
    assert is_there(plain, name, made, other_library, open_registry)


@pytest.mark.parametrize("size", [3 << 20, 10 << 20])
def test_requests_of_a_mebibyte_are_tried(proxy, plain, library, other_library, open_registry, name, size):
    made = make_image(library, os.urandom(size))

    def bounded(request):
        (answer_status(413) if request.body_length() > 1 << 20 else forward)(request)

    proxy.faults.append(Fault(pattern=UPLOAD, act=bounded, times=999))
    registry = open_registry(proxy.host)
    pushed_through(proxy, registry, library, made, name)
    assert registry.manner.chunk == 1 << 20
    assert is_there(plain, name, made, other_library, open_registry)


def test_a_registry_that_takes_nothing_at_all(proxy, library, open_registry, name):
    made = make_image(library, os.urandom(8 << 20))
    proxy.faults.append(Fault(pattern=UPLOAD, act=answer_status(413), times=999))
    with pytest.raises(RegistryError, match="it answers 413"):
        pushed_through(proxy, open_registry(proxy.host), library, made, name)


def test_a_registry_that_lies_about_the_manifest(proxy, library, images, open_registry, name):
    wrong = f"sha256:{'0' * 64}"
    proxy.faults.append(
        Fault(pattern="PUT .*/manifests/", act=answer_status(201, Docker_Content_Digest=wrong), times=9)
    )
    with pytest.raises(VerificationError) as caught:
        pushed_through(proxy, open_registry(proxy.host), library, images, name)
    assert wrong in caught.value.message
    assert str(images.descriptor.digest) in caught.value.message


def test_a_pull_asks_for_nothing_when_all_is_there(
    proxy, plain, library, other_library, images, open_registry, name
):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", images, library)
    reference = Reference.parse(f"{proxy.host}/{name}:1")
    pull(open_registry(proxy.host), reference, other_library, platform=PLATFORM)
    proxy.seen.clear()
    pull(open_registry(proxy.host), reference, other_library, platform=PLATFORM)
    assert proxy.count("blobs") == 0


def test_what_arrived_raises_ends_the_pull(plain, library, other_library, images, open_registry, name):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", images, library)

    def refuse(number, descriptor, path):
        raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"):
        pull(
            open_registry(plain.host),
            Reference.parse(f"{plain.host}/{name}:1"),
            other_library,
            platform=PLATFORM,
            arrived=refuse,
        )
    assert other_library.names() == ()
