"""Pushing to and pulling from a real registry that does what it should."""

from __future__ import annotations

import json
import os
import threading
import urllib.request

import pytest

from wardian.api.image_pruning import Needed, orphans
from wardian.errors import ImageError, RegistryError, VerificationError
from wardian.image.descriptor import INDEX, Digest
from wardian.image.manifest import Index, encode
from wardian.image.platform import Platform
from wardian.image.reference import Reference
from wardian.registry.platforms import put_platform
from wardian.registry.pull import pull
from wardian.registry.push import Push, Traffic

from .conftest import PLATFORM, make_image, push


def fetched(host, path):
    request = urllib.request.Request(f"http://{host}/v2/{path}", headers={"Accept": INDEX})
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def test_what_is_pushed_is_pulled(plain, library, other_library, blobs, open_registry, name):
    made = make_image(library, *blobs)
    done = push(open_registry(plain.host), f"{plain.host}/{name}:1.0", made, library)
    size = sum(map(len, blobs)) + made.manifest.config.size
    assert done.traffic == Traffic(sent=4, bytes_sent=size)

    arrived = {}
    reference = Reference.parse(f"{plain.host}/{name}:1.0")
    image = pull(
        open_registry(plain.host),
        reference,
        other_library,
        platform=PLATFORM,
        arrived=lambda number, descriptor, path: arrived.setdefault(number, path.read_bytes()),
    )
    assert image.descriptor.digest == made.descriptor.digest
    assert arrived == dict(enumerate(blobs))
    kept = other_library.find(reference)
    assert (kept.descriptor.digest, kept.origin) == (made.descriptor.digest, "pulled")
    assert other_library.missing(image) == ()
    assert not list((other_library.store.root / "cache/partial").iterdir())


def test_what_a_pull_leaves_that_ends_in_the_middle_is_known(
    plain, library, other_library, blobs, open_registry, name
):
    made = make_image(library, *blobs)
    push(open_registry(plain.host), f"{plain.host}/{name}:1.0", made, library)

    def end(number, descriptor, path):
        raise KeyboardInterrupt

    reference = Reference.parse(f"{plain.host}/{name}:1.0")
    with pytest.raises(KeyboardInterrupt):
        pull(open_registry(plain.host), reference, other_library, platform=PLATFORM, arrived=end)
    assert other_library.names() == ()
    assert other_library.has(made.descriptor)  # it names the others, which `prune` takes with it
    store = other_library.store
    assert {path for _, path in orphans(store, Needed())} == set(store.contents().glob("*/*"))


def test_what_is_there_is_not_sent_again(plain, library, blobs, open_registry, name):
    made = make_image(library, *blobs)
    push(open_registry(plain.host), f"{plain.host}/{name}:1", made, library)
    done = push(open_registry(plain.host), f"{plain.host}/{name}:2", made, library)
    assert done.traffic == Traffic(present=4)


def test_another_repository_gets_its_blobs_by_mounting(plain, library, blobs, open_registry, name):
    made = make_image(library, *blobs)
    push(open_registry(plain.host), f"{plain.host}/{name}/one:1", made, library)
    done = push(open_registry(plain.host), f"{plain.host}/{name}/two:1", made, library)
    assert done.traffic == Traffic(mounted=4)


def test_a_repository_that_has_lost_its_blobs_is_no_hindrance(plain, library, blobs, open_registry, name):
    made = make_image(library, *blobs)
    from wardian.registry.memory import Memory

    Memory(library.store, plain.host).note("never/there", [layer.digest for layer in made.manifest.layers])
    done = push(open_registry(plain.host), f"{plain.host}/{name}:1", made, library)
    assert done.traffic.sent == 4


def test_the_same_layer_twice_is_sent_and_fetched_once(plain, library, other_library, open_registry, name):
    content = os.urandom(50_000)
    made = make_image(library, content, b"between", content)
    done = push(open_registry(plain.host), f"{plain.host}/{name}:1", made, library)
    assert done.traffic.sent == 3
    numbers = []
    pull(
        open_registry(plain.host),
        Reference.parse(f"{plain.host}/{name}:1"),
        other_library,
        platform=PLATFORM,
        arrived=lambda number, descriptor, path: numbers.append(number),
    )
    assert sorted(numbers) == [0, 1, 2]


def test_large_blobs_go_in_chunks(plain, library, other_library, open_registry, name):
    made = make_image(library, os.urandom(3_000_000))
    registry = open_registry(plain.host)
    registry.manner.chunk = 1 << 20
    push(registry, f"{plain.host}/{name}:1", made, library)
    image = pull(registry, Reference.parse(f"{plain.host}/{name}:1"), other_library, platform=PLATFORM)
    assert image.descriptor == made.descriptor


def test_pull_by_digest(plain, library, other_library, blobs, open_registry, name):
    made = make_image(library, *blobs)
    push(open_registry(plain.host), f"{plain.host}/{name}:1", made, library)
    reference = Reference.parse(f"{plain.host}/{name}@{made.descriptor.digest}")
    image = pull(open_registry(plain.host), reference, other_library, platform=PLATFORM)
    assert image.descriptor.digest == made.descriptor.digest


def test_push_to_a_digest_that_is_another_is_refused(plain, library, blobs, open_registry, name):
    made = make_image(library, *blobs)
    reference = Reference.parse(f"{plain.host}/{name}@sha256:{'0' * 64}")
    with Push(open_registry(plain.host), reference) as done, pytest.raises(ImageError, match="another image"):
        done.finish(made.data, made.manifest.media_type)


def test_platforms_side_by_side(plain, library, other_library, open_registry, name):
    registry = open_registry(plain.host)
    reference = Reference.parse(f"{plain.host}/{name}:1")
    amd, arm = Platform(architecture="amd64"), Platform(architecture="arm64")
    images = {}
    for platform, content in ((amd, b"amd"), (arm, b"arm"), (amd, b"amd, newer")):
        made = make_image(library, content, architecture=platform.architecture)
        push(registry, str(reference), made, library, tagged=False)
        put_platform(registry, reference, made.descriptor, platform)
        images[platform] = made
    content = json.loads(fetched(plain.host, f"{name}/manifests/1"))
    assert [entry["platform"]["architecture"] for entry in content["manifests"]] == ["amd64", "arm64"]
    for platform, made in images.items():
        found = pull(registry, reference, other_library, platform=platform)
        assert found.descriptor.digest == made.descriptor.digest
    with pytest.raises(ImageError) as caught:
        pull(registry, reference, other_library, platform=Platform(architecture="s390x"))
    assert (
        caught.value.message
        == f"{reference} is not there for linux/s390x; it is for linux/amd64, linux/arm64"
    )
    assert caught.value.hint == "name one of these with --platform"


def test_a_single_image_becomes_an_entry(plain, library, open_registry, name):
    registry = open_registry(plain.host)
    reference = Reference.parse(f"{plain.host}/{name}:1")
    push(registry, str(reference), single := make_image(library, b"amd"), library)
    arm = make_image(library, b"arm", architecture="arm64")
    push(registry, str(reference), arm, library, tagged=False)
    put_platform(registry, reference, arm.descriptor, Platform(architecture="arm64"))
    entries = json.loads(fetched(plain.host, f"{name}/manifests/1"))["manifests"]
    assert [entry["digest"] for entry in entries] == [single.descriptor.digest, arm.descriptor.digest]


def test_what_others_wrote_into_an_index_stays(plain, library, open_registry, name):
    registry = open_registry(plain.host)
    reference = Reference.parse(f"{plain.host}/{name}:1")
    made = make_image(library, b"amd")
    push(registry, str(reference), made, library, tagged=False)
    old = {
        **made.descriptor.as_json(),
        "platform": {"os": "linux", "architecture": "arm64", "os.features": ["x"]},
    }
    about = {
        **made.descriptor.as_json(),
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.digest": str(Digest.of(b"of another"))},
    }
    written = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [old, about], "annotations": {"a": "b"}}
    from wardian.image.descriptor import Descriptor
    from wardian.registry.manifests import Document

    data = encode(written)
    registry.put_manifest(reference, Document(descriptor=Descriptor.of(data, INDEX), data=data))
    put_platform(registry, reference, made.descriptor, PLATFORM)
    content = json.loads(fetched(plain.host, f"{name}/manifests/1"))
    assert content["manifests"][:2] == [old, about]
    assert content["annotations"] == {"a": "b"}
    assert content["manifests"][2]["platform"] == {"architecture": "amd64", "os": "linux"}


def test_an_image_for_another_platform_is_not_pulled(plain, library, other_library, open_registry, name):
    made = make_image(library, b"arm", architecture="arm64")
    push(open_registry(plain.host), f"{plain.host}/{name}:1", made, library)
    reference = Reference.parse(f"{plain.host}/{name}:1")
    with pytest.raises(ImageError) as caught:
        pull(open_registry(plain.host), reference, other_library, platform=PLATFORM)
    assert caught.value.message == f"{reference} is for linux/arm64, not for linux/amd64"
    assert other_library.names() == ()


def test_two_pulls_at_once_share_a_download(plain, library, other_library, blobs, open_registry, name, proxy):
    made = make_image(library, *blobs)
    push(open_registry(plain.host), f"{plain.host}/{name}:1", made, library)
    reference = Reference.parse(f"{proxy.host}/{name}:1")
    found = []

    def work():
        image = pull(open_registry(proxy.host), reference, other_library, platform=PLATFORM)
        found.append(image.descriptor.digest)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [made.descriptor.digest] * 4
    for layer in made.manifest.layers:
        assert proxy.count(f"GET .*{layer.digest}") == 1


def test_a_tag_that_is_not_there(plain, library, other_library, open_registry, name):
    registry = open_registry(plain.host)
    for tag in ("right", "2", "latest"):
        push(registry, f"{plain.host}/{name}:{tag}", make_image(library, b"x"), library)
    reference = Reference.parse(f"{plain.host}/{name}:wrong")
    with pytest.raises(RegistryError) as caught:
        pull(registry, reference, other_library, platform=PLATFORM)
    assert caught.value.message.startswith(
        f"cannot pull {reference}: {plain.host} has no tag 'wrong' in {name}"
    )
    assert caught.value.hint == "it has the tags 2, latest, right"
    assert caught.value.exit_status == 1


def test_tags_are_not_listed_where_nobody_is_told(proxy, open_registry, name):
    registry = open_registry(proxy.host)
    assert registry.find_manifest(Reference.parse(f"{proxy.host}/{name}:1")) is None
    assert proxy.count("/tags/list") == 0


def test_a_file_that_is_not_the_blob_any_more(plain, library, open_registry, name):
    made = make_image(library, os.urandom(1000))
    layer = made.manifest.layers[0]
    library.blob(layer.digest).write_bytes(b"x" * 1000)
    with pytest.raises(VerificationError, match="is not the blob"):
        push(open_registry(plain.host), f"{plain.host}/{name}:1", made, library)
    with pytest.raises(RegistryError, match="has no tag"):
        open_registry(plain.host).manifest(Reference.parse(f"{plain.host}/{name}:1"))


def test_an_index_of_indexes_is_not_read(plain, library, other_library, open_registry, name):
    from dataclasses import replace

    from wardian.image.descriptor import Descriptor
    from wardian.registry.manifests import Document

    registry = open_registry(plain.host)
    reference = Reference.parse(f"{plain.host}/{name}:1")
    inner = Index(manifests=()).encode()
    document = Document(descriptor=Descriptor.of(inner, INDEX), data=inner)
    registry.put_manifest(reference, document, tagged=False)
    entry = replace(document.descriptor, platform={"os": "linux", "architecture": "amd64"})
    outer = Index(manifests=(entry,)).encode()
    registry.put_manifest(reference, Document(descriptor=Descriptor.of(outer, INDEX), data=outer))
    with pytest.raises(ImageError, match="index of indexes"):
        pull(registry, reference, other_library, platform=PLATFORM)
