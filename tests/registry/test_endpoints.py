"""Where registries are, over what, and whom they are believed."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from wardian.errors import ImageError, RegistryError
from wardian.image.reference import Reference
from wardian.registry.endpoint import find_endpoint, find_mirrors, is_loopback
from wardian.registry.pull import pull
from wardian.registry.settings import RegistrySettings
from wardian.registry.trust import Trust

from .conftest import PLATFORM, make_image, push
from .proxy import Fault, answer_status
from .servers import make_certificate, running_registry, serving


def test_the_hub_is_reached_elsewhere():
    endpoint = find_endpoint("docker.io", {})
    assert (endpoint.name, endpoint.host, endpoint.schemes) == (
        "docker.io",
        "registry-1.docker.io",
        ("https",),
    )


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:1", "[::1]:5000", "a.localhost"]
)
def test_loopback(host):
    assert is_loopback(host)
    assert find_endpoint(host, {}).schemes == ("https", "http")


@pytest.mark.parametrize("host", ["registry.example", "10.0.0.1:5000", "localhost.example", "[::2]"])
def test_no_loopback(host):
    assert not is_loopback(host)
    assert find_endpoint(host, {}).schemes == ("https",)
    assert find_endpoint(host, {host: RegistrySettings(insecure=True)}).schemes == ("https", "http")


def test_mirrors_may_have_a_path():
    settings = {
        "docker.io": RegistrySettings(mirrors=("mirror.example/hub", "other.example:5000")),
        "other.example:5000": RegistrySettings(insecure=True),
    }
    first, second = find_mirrors("docker.io", settings)
    assert (first.host, first.repository("library/a"), first.insecure) == (
        "mirror.example",
        "hub/library/a",
        False,
    )
    assert (second.host, second.repository("library/a"), second.insecure) == (
        "other.example:5000",
        "library/a",
        True,
    )


@pytest.fixture
def made(library):
    return make_image(library, os.urandom(1000))


def test_a_certificate_that_nobody_vouches_for(secure, open_registry, name):
    with pytest.raises(RegistryError) as caught:
        open_registry(secure.host).authorize(name)
    assert "its certificate is not trusted (self-signed certificate)" in caught.value.message
    assert caught.value.hint.startswith("set SSL_CERT_FILE to a file that holds the certificate")


@pytest.mark.parametrize("way", ["SSL_CERT_FILE", "certs.d", "insecure", "settings"])
def test_a_certificate_of_its_own(secure, library, made, open_registry, name, tmp_path, way):
    keywords = {}
    if way == "SSL_CERT_FILE":
        keywords["environment"] = {"SSL_CERT_FILE": str(secure.authority)}
    elif way == "certs.d":
        folder = tmp_path / "config/containers/certs.d" / secure.host
        folder.mkdir(parents=True)
        shutil.copy(secure.authority, folder / "ca.crt")
        keywords["environment"] = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    elif way == "insecure":
        keywords["insecure"] = True
    else:
        keywords["settings"] = {secure.host: RegistrySettings(insecure=True)}
    push(open_registry(secure.host, **keywords), f"{secure.host}/{name}:1", made, library)


def test_a_client_certificate(folders, certificate, library, made, open_registry, name, tmp_path):
    folder = folders("clients")
    client = make_certificate(folder, "client")
    with running_registry(folder, certificate=certificate, clients=client) as registry:
        mine = tmp_path / "config/containers/certs.d" / registry.host
        mine.mkdir(parents=True)
        shutil.copy(certificate.path, mine / "ca.crt")
        environment = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
        with pytest.raises(RegistryError, match=r"TLS failed \(.*CERTIFICATE") as caught:
            open_registry(registry.host, environment=environment).authorize(name)
        assert "client certificate" in caught.value.hint
        shutil.copy(client.path, mine / "client.cert")
        with pytest.raises(RegistryError, match=r"client\.cert cannot be used"):
            open_registry(registry.host, environment=environment).authorize(name)
        shutil.copy(client.key, mine / "client.key")
        push(
            open_registry(registry.host, environment=environment), f"{registry.host}/{name}:1", made, library
        )


def test_a_certificate_that_is_none(secure, open_registry, name, tmp_path):
    folder = tmp_path / "config/containers/certs.d" / secure.host
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_text("nothing\n")
    with pytest.raises(RegistryError, match=r"the certificate .*/ca\.crt cannot be used"):
        open_registry(secure.host, environment={"XDG_CONFIG_HOME": str(tmp_path / "config")}).authorize(name)


def test_certificates_that_may_not_be_read(session_root):
    base = Path(tempfile.mkdtemp(dir=session_root))
    folder = base / "containers/certs.d/registry.example"
    folder.mkdir(parents=True)
    base.chmod(0o755)
    folder.chmod(0)
    told = told_to_a_plain_user(Trust({"XDG_CONFIG_HOME": str(base)}, insecure=frozenset()))
    folder.chmod(0o700)
    assert told == f"cannot read the certificates in {folder}: Permission denied"


def told_to_a_plain_user(trust: Trust) -> str:
    """Look for certificates in a child that is no root, for whom modes count."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            trust("registry.example")
        except RegistryError as error:
            os.write(writing, error.message.encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading, "rb") as pipe:
        return pipe.read().decode()


def test_http_where_https_is_expected(plain, open_registry, name, monkeypatch):
    monkeypatch.setattr("wardian.registry.endpoint.is_loopback", lambda host: False)
    with pytest.raises(RegistryError) as caught:
        open_registry(plain.host).authorize(name)
    assert caught.value.message == f"cannot use the registry {plain.host}: it speaks http, not https"
    assert "--insecure" in caught.value.hint


def test_http_when_asked(plain, library, made, open_registry, name, monkeypatch):
    monkeypatch.setattr("wardian.registry.endpoint.is_loopback", lambda host: False)
    push(open_registry(plain.host, insecure=True), f"{plain.host}/{name}:1", made, library)


def test_a_loopback_registry_needs_no_proxy(plain, open_registry, name):
    environment = {"http_proxy": "http://nowhere.invalid", "https_proxy": "http://nowhere.invalid"}
    open_registry(plain.host, environment=environment).authorize(name)


def test_a_host_that_is_not_there(open_registry, name):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"localhost:{free.getsockname()[1]}"
        with pytest.raises(RegistryError) as caught:
            open_registry(host).authorize(name)
    assert caught.value.message == f"cannot use the registry {host}: connection refused; 4 attempts"
    assert caught.value.hint == "check the network and the registry's name"


def test_a_name_that_nobody_knows(open_registry, name):
    with pytest.raises(RegistryError, match="the host's name cannot be looked up"):
        open_registry("nowhere.invalid").authorize(name)


class _Page(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(b"<html>welcome</html>")

    do_HEAD = do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize("status", [200, 404])
def test_a_web_server_is_no_registry(open_registry, other_library, status):
    with serving(type("Page", (_Page,), {"status": status})) as host, pytest.raises(RegistryError) as caught:
        pull(open_registry(host), Reference.parse(f"{host}/a:1"), other_library, platform=PLATFORM)
    said = f"cannot use the registry {host}: it is no registry: it answers {status} at /v2/ with a web page"
    assert caught.value.message == said
    assert caught.value.exit_status == 1


def test_web_pages_behind_a_registry(proxy, open_registry, other_library):
    page = answer_status(200, b"<html>log in to this network</html>", Content_Type="text/html")
    proxy.faults.append(Fault(pattern="manifests", act=page, times=9))
    with pytest.raises(RegistryError, match="answers with a web page"):
        pull(
            open_registry(proxy.host), Reference.parse(f"{proxy.host}/a:1"), other_library, platform=PLATFORM
        )


def test_an_unknown_authentication(proxy, open_registry, name):
    proxy.faults.append(Fault(pattern="/v2/$", act=answer_status(401, WWW_Authenticate="Negotiate"), times=9))
    with pytest.raises(RegistryError) as caught:
        open_registry(proxy.host).authorize(name)
    assert "wants an authentication that wardian does not know: negotiate" in caught.value.message


SCHEMA_1 = b'{"schemaVersion": 1, "name": "a", "tag": "1", "fsLayers": [], "history": []}'


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (SCHEMA_1, "application/vnd.docker.distribution.manifest.v1+prettyjws", "which is no image manifest"),
        (
            b'{"schemaVersion": 2, "mediaType": "application/x"}',
            "application/x",
            "which is no image manifest",
        ),
        (b"not JSON", "application/vnd.oci.image.manifest.v1+json", "JSON"),
        (b"[]", "application/vnd.oci.image.manifest.v1+json", "no JSON object"),
        (b" " * ((4 << 20) + 1), "application/vnd.oci.image.manifest.v1+json", "exceeds 4194304 bytes"),
        (b" " * (5 << 20), "application/vnd.oci.image.manifest.v1+json", "exceeds 4194304 bytes"),
    ],
    ids=["schema 1", "unknown", "no JSON", "no object", "a byte too large", "oversize"],
)
def test_manifests_that_are_none(proxy, open_registry, other_library, body, kind, said):
    proxy.faults.append(Fault(pattern="manifests", act=answer_status(200, body, Content_Type=kind), times=99))
    kind_of_error = RegistryError if "exceeds" in said else ImageError
    with pytest.raises(kind_of_error, match=said) as caught:
        pull(
            open_registry(proxy.host), Reference.parse(f"{proxy.host}/a:1"), other_library, platform=PLATFORM
        )
    assert f"{proxy.host}/a:1" in caught.value.message
    assert caught.value.exit_status == 1
    assert other_library.names() == ()


def test_error_texts_are_fit_for_a_terminal(proxy, open_registry, other_library):
    body = b'{"errors": [{"code": "X", "message": "a\\u001b[31mb\\nc' + b"y" * 5000 + b'"}]}'
    proxy.faults.append(Fault(pattern="manifests", act=answer_status(400, body), times=9))
    with pytest.raises(RegistryError) as caught:
        pull(
            open_registry(proxy.host), Reference.parse(f"{proxy.host}/a:1"), other_library, platform=PLATFORM
        )
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 500


def test_mirrors_come_first(plain, proxy, library, other_library, made, open_registry, name):
    """The registry itself is not there: all comes from the mirror."""
    push(open_registry(plain.host), f"{plain.host}/mirrored/{name}:1", made, library)
    settings = {"registry.invalid": RegistrySettings(mirrors=(f"{proxy.host}/mirrored",))}
    reference = Reference.parse(f"registry.invalid/{name}:1")
    image = pull(
        open_registry("registry.invalid", settings=settings), reference, other_library, platform=PLATFORM
    )
    assert image.descriptor == made.descriptor
    assert proxy.count("GET .*/blobs/") == 2


def test_mirrors_that_do_not_help_are_passed_over(
    plain, proxy, library, other_library, made, open_registry, name
):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", made, library)
    proxy.faults.append(Fault(pattern=r"GET .*/blobs/", act=answer_status(404), times=99))
    settings = {plain.host: RegistrySettings(mirrors=("nowhere.invalid", proxy.host))}
    said = []

    class Telling:
        def message(self, text):
            said.append(text)

    registry = open_registry(plain.host, settings=settings, progress=Telling())
    image = pull(registry, Reference.parse(f"{plain.host}/{name}:1"), other_library, platform=PLATFORM)
    assert image.descriptor == made.descriptor
    # Once for each reason: the first is not there, the second has no blob of two.
    assert [text.partition(":")[0] for text in said] == [
        "the mirror nowhere.invalid does not help",
        f"the mirror {proxy.host.partition(':')[0]}",
    ]


@pytest.mark.parametrize("body", [b"not JSON", b"[]", SCHEMA_1, b'{"schemaVersion": 2}'])
def test_mirrors_with_something_else_are_passed_over(
    plain, proxy, library, other_library, made, open_registry, name, body
):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", made, library)
    answer = answer_status(200, body, Content_Type="application/json")
    proxy.faults.append(Fault(pattern=r"GET .*/manifests/", act=answer, times=99))
    registry = open_registry(plain.host, settings={plain.host: RegistrySettings(mirrors=(proxy.host,))})
    image = pull(registry, Reference.parse(f"{plain.host}/{name}:1"), other_library, platform=PLATFORM)
    assert image.descriptor == made.descriptor


def test_capitals_in_a_host_make_no_difference(
    plain, proxy, library, other_library, made, open_registry, name
):
    push(open_registry(plain.host), f"{plain.host}/{name}:1", made, library)
    settings = {"registry.invalid": RegistrySettings(mirrors=(plain.host,))}
    registry = open_registry("Registry.Invalid", settings=settings)
    reference = Reference.parse(f"Registry.Invalid/{name}:1")
    image = pull(registry, reference, other_library, platform=PLATFORM)
    assert image.name == f"registry.invalid/{name}:1"


def test_pushes_do_not_go_to_mirrors(plain, proxy, library, made, open_registry, name):
    settings = {plain.host: RegistrySettings(mirrors=(proxy.host,))}
    push(open_registry(plain.host, settings=settings), f"{plain.host}/{name}:1", made, library)
    assert proxy.seen == []
