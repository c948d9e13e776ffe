"""A proxy before a registry that does what networks do: breaks off, stalls, refuses, sends other bytes."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from .servers import serving

PIECE = 1 << 16


@dataclass(kw_only=True)
class Fault:
    """What happens to the next `times` requests whose `METHOD /path` matches `pattern`."""

    pattern: str
    act: Callable[[Handler], None]
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request as it came: its headers have lower-case names."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(kw_only=True)
class Proxy:
    """`faults` are used up in their order; `seen` holds all requests."""

    upstream: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    host: str = ""
    guard: threading.Lock = field(default_factory=threading.Lock)

    def count(self, pattern: str) -> int:
        return sum(bool(re.search(pattern, item.line)) for item in self.seen)

    def take(self, line: str) -> Fault | None:
        with self.guard:
            for fault in self.faults:
                if fault.times and re.search(fault.pattern, line):
                    fault.times -= 1
                    return fault
        return None


class Handler(BaseHTTPRequestHandler):
    """One connection to the proxy."""

    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def handle_any(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.proxy.seen.append(Seen(method=self.command, path=self.path, headers=headers))
        fault = self.proxy.take(f"{self.command} {self.path}")
        try:
            (fault.act if fault else forward)(self)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_any  # noqa: N815

    def body_length(self) -> int:
        return int(self.headers.get("Content-Length") or 0)

    def take_body(self, most: int | None = None) -> bytes:
        return self.rfile.read(self.body_length() if most is None else min(most, self.body_length()))

    def ask(
        self, body: bytes | Iterator[bytes]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=30)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        for piece in [body] if isinstance(body, bytes) else body:
            connection.send(piece)
        return connection, connection.getresponse()

    def pieces(self) -> Iterator[bytes]:
        left = self.body_length()
        while left:
            piece = self.rfile.read(min(PIECE, left))
            if not piece:
                raise ConnectionError
            left -= len(piece)
            yield piece

    def begin(self, answer: http.client.HTTPResponse, **changes: str) -> None:
        self.send_response_only(answer.status)
        changed = {name.lower().replace("_", "-"): value for name, value in changes.items()}
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", *changed):
                self.send_header(name, value)
        for name, value in changed.items():
            self.send_header(name, value)
        self.end_headers()

    def abort(self) -> None:
        """Reset the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        with contextlib.suppress(OSError):
            self.wfile.close()
        self.connection.close()

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # after a reset there is nothing to flush into
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        pass


def forward(request: Handler) -> None:
    """No fault."""
    connection, answer = request.ask(request.pieces())
    with contextlib.closing(connection):
        request.begin(answer)
        while piece := answer.read(PIECE):
            request.wfile.write(piece)


def reset(request: Handler) -> None:
    request.abort()


def reset_after_body(request: Handler) -> None:
    """The registry has it all, and nobody hears of it."""
    connection, answer = request.ask(request.pieces())
    answer.read()
    connection.close()
    request.abort()


def reset_within_body(count: int) -> Callable[[Handler], None]:
    """Break off after `count` bytes of the request's body; the registry gets none of it."""

    def act(request: Handler) -> None:
        request.take_body(count)
        request.abort()

    return act


def pass_on_and_reset(count: int) -> Callable[[Handler], None]:
    """Break off after `count` bytes of the body, which the registry gets."""

    def act(request: Handler) -> None:
        part = request.take_body(count)
        connection = http.client.HTTPConnection(request.proxy.upstream, timeout=30)
        connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(part)
        connection.close()
        request.abort()

    return act


def reset_within_answer(count: int) -> Callable[[Handler], None]:
    def act(request: Handler) -> None:
        connection, answer = request.ask(request.pieces())
        request.begin(answer)
        request.wfile.write(answer.read(count))
        connection.close()
        request.abort()

    return act


def truncate(count: int, *, honest: bool) -> Callable[[Handler], None]:
    """End the answer after `count` bytes; an `honest` one announces no more than it sends."""

    def act(request: Handler) -> None:
        connection, answer = request.ask(request.pieces())
        data = answer.read(count)
        request.begin(answer, **({"Content_Length": str(len(data))} if honest else {}))
        request.wfile.write(data)
        connection.close()
        request.close_connection = True

    return act


def corrupt(request: Handler) -> None:
    """Change a byte in the middle of the answer."""
    connection, answer = request.ask(request.pieces())
    data = bytearray(answer.read())
    data[len(data) // 2] ^= 1
    request.begin(answer)
    request.wfile.write(data)
    connection.close()


def corrupt_request(request: Handler) -> None:
    """Change a byte of what the registry gets."""
    data = bytearray(request.take_body())
    data[len(data) // 2] ^= 1
    connection, answer = request.ask(bytes(data))
    request.begin(answer)
    request.wfile.write(answer.read())
    connection.close()


def stall(seconds: float) -> Callable[[Handler], None]:
    def act(request: Handler) -> None:
        threading.Event().wait(seconds)
        request.close_connection = True

    return act


def stall_within_answer(count: int, seconds: float) -> Callable[[Handler], None]:
    def act(request: Handler) -> None:
        connection, answer = request.ask(request.pieces())
        request.begin(answer)
        request.wfile.write(answer.read(count))
        request.wfile.flush()
        threading.Event().wait(seconds)
        connection.close()
        request.close_connection = True

    return act


def answer_status(code: int, body: bytes = b"", **headers: str) -> Callable[[Handler], None]:
    def act(request: Handler) -> None:
        for _ in request.pieces():
            pass
        request.send_response_only(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    return act


def ignore_range(request: Handler) -> None:
    """A server that knows no ranges."""
    del request.headers["Range"]
    forward(request)


@contextlib.contextmanager
def running_proxy(upstream: str) -> Iterator[Proxy]:
    made = Proxy(upstream=upstream)
    with serving(type("ProxyHandler", (Handler,), {"proxy": made})) as address:
        made.host = address
        yield made
