"""`wardian docker`: into a real Docker, which keeps what it has, and a real Podman, which takes it all."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.engines import Docker, Tool
from tests.images import store_image
from tests.main_job.machine import Account, expect, refused

from wardian.api.engines import deliver
from wardian.errors import EngineError, VerificationError
from wardian.image.descriptor import Digest
from wardian.image.library import Library
from wardian.image.reference import Reference
from wardian.runtime.engines import Engine, connect
from wardian.store.store import Store
from wardian.system.progress import Silent

from .conftest import FILES, SAID, SPEC

_START_LIMIT = 30.0  # seconds


@pytest.fixture
def moss(builder: Account, docker: Docker) -> Path:
    """A project of its own, which changes: another name, so that no other test's image is in its way."""
    return builder.project("moss", {**FILES, "wardian.toml": SPEC.replace('"fern"', '"moss"')})


@pytest.fixture(scope="session")
def podman_socket(podman: Tool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Podman's service, on the storage of the session's podman."""
    folder = tmp_path_factory.mktemp("podman")
    socket = folder / "podman.sock"
    command = [*podman.command, "system", "service", "--time", "0", f"unix://{socket}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=dict(podman.environment), stdout=log, stderr=log)
    try:
        end = time.monotonic() + _START_LIMIT
        while not socket.exists():  # it has no other sign of being ready
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.05)
        yield socket
    finally:
        process.terminate()
        process.wait(20)


def _put(account: Account, folder: Path, socket: Path, *words: str) -> dict[str, Any]:
    command = ("docker", "--host", f"unix://{socket}", "--json", *words)
    found: dict[str, Any] = expect(account.wardian(*command, cwd=folder), json_output=True)
    return found


def test_docker_is_sent_what_is_new(builder: Account, docker: Docker, moss: Path) -> None:
    first = _put(builder, moss, docker.socket)
    assert (first["engine"], first["name"]) == ("Docker", "moss:latest")
    assert docker("image", "inspect", "--format", "{{.Id}}", "moss") == f"{first['id']}\n"
    assert docker.run("moss") == SAID

    again = _put(builder, moss, docker.socket)
    assert again["id"] == first["id"]
    assert again["present"] == again["layers"]
    assert again["bytes"] < 200_000  # manifest, configuration, and a tar around them

    expect(builder.wardian("add", "idna", cwd=moss))
    grown = _put(builder, moss, docker.socket)
    assert grown["id"] != first["id"]
    assert 0 < grown["present"] < grown["layers"]
    assert grown["bytes"] < 2_000_000
    script = "import idna, six; print('both')"
    assert docker.run("moss", "-c", script, options=("--entrypoint", "python")) == "both\n"

    docker("image", "rm", "--force", first["id"], grown["id"])
    assert _put(builder, moss, docker.socket, "--tag", "me/moss:2")["id"] == grown["id"]
    assert docker.run("me/moss:2").startswith("fern 42 six 1000:1000 /work")


def test_podman_is_sent_all(builder: Account, podman: Tool, podman_socket: Path, moss: Path) -> None:
    for _ in range(2):
        done = _put(builder, moss, podman_socket)
        assert (done["engine"], done["present"]) == ("Podman", 0)
        assert done["bytes"] > 10_000_000
    assert podman.run("moss") == SAID


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetful(Engine):
    """An engine that has lost what it said it had."""

    def layers(self) -> tuple[tuple[Digest, ...], ...]:
        return self._said()

    def _said(self) -> tuple[tuple[Digest, ...], ...]:
        said: tuple[tuple[Digest, ...], ...] = self.client.said
        return said


@pytest.fixture
def engine(docker: Docker) -> Iterator[Engine]:
    with connect({"DOCKER_HOST": f"unix://{docker.socket}"}) as found:
        yield found


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Store.open(tmp_path / "store"))


NAME = Reference.parse("wardian-test-small:1")
LAYERS = ({"etc/": b"", "etc/a": b"1"}, {"etc/": b"", "etc/b": b"2" * 5000}, {"etc/": b"", "etc/c": b"3"})


def test_docker_is_told_apart(engine: Engine) -> None:
    assert (engine.name, engine.partial) == ("Docker", True)


def test_podman_is_told_apart(podman_socket: Path) -> None:
    with connect({"CONTAINER_HOST": f"unix://{podman_socket}"}, podman=True) as engine:
        assert (engine.name, engine.partial) == ("Podman", False)


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_layers_that_docker_has_are_left_out(
    docker: Docker, engine: Engine, library: Library, compression: str
) -> None:
    below = store_image(library, *LAYERS[:2], compression=compression)
    above = store_image(library, *LAYERS, compression=compression, name="example:2")
    docker.call("image", "rm", "--force", str(NAME.familiar))
    assert deliver(library, below, engine, NAME, progress=Silent()).present == 0
    for image, present in ((above, 2), (above, 3), (below, 2)):
        done = deliver(library, image, engine, NAME, progress=Silent())
        assert done.present == present
        seen = docker("image", "inspect", "--format", "{{.Id}}", NAME.familiar)
        assert seen == f"{image.manifest.config.digest}\n"
    docker("image", "rm", "--force", NAME.familiar, str(above.manifest.config.digest))


def test_an_engine_that_lost_layers_gets_them(docker: Docker, engine: Engine, library: Library) -> None:
    image = store_image(library, *({"lost": bytes([number])} for number in range(3)))
    engine.client.said = (image.configuration.diff_ids,)
    lost = Forgetful(name="Docker", address=engine.address, partial=True, client=engine.client)
    done = deliver(library, image, lost, NAME, progress=Silent())
    assert done.present == 0
    docker("image", "rm", "--force", str(done.identity))


def test_what_docker_refuses(engine: Engine, library: Library) -> None:
    with pytest.raises(EngineError, match=r"Docker cannot load the image: .*(invalid|unexpected|tar|EOF)"):
        engine.load(iter([b"no archive" * 100]))
    image = store_image(library, *LAYERS)
    blob = library.blob(image.manifest.layers[2].digest)
    blob.write_bytes(bytes(reversed(blob.read_bytes())))
    with pytest.raises(VerificationError, match="should have the digest"):
        deliver(library, image, replace(engine, partial=False), NAME, progress=Silent())


def test_podman_refuses(podman_socket: Path) -> None:
    with (
        connect({}, host=f"unix://{podman_socket}") as engine,
        pytest.raises(EngineError, match="Podman cannot load the image: "),
    ):
        engine.load(iter([b"no archive" * 100]))


def test_a_plain_user_may_not(accounts: dict[str, Account], docker: Docker) -> None:
    docker.socket.parent.chmod(0o755)
    result = accounts["plain"].wardian("docker", "--host", f"unix://{docker.socket}", cwd=Path("/"))
    said = refused(result)
    assert said.startswith(f"error: no container engine answers at unix://{docker.socket}: Permission denied")
    assert "hint: ask for membership in the group that owns the socket" in said
