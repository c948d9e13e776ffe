"""`push`, `pull` and `docker` as commands, with images made by hand and a real registry."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Invoke, Outcome
from tests.images import store_image
from tests.registry.servers import PROGRAM, RealRegistry, running_registry

from wardian.image.library import Library, StoredImage
from wardian.image.platform import Platform
from wardian.store.store import Store

OTHER = Platform(architecture="arm64" if Platform.host().architecture == "amd64" else "amd64")


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory, need: Callable[[object, str], None]
) -> Iterator[RealRegistry]:
    need(os.path.exists(PROGRAM), "docker-registry is not installed")
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def invoke(invoke: Invoke, tmp_path: Path) -> Invoke:
    """With nothing of the user's own configuration."""

    def call(*words: str, **environment: str) -> Outcome:
        return invoke(*words, **{"HOME": str(tmp_path / "user"), **environment})

    return call


@pytest.fixture
def name(registry: RealRegistry, request: pytest.FixtureRequest) -> str:
    """A name of this test's own in the registry."""
    return f"{registry.host}/{request.node.name.replace('_', '-')}:1"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """The store that `invoke` works with."""
    return Library(Store.open(tmp_path / "home"))


@pytest.fixture
def image(library: Library) -> StoredImage:
    return store_image(library, {"etc/": b"", "etc/a": b"1" * 3000}, {"etc/": b"", "etc/b": os.urandom(3000)})


def error(outcome: Outcome) -> str:
    assert (outcome.status, outcome.out) == (1, "")
    assert "Traceback" not in outcome.err
    return outcome.err[outcome.err.index("error: ") :]


def test_push_and_pull(invoke: Invoke, image: StoredImage, name: str, tmp_path: Path) -> None:
    digest = str(image.descriptor.digest)
    first = json.loads(invoke("push", "--image", "example:1", name, "--json").out)
    assert (first["digest"], first["sent"], first["index"]) == (digest, 3, False)
    assert first["platform"] == str(Platform.host())
    again = invoke("push", "--image", "example:1", name)
    assert again.out.startswith(f"{name} {digest}: sent 0 B in 0 of 3 blobs in ")

    away = str(tmp_path / "away")
    pulled = invoke("pull", name, WARDIAN_HOME=away)
    assert pulled.status == 0, pulled.err
    assert pulled.out.startswith(f"{name} {digest}: 2 layers, ")
    found = Library(Store.open(away)).resolve(name)
    assert found.descriptor.digest == image.descriptor.digest
    told = json.loads(invoke("pull", f"{name.removesuffix(':1')}@{digest}", "--json", WARDIAN_HOME=away).out)
    assert (told["digest"], told["layers"], told["platform"]) == (digest, 2, str(Platform.host()))


def test_platforms_beside_each_other(
    invoke: Invoke, image: StoredImage, library: Library, name: str, tmp_path: Path
) -> None:
    other = store_image(library, name="example:2", architecture=OTHER.architecture)
    for stored in ("example:1", "example:2"):
        told = json.loads(invoke("push", "--beside", "--image", stored, name, "--json").out)
        assert told["index"] is True
    away = str(tmp_path / "away")
    for wanted, made in (((), image), (("--platform", str(OTHER)), other)):
        pulled = json.loads(invoke("pull", name, "--json", *wanted, WARDIAN_HOME=away).out)
        assert pulled["digest"] == made.descriptor.digest
    assert f"is for {OTHER}" in error(
        invoke("push", "--image", "example:2", "--platform", str(Platform.host()), name)
    )
    said = error(invoke("pull", name, "--platform", "linux/s390x"))
    assert "linux/s390x" in said
    assert "hint: " in said


@pytest.mark.parametrize("verb", ["push", "pull"])
@pytest.mark.parametrize("reference", ["", "Upper/Case", "a:b:c", "host.test/", "x" * 300, "a@sha256:1"])
def test_references_that_are_none(invoke: Invoke, verb: str, reference: str) -> None:
    assert "no image reference" in error(invoke(verb, reference)) or "digest" in error(
        invoke(verb, reference)
    )


def test_what_is_not_there(invoke: Invoke, image: StoredImage, library: Library, name: str) -> None:
    assert "there is no image 'nosuch' here" in error(invoke("push", "--image", "nosuch", name))
    said = error(invoke("pull", name))
    assert name in said
    assert "hint: " in said
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"localhost:{free.getsockname()[1]}/a"
    assert nobody.partition("/")[0] in error(invoke("pull", nobody))
    library.blob(image.manifest.layers[1].digest).unlink()
    said = error(invoke("push", "--image", "example:1", name))
    assert "is not whole: 1 of its 2 layers are not in the store" in said
    assert "hint: pull, load or build the image again" in said


def test_a_layer_that_vanishes_is_told_once(
    invoke: Invoke, image: StoredImage, library: Library, name: str
) -> None:
    blob = library.blob(image.manifest.layers[1].digest)
    blob.write_bytes(os.urandom(blob.stat().st_size))
    said = error(invoke("push", "--image", "example:1", name))
    assert said.count("error: ") == 1
    assert "error: " in error(invoke("pull", name))  # the tag names nothing


def test_platforms_that_are_none(invoke: Invoke, image: StoredImage) -> None:
    for words in (
        ("pull", "--platform", "amiga", "a"),
        ("push", "--image", "example:1", "--platform", "x", "a"),
    ):
        assert "hint: " in error(invoke(*words))


def test_no_engine(invoke: Invoke, image: StoredImage, tmp_path: Path) -> None:
    nowhere = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    said = error(invoke("docker", "--podman", "--image", "example:1", **nowhere))
    assert said.startswith(
        "error: no Podman is running here: none of its usual sockets exists\n\nhint: start it ("
    )
    said = error(
        invoke("docker", "--image", "example:1", DOCKER_HOST="unix:///nosuch/docker.sock", **nowhere)
    )
    assert said == (
        "error: no container engine answers at unix:///nosuch/docker.sock: No such file or directory\n\n"
        "hint: start it, or name another socket with --host\n"
    )


@pytest.mark.parametrize("tag", ["Upper", "a@sha256:" + "0" * 64])
def test_names_that_no_engine_takes(invoke: Invoke, tag: str) -> None:
    assert "hint: " in error(invoke("docker", "--tag", tag))
