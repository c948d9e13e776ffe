"""Finding Docker and Podman, and saying why where there is none. Real ones: tests/interoperability."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest

from wardian.errors import EngineError
from wardian.image.descriptor import Digest
from wardian.runtime.contexts import current_context
from wardian.runtime.engines import common, connect


def digests(*texts: str) -> tuple[Digest, ...]:
    return tuple(Digest.of(text.encode()) for text in texts)


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """`listen(name, answers)`: the address of an engine whose answers to paths are those."""
    servers = []

    def call(name: str, answers: dict[str, Any]) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.removeprefix("/v1.41").partition("?")[0]
                body = json.dumps(answers.get(path, {"message": "no such thing"})).encode()
                self.send_response(200 if path in answers else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self) -> str:
                return "unix"

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        server = ThreadingUnixStreamServer(str(place), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((server, thread))
        return f"unix://{place}"

    yield call
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


def engine(driver: str = "", *, component: str = "Engine", images: Any = ()) -> dict[str, Any]:
    status = [["driver-type", driver]] if driver else [["Backing Filesystem", "extfs"]]
    return {
        "/version": {"ApiVersion": "1.41", "Components": [{"Name": component}]},
        "/info": {"DriverStatus": status},
        "/images/json": list(images),
    }


def test_the_longest_run_of_layers_from_the_bottom_counts() -> None:
    a, b, c, d = digests("a", "b", "c", "d")
    assert common((a, b, c), [(a, b, d), (a,), (b, c)]) == 2
    assert common((a, b, c), [(a, b, c, d)]) == 3
    assert common((a, b), [(b, a)]) == common((a, b), []) == 0


def test_kinds_of_engines(listen: Callable[..., str]) -> None:
    for answers, name, partial in (
        (engine(), "Docker", True),
        (engine("io.containerd.snapshotter.v1"), "Docker", False),
        (engine(component="Podman Engine"), "Podman", False),
    ):
        address = listen(f"{name}-{partial}", answers)
        with connect({}, host=address) as found:
            assert (found.name, found.partial, found.address) == (name, partial, address)


def test_images_that_vanish_or_are_odd_are_passed_over(listen: Callable[..., str]) -> None:
    answers = engine(images=[{"Id": name} for name in ("good", "gone", "odd", "empty")])
    layers = digests("a", "b")
    answers["/images/good/json"] = {"RootFS": {"Layers": [str(layer) for layer in layers]}}
    answers["/images/odd/json"] = {"RootFS": {"Layers": ["?"]}}
    answers["/images/empty/json"] = {"RootFS": None}
    with connect({}, host=listen("socket", answers)) as found:
        assert found.layers() == (layers,)


def test_where_is_looked(listen: Callable[..., str], tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "HOME": str(tmp_path / "home")}
    podman = listen("run/podman/podman.sock", engine(component="Podman Engine"))
    with connect(environment, podman=True) as found:
        assert found.address == podman
    docker = listen("home/.docker/run/docker.sock", engine())
    other = listen("other.sock", engine())
    with connect({**environment, "DOCKER_HOST": other}) as found:
        assert found.address == other
    with connect({**environment, "CONTAINER_HOST": podman}, podman=True) as found:
        assert found.address == podman
    with connect({**environment, "DOCKER_HOST": other}, host=docker.removeprefix("unix://")) as found:
        assert found.address == docker.removeprefix("unix://")


def context_host(environment: dict[str, str]) -> str:
    found = current_context(environment)
    return found.host if found else ""


def _write_context(folder: Path, name: str, host: object, **more: object) -> None:
    place = folder / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    place.mkdir(parents=True)
    (place / "meta.json").write_text(
        json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host, **more}}})
    )


def test_docker_contexts(tmp_path: Path, listen: Callable[..., str]) -> None:
    folder = tmp_path / "home/.docker"
    environment = {"HOME": str(tmp_path / "home")}
    assert context_host(environment) == ""
    _write_context(folder, "rootless", address := listen("rootless.sock", engine()))
    assert context_host({**environment, "DOCKER_CONTEXT": "rootless"}) == address
    (folder / "config.json").write_text('{"currentContext": "rootless"}')
    assert context_host(environment) == address
    with connect(environment) as found:
        assert found.address == address
    assert context_host({**environment, "DOCKER_CONTEXT": "default"}) == ""
    assert context_host({**environment, "DOCKER_CONFIG": str(tmp_path / "elsewhere")}) == ""


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, "\xff", '{"currentContext": 1}', '{"a'])
def test_contexts_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    assert context_host({"DOCKER_CONFIG": str(tmp_path)}) == ""
    _write_context(tmp_path, "odd", ["no address"])
    assert context_host({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "odd"}) == ""


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("unix:///nosuch/docker.sock", "No such file or directory"),
        ("/nosuch", "No such file or directory"),
        ("tcp://127.0.0.1:1", "Connection refused"),
        ("ftp://example.test", "Invalid bind address protocol"),
        ("tcp://", "Invalid bind address format"),
        ("ssh://someone@example.test", "it is on another machine"),
    ],
)
def test_no_engine_there(address: str, reason: str) -> None:
    with pytest.raises(EngineError) as error, connect({}, host=address):
        pass
    assert error.value.message.startswith(f"no container engine answers at {address}: ")
    assert reason in error.value.message
    assert error.value.hint


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"/version": []},
        {"/version": {"ApiVersion": 1}},
        {**engine(), "/info": []},
        {"/version": {"a": 1}},
    ],
)
def test_something_that_is_no_engine(listen: Callable[..., str], answers: dict[str, Any]) -> None:
    with (
        pytest.raises(EngineError, match="no container engine answers"),
        connect({}, host=listen("s", answers)),
    ):
        pass


def test_something_that_ends_every_connection(tmp_path: Path) -> None:
    place = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        server.listen()
        thread = threading.Thread(target=_end_two_connections, args=(server,))
        thread.start()
        with pytest.raises(EngineError, match="no container engine answers"), connect({}, host=str(place)):
            pass
        thread.join()


def _end_two_connections(server: socket.socket) -> None:
    for _ in range(2):
        server.accept()[0].close()


def test_certificates_that_are_not_there(tmp_path: Path) -> None:
    environment = {"DOCKER_CERT_PATH": str(tmp_path / "nosuch"), "DOCKER_TLS_VERIFY": "1"}
    with (
        pytest.raises(EngineError, match="Invalid CA"),
        connect(environment, host="tcp://127.0.0.1:1"),
    ):
        pass


def test_certificates_of_dockers_own_folder(tmp_path: Path) -> None:
    environment = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CONFIG": str(tmp_path)}
    with pytest.raises(EngineError, match="Invalid CA"), connect(environment, host="tcp://127.0.0.1:1"):
        pass
    (tmp_path / "ca.pem").touch()
    for place in ({}, {"DOCKER_CERT_PATH": str(tmp_path)}):  # the client's own may be missing
        with (
            pytest.raises(EngineError, match="Connection refused"),
            connect({**environment, **place}, host="tcp://127.0.0.1:1"),
        ):
            pass
    with pytest.raises(EngineError, match="Connection refused"), connect({}, host="tcp://127.0.0.1:1"):
        pass


@pytest.mark.parametrize(
    ("skip", "files", "secure"),
    [(True, (), True), (False, ("cert.pem", "key.pem"), True), (False, (), False)],
)
def test_contexts_have_certificates_of_their_own(
    tmp_path: Path, skip: bool, files: tuple[str, ...], secure: bool
) -> None:
    environment = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "far", "DOCKER_TLS_VERIFY": "1"}
    with socket.create_server(("127.0.0.1", 0)) as server:
        _write_context(tmp_path, "far", f"tcp://127.0.0.1:{server.getsockname()[1]}", SkipTLSVerify=skip)
        context = current_context(environment)
        assert context is not None
        context.certificates.mkdir(parents=True)
        for name in files:
            (context.certificates / name).write_text("nothing of use")
        first: list[bytes] = []
        thread = threading.Thread(target=_hear_first, args=(server, first), daemon=True)
        thread.start()
        with pytest.raises(EngineError) as error, connect(environment):
            pass
    if files:
        assert "PEM" in error.value.message or "SSL" in error.value.message
    else:
        thread.join(5)
        assert first == [b"\x16" if secure else b"G"]  # a handshake's record (RFC 8446, 5.1), or GET


def _hear_first(server: socket.socket, heard: list[bytes]) -> None:
    with contextlib.suppress(OSError):  # closed, where no one has called
        connection = server.accept()[0]
        heard.append(connection.recv(1))
        connection.close()


def test_none_is_running(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    with pytest.raises(EngineError) as error, connect(environment, podman=True):
        pass
    assert error.value.message == "no Podman is running here: none of its usual sockets exists"
    assert "--host" in str(error.value.hint)
