"""`wardian login` and `wardian logout`, with a registry of the test's own."""

from __future__ import annotations

import base64
import io
import json
import os
import pty
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

USER, PASSWORD = "someone", "correct:horse"


class _Guarded(BaseHTTPRequestHandler):
    """What a registry answers at /v2/ to those who log in."""

    is_open = False

    def do_GET(self) -> None:
        right = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.path != "/v2/":
            self.send_response(404)
        elif self.is_open or self.headers.get("Authorization") == right:
            self.send_response(200)
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(params=[False])
def host(request) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Guarded,), {"is_open": request.param}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def words(tmp_path):
    return {"HOME": str(tmp_path / "user"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}


@pytest.fixture
def stored(tmp_path):
    def read():
        path = tmp_path / "user/.docker/config.json"
        return json.loads(path.read_text())["auths"] if path.exists() else None

    return read


@pytest.fixture
def typed(monkeypatch):
    def call(text):
        raw = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="ascii"))

    return call


def test_login_and_logout(invoke, host, words, stored, typed, tmp_path):
    typed(PASSWORD + "\n")
    done = invoke("login", "-u", USER, "--password-stdin", host, **words)
    path = tmp_path / "user/.docker/config.json"
    assert (done.status, done.out) == (0, f"logged in to {host} as {USER}; the credentials are in {path}\n")
    assert stored() == {host: {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}
    assert PASSWORD not in done.out + done.err
    done = invoke("logout", host, **words)
    assert (done.status, done.out) == (0, f"logged out of {host}\n")
    assert stored() == {}
    assert invoke("logout", host, **words).out == f"there were no credentials for {host}\n"


def test_wrong_credentials_are_not_kept(invoke, host, words, stored, typed):
    typed("wrong\n")
    done = invoke("login", "-u", USER, "--password-stdin", host, **words)
    assert done.status == 1
    assert f"{host} does not accept the user name 'someone' and its password" in done.err
    assert stored() is None


@pytest.mark.parametrize("host", [True], indirect=True)
def test_a_registry_that_asks_for_nothing(invoke, host, words, stored, typed):
    typed("any\n")
    done = invoke("login", "-u", USER, "--password-stdin", host, **words)
    assert done.status == 0
    assert f"{host} did not ask for credentials" in done.err
    assert host in stored()


@pytest.mark.parametrize("name", ["https://{}", "http://{}/v2/", "{}/"])
def test_addresses_are_taken_for_names(invoke, host, words, stored, typed, name):
    typed(PASSWORD)
    assert invoke("login", "-u", USER, "--password-stdin", name.format(host), **words).status == 0
    assert list(stored()) == [host]


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (["-u", USER, "x.example"], "secret", "there is no terminal to ask for a password"),
        (["--password-stdin", "x.example"], "secret", "--password-stdin needs a user name"),
        (["-u", USER, "--password-stdin", "x.example"], "\n", "there is no password on standard input"),
        (["-u", USER, "--password-stdin", "x.example"], b"\xff", "on standard input is not UTF-8 text"),
        (["-u", USER, "--password-stdin", "x.example/team"], "secret", "'x.example/team' is no registry"),
        (["-u", USER, "--password-stdin", "-x"], "secret", "no option -x"),
    ],
)
def test_what_cannot_be(invoke, words, stored, typed, arguments, text, said):
    typed(text)
    done = invoke("login", *arguments, **words)
    assert done.status == 1
    assert said in done.err
    assert "hint: " in done.err
    assert stored() is None


def test_logout_of_everything(invoke, words, stored, tmp_path):
    path = tmp_path / "user/.docker/config.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"auths": {"a.example": {"auth": "YTpi"}, "b.example": {"auth": "YTpi"}}}))
    assert invoke("logout", "--all", **words).out == "logged out of a.example, b.example\n"
    assert stored() == {}
    assert invoke("logout", "--all", **words).out == "there were no credentials\n"
    assert invoke("logout", "--all", "a.example", **words).status == 1


def test_on_a_terminal_it_asks(command, host, tmp_path, stored):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "HOME": str(tmp_path / "user"), "WARDIAN_HOME": str(tmp_path / "home")}
    process = subprocess.Popen(
        [*command, "login", host],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        shown = _until(ours, "User name: ")
        os.write(ours, f"{USER}\n".encode())
        shown += _until(ours, "Password: ")
        os.write(ours, f"{PASSWORD}\n".encode())
        shown += _until(ours, "the credentials are in")
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert f"logged in to {host} as {USER}" in shown
    assert PASSWORD not in shown
    assert host in stored()


def _until(terminal: int, text: str) -> str:
    shown = ""
    while text not in shown:
        shown += os.read(terminal, 4096).decode()
    return shown
