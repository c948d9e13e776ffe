"""A registry that does what the distribution specification allows, where docker-registry does less.

It knows how much of an upload it has (end-13), wants chunks of a size (OCI-Chunk-Min-Length), answers
relative locations, and hands blobs out from another host.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from .servers import Certificate, serving


@dataclass(kw_only=True)
class Book:
    """What it holds. `break_at` are byte counts of uploads at which it breaks off, each once."""

    host: str = ""
    storage: str = ""
    least: int = 0
    break_at: list[int] = field(default_factory=list)
    forgets: int = 0  # so many more uploads are not known any more when something comes for them
    challenge: str = ""
    location: str = ""  # where uploads are to go, if not to itself
    uploads: dict[str, bytearray] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    chunks: list[str] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    book: Book

    def handle_any(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.book.seen.append((self.command, self.path, headers))
        parts = urlsplit(self.path)
        path, self.query = parts.path, parse_qs(parts.query)
        if self.book.challenge and not self.headers.get("Authorization"):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.reply(401, **{"WWW-Authenticate": self.book.challenge})
        elif path == "/v2/":
            self.reply(200, b"{}")
        elif match := re.search(r"/blobs/uploads/(\w*)$", path):
            self.upload(match[1])
        elif match := re.search(r"/blobs/(sha256:\w+)$", path):
            self.blob(match[1])
        elif match := re.search(r"/manifests/(.+)$", path):
            self.manifest(match[1])
        else:
            self.reply(404)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_any  # noqa: N815

    def upload(self, name: str) -> None:
        book = self.book
        if self.command == "POST":
            name = secrets.token_hex(4)
            book.uploads[name] = bytearray()
            self.reply(202, **self.where(name))
            return
        if book.forgets and self.command != "GET":
            book.forgets -= 1
            book.uploads.pop(name)
            self.take(bytearray())
        if name not in book.uploads:
            self.reply(404, b'{"errors": [{"code": "BLOB_UPLOAD_UNKNOWN", "message": "unknown"}]}')
            return
        there = book.uploads[name]
        if self.command == "GET":
            self.reply(204, **self.where(name), Range=f"0-{max(0, len(there) - 1)}")
        elif self.command == "PATCH":
            book.chunks.append(self.headers["Content-Range"])
            if int(self.headers["Content-Range"].partition("-")[0]) != len(there):
                self.take(bytearray())
                self.reply(416, **self.where(name), Range=f"0-{max(0, len(there) - 1)}")
            elif self.take(there):
                self.reply(202, **self.where(name), Range="0-0")  # as registries whose counting lags behind
        elif self.take(there):
            digest = self.query["digest"][0]
            if f"sha256:{hashlib.sha256(there).hexdigest()}" == digest:
                book.blobs[digest] = bytes(there)
                self.reply(201)
            else:
                self.reply(400, b'{"errors": [{"code": "DIGEST_INVALID", "message": "no"}]}')

    def take(self, there: bytearray) -> bool:
        """Take the body in; whether the connection still stands."""
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read(min(left, 10_000))
            there += piece
            left -= len(piece)
            if self.book.break_at and len(there) >= self.book.break_at[0]:
                self.book.break_at.pop(0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
                return False
        return True

    def where(self, name: str) -> dict[str, str]:
        least = {"OCI-Chunk-Min-Length": str(self.book.least)} if self.book.least else {}
        return {
            "Location": f"{self.book.location}{urlsplit(self.path).path.rpartition('/')[0]}/{name}?a=b",
            **least,
        }

    def blob(self, digest: str) -> None:
        if digest not in self.book.blobs:
            self.reply(404)
        elif self.book.storage and self.command == "GET":
            self.reply(307, Location=f"{self.book.storage}/{digest}?signature=1")
        else:
            self.reply(200, self.book.blobs[digest])

    def manifest(self, name: str) -> None:
        if self.command == "PUT":
            data = self.rfile.read(int(self.headers["Content-Length"]))
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            self.book.manifests[name] = self.book.manifests[digest] = (self.headers["Content-Type"], data)
            self.reply(201)  # and says nothing of its digest
        elif name in self.book.manifests:
            kind, data = self.book.manifests[name]
            self.reply(200, data, **{"Content-Type": kind})
        else:
            self.reply(404)

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # after a reset there is nothing to flush into
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def running_book(certificate: Certificate | None = None) -> Iterator[Book]:
    made = Book()
    with serving(type("BookHandler", (Handler,), {"book": made}), certificate) as address:
        made.host = address
        yield made


@contextlib.contextmanager
def storing(book: Book, certificate: Certificate | None = None) -> Iterator[list[dict[str, str]]]:
    """Another host, to which `book` sends those who want blobs; the headers of the requests it gets."""
    seen: list[dict[str, str]] = []

    class Storage(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            data = book.blobs[urlsplit(self.path).path[1:]]
            self.send_response_only(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving(Storage, certificate) as address:
        book.storage = f"{'https' if certificate else 'http'}://{address}"
        yield seen
