from __future__ import annotations

import json
import ssl
import subprocess
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from wardian.ecosystems.python.configured import read_indexes
from wardian.ecosystems.python.indexes import Indexes, uv_environment, without_credentials
from wardian.ecosystems.python.resolve import resolve
from wardian.errors import FetchError, SpecError
from wardian.project.configuration import Configuration

from .package_index import wheel

NOTHING = Configuration()


@pytest.fixture
def home(tmp_path):
    """A home without settings, and a Python without any of its own; the machine's files are not read."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def read(home, tmp_path, monkeypatch):
    """Read the settings of that home, given variables."""
    from wardian.ecosystems.python import pip_settings

    real = pip_settings._files
    monkeypatch.setattr(
        pip_settings, "_files", lambda *given: (path for path in real(*given) if str(path) != "/etc/pip.conf")
    )

    def read(configuration=NOTHING, **variables):
        environment = {"HOME": str(home), "XDG_CONFIG_DIRS": str(tmp_path / "xdg"), **variables}
        return read_indexes(configuration, environment, prefix=tmp_path / "prefix")

    return read


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_nothing_configured_means_uvs_default(read):
    assert read() == Indexes(origin="uv's default")


def test_pip_files_by_strength_then_variables(read, home, tmp_path):
    write(tmp_path / "xdg/pip/pip.conf", "[global]\nindex-url = https://weakest.test/simple\nno-index = no\n")
    write(home / ".pip/pip.conf", "[global]\nindex-url = https://legacy.test/simple\n")
    write(
        home / ".config/pip/pip.conf", "[global]\nextra-index-url =\n  https://a.test/s\n  https://b.test/s\n"
    )
    write(tmp_path / "prefix/pip.conf", "[install]\ntrusted-host = a.test\n[global]\ntrusted-host = b.test\n")
    found = read()
    assert found.default == "https://legacy.test/simple"
    assert found.extra == ("https://a.test/s", "https://b.test/s")
    assert found.insecure_hosts == ("a.test",)
    assert found.strategy == "unsafe-best-match"
    assert read(PIP_INDEX_URL="https://variable.test/simple").default == "https://variable.test/simple"
    assert read(PIP_CONFIG_FILE="/dev/null") == Indexes(origin="uv's default")


def test_an_explicit_pip_file_stands_for_the_users(read, home, tmp_path):
    write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://user.test/simple\n")
    write(tmp_path / "mine.conf", "[global]\nextra-index-url = https://mine.test/simple\n")
    found = read(PIP_CONFIG_FILE=str(tmp_path / "mine.conf"))
    assert (found.default, found.extra) == (None, ("https://mine.test/simple",))


def test_a_pip_file_that_makes_no_sense_is_passed_over(read, home):
    write(home / ".config/pip/pip.conf", "index-url without a section\n")
    assert read() == Indexes(origin="uv's default")


def test_folders_that_are_not_there_are_left_out(read, tmp_path):
    there = tmp_path / "with, comma"
    there.mkdir()
    found = read(
        PIP_EXTRA_INDEX_URL=f"file://{tmp_path}/gone file://{tmp_path}",
        UV_CACHE_DIR="/elsewhere",
    )
    assert found.extra == (f"file://{tmp_path}",)
    links = replace(found, find_links=(str(there),))
    assert links.folders == (tmp_path, there)
    assert links.variables()["UV_FIND_LINKS"] == f"file://{tmp_path}/with%2C%20comma"


def test_uvs_configuration_wins_over_pips(read, home):
    write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://pip.test/simple\n")
    write(
        home / ".config/uv/uv.toml",
        'find-links = ["links"]\nallow-insecure-host = ["uv.test"]\n'
        '[[index]]\nname = "inner"\nurl = "https://inner.test/simple"\n'
        '[[index]]\nurl = "https://uv.test/simple"\ndefault = true\n'
        '[[index]]\nname = "one"\nurl = "https://explicit.test/simple"\nexplicit = true\n',
    )
    (home / ".config/uv/links").mkdir()
    found = read()
    assert found.origin == "uv's configuration"
    assert (found.default, found.extra) == ("https://uv.test/simple", ("inner=https://inner.test/simple",))
    assert found.find_links == (str(home / ".config/uv/links"),)
    assert (found.strategy, found.insecure_hosts) == ("first-index", ("uv.test",))
    assert read(UV_DEFAULT_INDEX="https://v.test/s").default == "https://v.test/s"
    assert read(UV_INDEX="https://v.test/s").extra == ("https://v.test/s", "inner=https://inner.test/simple")
    assert read(UV_NO_CONFIG="1").default == "https://pip.test/simple"


def test_uvs_lists_of_all_files_are_one_and_a_default_keeps_its_name(read, home, tmp_path):
    index = '[[index]]\nname = "corp"\nurl = "https://corp.test/simple"\ndefault = true\n'
    write(tmp_path / "xdg/uv/uv.toml", 'extra-index-url = ["https://a.test/s", "https://b.test/s"]\n' + index)
    write(home / ".config/uv/uv.toml", 'extra-index-url = ["https://c.test/s", "https://a.test/s"]\n')
    found = read()
    assert found.default == "corp=https://corp.test/simple"
    assert found.extra == ("https://c.test/s", "https://a.test/s", "https://b.test/s")
    address = "https://corp.test/files/a.whl"
    variables = {"UV_INDEX_CORP_USERNAME": "me", "UV_INDEX_CORP_PASSWORD": "pa/ss"}
    assert found.with_credentials(address, variables) == "https://me:pa%2Fss@corp.test/files/a.whl"
    assert found.with_credentials("https://other.test/a.whl", variables) == "https://other.test/a.whl"


@pytest.mark.parametrize(
    ("text", "default", "extra"),
    [
        (
            '[[index]]\nurl = "./local"\ndefault = true\n[[index]]\nurl = "~/more"\n',
            "{uv}/local",
            "{home}/more",
        ),
        ('[[index]]\nname = "corp"\nurl = "local"\ndefault = true\n', "corp={uv}/local", None),
        ('index-url = "./local"\nextra-index-url = ["more"]\n', "{uv}/local", "{uv}/more"),
    ],
)
def test_uvs_local_indexes_are_beside_its_configuration(read, home, monkeypatch, text, default, extra):
    monkeypatch.setenv("HOME", str(home))
    write(home / ".config/uv/uv.toml", text)
    places = {"uv": home / ".config/uv", "home": home}
    for place in places.values():
        (place / "more").mkdir()
    found = read()
    assert found.default == default.format(**places)
    assert found.extra == ((extra.format(**places),) if extra else ())


def test_credentials_of_netrc(tmp_path):
    indexes = Indexes(origin="the test", default="https://in:address@index.test/simple")
    (tmp_path / ".netrc").write_text("machine files.test login me password pass\n")
    for environment in ({"HOME": str(tmp_path)}, {"NETRC": str(tmp_path / ".netrc")}):
        made = indexes.with_credentials("https://files.test:8443/a.whl", environment)
        assert made == "https://me:pass@files.test:8443/a.whl"
    (tmp_path / ".netrc").write_text("machine index.test login me password pass\nnonsense")
    assert indexes.with_credentials("https://files.test/a", {"HOME": str(tmp_path)}) == "https://files.test/a"
    made = indexes.with_credentials("https://index.test/a", {"HOME": str(tmp_path)})
    assert made == "https://in:address@index.test/a"


@pytest.mark.parametrize(
    "text",
    [
        'index = "https://secret@a.test"', "index = [1]", "[[index]]\nname = 'a'", "[[index]]\nurl = 1",
        'extra-index-url = "https://secret@a.test"', "find-links = [1]", "pip = 1", "index-url = ['a']",
        "a = " + "[" * 5000,
    ],
)  # fmt: skip
def test_uvs_configuration_of_wrong_types(read, home, text):
    write(home / ".config/uv/uv.toml", text)
    with pytest.raises(SpecError, match=r"cannot read uv's configuration .*uv\.toml") as caught:
        read()
    assert "secret" not in caught.value.message


def test_pips_install_section_wins_over_global_of_a_stronger_file(read, home, tmp_path):
    write(tmp_path / "xdg/pip/pip.conf", "[install]\nindex-url = https://install.test/simple\n")
    write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://global.test/simple\n")
    assert read().default == "https://install.test/simple"


def test_uvs_configuration_that_names_no_index_leaves_pips(read, home):
    write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://pip.test/simple\n")
    write(home / ".config/uv/uv.toml", 'index-strategy = "unsafe-first-match"\n')
    assert read().default == "https://pip.test/simple"


def test_uvs_configuration_that_is_no_toml(read, home):
    write(home / ".config/uv/uv.toml", "index = [")
    with pytest.raises(SpecError, match=r"cannot read uv's configuration .*uv\.toml"):
        read()


def test_wardians_configuration_wins_over_all(read):
    mine = Configuration(python_index="https://mine.test/simple")
    found = read(mine, UV_DEFAULT_INDEX="https://uv.test/simple", PIP_EXTRA_INDEX_URL="https://pip.test/s")
    assert (found.origin, found.default, found.extra) == (
        "wardian's configuration",
        "https://mine.test/simple",
        (),
    )


def test_certificates_of_the_environment_then_pips(read, tmp_path):
    (tmp_path / "a.pem").touch()
    (tmp_path / "b.pem").touch()
    assert read(PIP_CERT=str(tmp_path / "a.pem")).certificates == str(tmp_path / "a.pem")
    both = read(PIP_CERT=str(tmp_path / "a.pem"), REQUESTS_CA_BUNDLE=str(tmp_path / "b.pem"))
    assert both.certificates == str(tmp_path / "b.pem")


def test_nothing_that_would_change_answers_reaches_uv():
    given = {
        "UV_OVERRIDE": "x", "UV_PRERELEASE": "allow", "UV_EXCLUDE_NEWER": "2020-01-01", "PYTHONPATH": "x",
        "PIP_INDEX_URL": "x", "VIRTUAL_ENV": "x", "https_proxy": "http://proxy.test", "UV_HTTP_TIMEOUT": "99",
        "UV_INDEX_INNER_PASSWORD": "secret", "HOME": "/home/me",
    }  # fmt: skip
    made = uv_environment(Indexes(origin="the test"), given, "/cache")
    kept = {name: value for name, value in made.items() if given.get(name) == value}
    assert kept.keys() == {"https_proxy", "UV_HTTP_TIMEOUT", "UV_INDEX_INNER_PASSWORD", "HOME"}
    assert (made["UV_CACHE_DIR"], made["UV_NO_CONFIG"]) == ("/cache", "1")


def test_credentials_leave_no_trace_in_text():
    text = without_credentials("see https://me:pa@ss@host/x and http://token@host/y, me@example.test")
    assert "token" not in text
    assert "me:" not in text
    assert text.endswith("http://host/y, me@example.test")


def test_indexes_and_links_that_are_folders(uv, request_for, tmp_path):
    page = tmp_path / "simple/alpha"
    page.mkdir(parents=True)
    (page / "alpha-1.0-py3-none-any.whl").write_bytes(wheel("alpha", "1.0"))
    (page / "index.html").write_text('<a href="alpha-1.0-py3-none-any.whl">alpha</a>')
    links = tmp_path / "links"
    links.mkdir()
    (links / "beta-1.0-py3-none-any.whl").write_bytes(wheel("beta", "1.0"))
    indexes = replace(uv.indexes, extra=((tmp_path / "simple").as_uri(),), find_links=(str(links),))
    alpha, beta = resolve(replace(uv, indexes=indexes), request_for("alpha", "beta"))
    assert (alpha.size, beta.size) == (len(wheel("alpha", "1.0")), len(wheel("beta", "1.0")))
    assert str(tmp_path) not in json.dumps([alpha.file, beta.file])


def test_an_untrusted_certificate_names_the_variable_to_set(uv, request_for, tmp_path):
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    places = ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "certificate.pem"]
    made = subprocess.run(["openssl", "req", *kind, *names, *places], check=False, capture_output=True)
    assert made.returncode == 0, "openssl is needed to make a certificate"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    with _secure_server(context) as port:
        secure = replace(uv, indexes=replace(uv.indexes, default=f"https://localhost:{port}/simple"))
        with pytest.raises(FetchError, match="its certificate is not trusted") as caught:
            resolve(secure, request_for("alpha"))
    assert "SSL_CERT_FILE" in caught.value.hint


class _secure_server:  # noqa: N801 - used as a function
    def __init__(self, context: ssl.SSLContext) -> None:
        self.server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.handle_error = lambda *_: None
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> int:
        self.thread.start()
        return self.server.server_address[1]

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
