"""A server on the loopback that misbehaves as told, and a fetcher that does not wait long."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wardian.system.http import Fetcher, Pace

Behaviour = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """`behaviours[path]` are taken in turn, the last one for ever; `seen` holds the requests."""

    def __init__(self) -> None:
        self.behaviours: dict[str, list[Behaviour]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with outer._lock:
                    outer._now += 1
                    outer.most_at_once = max(outer.most_at_once, outer._now)
                    outer.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                    queue = outer.behaviours.get(self.path, [status(404)])
                    behaviour = queue.pop(0) if len(queue) > 1 else queue[0]
                try:
                    behaviour(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                finally:
                    with outer._lock:
                        outer._now -= 1

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def count(self, path: str) -> int:
        return sum(1 for seen, _ in self.seen if seen == path)


def body(data: bytes, **headers: str) -> Behaviour:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(data)

    return answer


def status(code: int, **headers: str) -> Behaviour:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        request.send_header("Content-Length", "0")
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()

    return answer


@contextlib.contextmanager
def running() -> Iterator[Server]:
    made = Server()
    made.thread.start()
    try:
        yield made
    finally:
        made.http.shutdown()
        made.http.server_close()
        made.thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as made:
        yield made


@pytest.fixture
def answers() -> type:
    """How a server may answer, by name."""

    class Answers:
        body = staticmethod(body)
        status = staticmethod(status)

        @staticmethod
        def hang(seconds: float) -> Behaviour:
            def answer(request: BaseHTTPRequestHandler) -> None:
                threading.Event().wait(seconds)
                request.close_connection = True

            return answer

        @staticmethod
        def drip(count: int) -> Behaviour:
            def answer(request: BaseHTTPRequestHandler) -> None:
                request.send_response(200)
                request.send_header("Content-Length", "100000")
                request.end_headers()
                for _ in range(count):
                    request.wfile.write(b"x")
                    threading.Event().wait(0.05)
                request.close_connection = True

            return answer

        @staticmethod
        def truncate(data: bytes, keep: int) -> Behaviour:
            def answer(request: BaseHTTPRequestHandler) -> None:
                request.send_response(200)
                request.send_header("Content-Length", str(len(data)))
                request.end_headers()
                request.wfile.write(data[:keep])
                request.close_connection = True

            return answer

        @staticmethod
        def reset() -> Behaviour:
            import socket
            import struct

            def answer(request: BaseHTTPRequestHandler) -> None:
                request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                request.connection.close()
                request.close_connection = True

            return answer

    return Answers


@pytest.fixture
def pace() -> Pace:
    return Pace(attempts=3, pause=0.01, patience=2.0, stall=0.3)


@pytest.fixture
def fetcher(pace: Pace) -> Iterator[Fetcher]:
    with Fetcher(environment={}, pace=pace) as made:
        yield made


def wrap(server: Server, folder: Path) -> tuple[str, Path]:
    """Give the server a certificate that nobody trusts: its new address, the certificate's file."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    return f"https://localhost:{server.http.server_address[1]}", certificate


@pytest.fixture
def secure(server: Server, tmp_path: Path) -> tuple[Server, str, Path]:
    """The server behind a certificate that nobody trusts: server, address, certificate file."""
    return server, *wrap(server, tmp_path)


@pytest.fixture
def secure_elsewhere(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Another server behind such a certificate, which answers `/b`: address, certificate file."""
    with running() as made:
        made.behaviours["/b"] = [body(b"over TLS")]
        yield wrap(made, tmp_path)
