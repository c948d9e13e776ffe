"""Real registries (docker-registry) on the loopback, and a token server for them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PROGRAM = "/usr/bin/docker-registry"
USER, PASSWORD = "someone", "correct horse:battery"


@dataclass(frozen=True, kw_only=True)
class RealRegistry:
    """A running docker-registry: its `host` with port, and where it keeps its blobs."""

    host: str
    data: Path
    authority: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate that nobody vouches for, and its key."""

    path: Path
    key: Path


def make_certificate(folder: Path, name: str = "server") -> Certificate:
    made = Certificate(path=folder / f"{name}.crt", key=folder / f"{name}.key")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", made.key, "-out", made.path], check=True, capture_output=True)
    return made


@contextlib.contextmanager
def running_registry(
    folder: Path,
    *,
    certificate: Certificate | None = None,
    users: bool = False,
    tokens: TokenServer | None = None,
    clients: Certificate | None = None,
) -> Iterator[RealRegistry]:
    """A docker-registry with its data below `folder`; `clients` is a certificate that it wants to see."""
    port = _free_port()
    lines = ["version: 0.1", "log: {level: error, accesslog: {disabled: true}}", "storage:"]
    lines += [f"  filesystem: {{rootdirectory: {folder}/data}}", "  delete: {enabled: true}"]
    lines += ["http:", f"  addr: 127.0.0.1:{port}", f"  secret: {secrets.token_hex(8)}"]
    if certificate:
        lines += ["  tls:", f"    certificate: {certificate.path}", f"    key: {certificate.key}"]
    if clients:
        lines += [f"    clientcas: [{clients.path}]"]
    if users:
        lines += ["auth:", f"  htpasswd: {{realm: test, path: {_htpasswd(folder)}}}"]
    if tokens:
        lines += ["auth:", "  token:", f"    realm: {tokens.url}/token", f"    service: {tokens.service}"]
        lines += [f"    issuer: {tokens.issuer}", f"    rootcertbundle: {tokens.certificate.path}"]
    (folder / "config.yml").write_text("\n".join(lines) + "\n")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [PROGRAM, "serve", folder / "config.yml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _await_port(port, process, folder / "log")
        yield RealRegistry(
            host=f"localhost:{port}",
            data=folder / "data",
            authority=certificate.path if certificate else None,
        )
    finally:
        process.terminate()
        process.wait(10)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"docker-registry ended: {log.read_text()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)  # it says nowhere when it listens
    raise RuntimeError(f"docker-registry does not listen: {log.read_text()}")


def _htpasswd(folder: Path) -> Path:
    path = folder / "htpasswd"
    command = ["htpasswd", "-i", "-B", "-C", "4", "-c", path, USER]
    subprocess.run(command, input=PASSWORD.encode(), check=True, capture_output=True)
    return path


@dataclass(kw_only=True)
class TokenServer:
    """distribution's token server: signs what it is asked for, to those who may have it.

    `lifetime` is what it says of its tokens, `real_lifetime` what it writes into them. `anonymous` and
    `known` say what nobody and somebody may do. `seen` holds the requests: method, query or form,
    Authorization.
    """

    certificate: Certificate
    service: str = "registry.test"
    issuer: str = "issuer.test"
    lifetime: int = 300
    real_lifetime: int = 300
    anonymous: tuple[str, ...] = ("pull",)
    known: tuple[str, ...] = ("pull", "push")
    identity_token: str = "identity-of-someone"
    faults: list[int] = field(default_factory=list)
    seen: list[tuple[str, dict[str, list[str]], str]] = field(default_factory=list)
    url: str = ""

    def grant(self, scopes: list[str], *, known: bool) -> str:
        """A token for what of `scopes` is allowed."""
        access = []
        for scope in " ".join(scopes).split():
            kind, name, actions = scope.split(":")
            may = self.known if known else self.anonymous
            allowed = [action for action in actions.split(",") if action in may]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": self.service, "sub": "someone", "access": access}
        claims |= {
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + self.real_lifetime,
            "jti": secrets.token_hex(8),
        }
        return self._sign(claims)

    def _sign(self, claims: dict[str, object]) -> str:
        leaf = "".join(self.certificate.path.read_text().split("-----")[2].split())
        parts = [
            _encode(json.dumps(part).encode())
            for part in ({"typ": "JWT", "alg": "RS256", "x5c": [leaf]}, claims)
        ]
        text = ".".join(parts)
        command = ["openssl", "dgst", "-sha256", "-sign", self.certificate.key]
        done = subprocess.run(command, input=text.encode(), check=True, capture_output=True)
        return f"{text}.{_encode(done.stdout)}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextlib.contextmanager
def running_tokens(folder: Path) -> Iterator[TokenServer]:
    made = TokenServer(certificate=make_certificate(folder, "tokens"))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            shown = self.headers.get("Authorization", "")
            made.seen.append(("GET", query, shown))
            right = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if shown and shown != right:
                self._answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]})
            else:
                self._grant(query.get("scope", []), known=shown == right)

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            made.seen.append(("POST", form, self.headers.get("Authorization", "")))
            if form.get("refresh_token") == [made.identity_token]:
                self._grant(form.get("scope", []), known=True, name="access_token")
            else:
                self._answer(401, {"error": "invalid_grant"})

        def _grant(self, scopes: list[str], *, known: bool, name: str = "token") -> None:
            if made.faults:
                self._answer(made.faults.pop(0), {})
            else:
                token = made.grant(scopes, known=known)
                self._answer(200, {name: token, "expires_in": made.lifetime})

        def _answer(self, status: int, content: object) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving(Handler) as address:
        made.url = f"http://{address}"
        yield made


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Those who break off are what many tests are about."""


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler], certificate: Certificate | None = None) -> Iterator[str]:
    """An HTTP server on the loopback; its host and port."""
    server = _Server(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.path, certificate.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


Need = Callable[[object, str], None]
