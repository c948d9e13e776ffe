"""A package index of the tests' own on loopback: PEP 503 pages, PEP 691 documents, and faults."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n"


def metadata(name: str, version: str, requires: Sequence[str] = (), kind: str = "2.1") -> str:
    """The text of a METADATA file."""
    lines = [f"Metadata-Version: {kind}", f"Name: {name}", f"Version: {version}"]
    return "\n".join([*lines, *(f"Requires-Dist: {entry}" for entry in requires)]) + "\n"


def wheel(
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    tag: str = "py3-none-any",
    members: Mapping[str, bytes] | None = None,
    entry_points: str = "",
) -> bytes:
    """The bytes of a wheel that holds one module, and `members` as they are named, however wrong."""
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    files = dict(members or {f"{name.replace('-', '_')}.py": f"version = {version!r}\n".encode()})
    files[f"{folder}/METADATA"] = metadata(name, version, requires).encode()
    files[f"{folder}/WHEEL"] = WHEEL.format(tag=tag).encode()
    if entry_points:
        files[f"{folder}/entry_points.txt"] = entry_points.encode()
    rows = [f"{path},sha256={_record_hash(content)},{len(content)}" for path, content in files.items()]
    files[f"{folder}/RECORD"] = "\n".join([*rows, f"{folder}/RECORD,,"]).encode() + b"\n"
    return _zip(files)


def _record_hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2024, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


def sdist(name: str, version: str, files: Mapping[str, str], *, kind: str = "2.1") -> bytes:
    """The bytes of a source distribution; with `kind` 2.2 or later its metadata is static (PEP 643)."""
    buffer = io.BytesIO()
    root = f"{name}-{version}"
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in {"PKG-INFO": metadata(name, version, kind=kind), **files}.items():
            entry = tarfile.TarInfo(f"{root}/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


@dataclass(kw_only=True)
class Served:
    """A file on the index, and what the index says of it (which may be a lie, or nothing)."""

    content: bytes
    sha256: str | None
    size: int | None


@dataclass
class PackageIndex:
    """What the server answers with. Fields may be changed while it runs."""

    address: str = ""
    projects: dict[str, dict[str, Served]] = field(default_factory=dict)
    files: dict[str, Served] = field(default_factory=dict)
    json: bool = True
    status: int = 200
    delay: float = 0.0
    user: str | None = None
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address of the index, as in `index-url`."""
        return f"{self.address}/simple"

    def add(
        self, project: str, file: str, content: bytes, *, sha256: str | None = "", size: int | None = -1
    ) -> str:
        """Put a file on the index; the hash and size it tells are the true ones unless given. Its digest."""
        digest = hashlib.sha256(content).hexdigest()
        told = digest if sha256 == "" else sha256
        served = Served(content=content, sha256=told, size=len(content) if size == -1 else size)
        self.projects.setdefault(project, {})[file] = served
        self.files[f"/files/{file}"] = served
        return digest

    def add_wheel(self, name: str, version: str, **options: object) -> str:
        """Put a wheel made by `wheel` on the index."""
        tag = str(options.get("tag", "py3-none-any"))
        content = wheel(name, version, **options)  # type: ignore[arg-type]
        return self.add(name, f"{name.replace('-', '_')}-{version}-{tag}.whl", content)

    def page(self, project: str, accepts_json: bool) -> tuple[str, bytes]:
        """The content type and body of a project's page (PEP 503) or document (PEP 691)."""
        listing = self.projects[project]
        if accepts_json and self.json:
            return "application/vnd.pypi.simple.v1+json", self._document(project, listing)
        anchors = [_anchor(name, file) for name, file in listing.items()]
        return "text/html", f"<!DOCTYPE html><html><body>{''.join(anchors)}</body></html>".encode()

    def _document(self, project: str, listing: Mapping[str, Served]) -> bytes:
        files = [
            {
                "filename": name,
                "url": f"{self.address}/files/{name}",
                "hashes": {"sha256": file.sha256} if file.sha256 else {},
                "upload-time": "2024-05-01T00:00:00Z",
                **({} if file.size is None else {"size": file.size}),
            }
            for name, file in listing.items()
        ]
        meta = {"api-version": "1.1"}
        return json.dumps({"meta": meta, "name": project, "versions": [], "files": files}).encode()


def _anchor(name: str, file: Served) -> str:
    fragment = f"#sha256={file.sha256}" if file.sha256 else ""
    return f'<a href="/files/{name}{fragment}">{html.escape(name)}</a>'


def _handler(index: PackageIndex) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            index.requests.append(self.path)
            time.sleep(index.delay)
            try:
                self._send(*self._reply())
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

        def _reply(self) -> tuple[int, str, bytes]:
            if index.status != 200:
                return index.status, "text/plain", b"no"
            if index.user is not None and self.headers.get("Authorization") != _basic(index.user):
                return 401, "text/plain", b"who are you"
            if self.path in index.files:
                return 200, "application/octet-stream", index.files[self.path].content
            project = self.path.removeprefix("/simple/").strip("/")
            if self.path.startswith("/simple/") and project in index.projects:
                return 200, *index.page(project, "json" in self.headers.get("Accept", ""))
            return 404, "text/plain", b"no such page"

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


def _basic(user: str) -> str:
    return "Basic " + base64.b64encode(user.encode()).decode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away in the middle are expected."""


@contextmanager
def serving() -> Iterator[PackageIndex]:
    """A running index, empty at first; it ends with the block."""
    index = PackageIndex()
    server = _Server(("127.0.0.1", 0), _handler(index))
    index.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
