"""Fetching: retries, bounds, verification, and what is said when it fails."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from wardian.errors import FetchError, HostError, VerificationError
from wardian.system.http import Fetcher, MissingError, Pace

DATA = b"some bytes " * 9999
SHA256 = hashlib.sha256(DATA).hexdigest()


def download(fetcher, urls, target, **keywords):
    fetcher.download(urls, target, sha256=SHA256, size=len(DATA), **keywords)


def test_get_returns_the_body_and_lower_case_headers(server, answers, fetcher):
    server.behaviours["/a"] = [answers.body(b"hello", ETag='"1"')]
    response = fetcher.get(f"{server.url}/a", headers={"X-Test": "yes"})
    assert (response.status, response.body, response.headers["etag"]) == (200, b"hello", '"1"')
    assert server.seen[0][1]["x-test"] == "yes"


def test_304_is_an_answer(server, answers, fetcher):
    server.behaviours["/a"] = [answers.status(304)]
    assert fetcher.get(f"{server.url}/a", headers={"If-None-Match": '"1"'}).status == 304


def test_404_is_missing_and_not_tried_again(server, fetcher):
    with pytest.raises(MissingError) as caught:
        fetcher.get(f"{server.url}/none")
    assert caught.value.message == f"cannot fetch {server.url}/none: it answers 404 Not Found"
    assert caught.value.exit_status == 1
    assert server.count("/none") == 1


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_passing_faults_are_tried_again(server, answers, fetcher, code):
    server.behaviours["/a"] = [answers.status(code), answers.status(code), answers.body(b"there")]
    assert fetcher.get(f"{server.url}/a").body == b"there"
    assert server.count("/a") == 3


def test_503_for_ever_ends_after_bounded_attempts(server, answers, fetcher):
    server.behaviours["/a"] = [answers.status(503)]
    with pytest.raises(FetchError) as caught:
        fetcher.get(f"{server.url}/a")
    said = f"cannot fetch {server.url}/a: it answers 503 Service Unavailable; 3 attempts"
    assert caught.value.message == said
    assert server.count("/a") == 3


def test_retry_after_is_obeyed_within_patience(server, answers, fetcher):
    server.behaviours["/a"] = [answers.status(429, Retry_After="0.3"), answers.body(b"there")]
    began = time.monotonic()
    assert fetcher.get(f"{server.url}/a").body == b"there"
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_beyond_patience_ends_at_once(server, answers, fetcher, form):
    after = "3600" if form == "seconds" else formatdate(time.time() + 3600, usegmt=True)
    server.behaviours["/a"] = [answers.status(429, Retry_After=after)]
    began = time.monotonic()
    with pytest.raises(FetchError, match="429 Too Many Requests"):
        fetcher.get(f"{server.url}/a")
    assert time.monotonic() - began < 2
    assert server.count("/a") == 1


def test_a_hang_ends_and_says_so(server, answers, fetcher):
    server.behaviours["/a"] = [answers.hang(5)]
    began = time.monotonic()
    with pytest.raises(FetchError) as caught:
        fetcher.get(f"{server.url}/a")
    assert caught.value.message == f"cannot fetch {server.url}/a: no answer in time; 3 attempts"
    assert time.monotonic() - began < 4


def test_a_drip_counts_as_a_hang(server, answers, fetcher, tmp_path):
    server.behaviours["/a"] = [answers.drip(200)]
    with pytest.raises(FetchError, match=r"it sent \d+ bytes in 0 s; 3 attempts"):
        download(fetcher, [f"{server.url}/a"], tmp_path / "file")


def test_resets_are_tried_again(server, answers, fetcher):
    server.behaviours["/a"] = [answers.reset(), answers.body(b"there")]
    assert fetcher.get(f"{server.url}/a").body == b"there"


def test_a_refused_connection_names_address_and_reason(fetcher):
    with pytest.raises(FetchError) as caught:
        fetcher.get("http://127.0.0.1:9/a")
    assert caught.value.message == "cannot fetch http://127.0.0.1:9/a: connection refused; 3 attempts"


def test_a_name_that_cannot_be_looked_up(fetcher):
    with pytest.raises(FetchError) as caught:
        fetcher.get("http://nowhere.invalid/a")
    assert "http://nowhere.invalid/a: the host's name cannot be looked up; 3 attempts" in caught.value.message
    assert caught.value.hint == "check the address, the network and the name server"


@pytest.mark.parametrize("url", ["foo:bar", "http://", "nothing", "http://[::1/a"])
def test_what_is_no_address(fetcher, url):
    with pytest.raises(FetchError, match="no address that can be fetched"):
        fetcher.get(url)


def test_redirects_are_followed_but_not_for_ever(server, answers, fetcher):
    server.behaviours["/a"] = [answers.status(302, Location="/b")]
    server.behaviours["/b"] = [answers.body(b"there")]
    server.behaviours["/loop"] = [answers.status(302, Location="/loop")]
    assert fetcher.get(f"{server.url}/a").body == b"there"
    with pytest.raises(FetchError, match="it redirects over 8 times"):
        fetcher.get(f"{server.url}/loop")


def test_a_redirects_long_body_is_not_read(server, answers, fetcher):
    sent: list[int] = []

    def endless(request):
        request.close_connection = True
        request.send_response(302)
        request.send_header("Location", "/b")
        request.end_headers()
        for _ in range(64):
            request.wfile.write(bytes(1 << 20))
            sent.append(1 << 20)

    server.behaviours["/a"] = [endless]
    server.behaviours["/b"] = [answers.body(b"there")]
    assert fetcher.get(f"{server.url}/a").body == b"there"
    assert sum(sent) < 32 << 20


def test_credentials_are_sent_and_never_shown(server, answers, fetcher):
    server.behaviours["/a"] = [answers.status(401)]
    with pytest.raises(FetchError) as caught:
        fetcher.get(server.url.replace("//", "//user:s%40cret@") + "/a")
    assert server.seen[0][1]["authorization"] == "Basic dXNlcjpzQGNyZXQ="
    assert "cret" not in caught.value.message
    assert caught.value.hint == "check that this address may be used, with which credentials"


def test_credentials_are_sent_in_utf8(server, answers, fetcher):
    server.behaviours["/a"] = [answers.body(b"there")]
    fetcher.get(server.url.replace("//", "//us%C3%A9r:10%E2%82%AC@") + "/a")
    assert base64.b64decode(server.seen[0][1]["authorization"].split()[1]).decode() == "us\xe9r:10\u20ac"


def test_offline_asks_nobody_but_reads_files(server, pace, tmp_path):
    (tmp_path / "a").write_bytes(b"there")
    with Fetcher(environment={}, offline=True, pace=pace) as fetcher:
        assert fetcher.get(f"file://{tmp_path}/a").body == b"there"
        with pytest.raises(FetchError) as caught:
            fetcher.get(f"{server.url}/a")
    assert caught.value.hint == "run it without --offline"
    assert server.seen == []


def test_download_verifies_and_counts(server, answers, fetcher, tmp_path):
    server.behaviours["/a"] = [answers.body(DATA)]
    counted: list[int] = []
    download(fetcher, [f"{server.url}/a"], tmp_path / "new" / "file", advance=counted.append)
    assert (tmp_path / "new" / "file").read_bytes() == DATA
    assert sum(counted) == len(DATA)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_download_takes_the_next_address(server, answers, fetcher, tmp_path):
    server.behaviours["/a"] = [answers.body(DATA)]
    download(fetcher, [f"{server.url}/none", "http://127.0.0.1:9/", f"{server.url}/a"], tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA


def test_download_of_truncated_data_is_tried_again_and_counted_once(server, answers, fetcher, tmp_path):
    server.behaviours["/a"] = [answers.truncate(DATA, 5000), answers.body(DATA)]
    counted: list[int] = []
    download(fetcher, [f"{server.url}/a"], tmp_path / "file", advance=counted.append)
    assert sum(counted) == len(DATA)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (DATA.replace(b"some", b"same"), "its SHA-256 is"),
        (DATA[:-1], f"it has {len(DATA) - 1} bytes, not {len(DATA)}"),
        (DATA * 50, f"it is larger than the {len(DATA)} bytes expected"),
    ],
)
def test_other_bytes_are_refused_and_leave_nothing(server, answers, fetcher, tmp_path, wrong, reason):
    server.behaviours["/a"] = [answers.body(wrong)]
    with pytest.raises(VerificationError) as caught:
        download(fetcher, [f"{server.url}/a"], tmp_path / "file")
    assert f"cannot fetch {server.url}/a: {reason}" in caught.value.message
    assert list(tmp_path.iterdir()) == []
    assert server.count("/a") == 2


def test_download_that_nobody_has(server, fetcher, tmp_path):
    urls = [f"{server.url}/a", f"{server.url}/b"]
    with pytest.raises(MissingError) as caught:
        download(fetcher, urls, tmp_path / "file")
    said = [f"{url}: it answers 404 Not Found" for url in urls]
    assert caught.value.message == "\n  ".join(["cannot fetch any of", *said])


def test_a_full_disk_is_the_hosts_fault(server, answers, fetcher, monkeypatch):
    server.behaviours["/a"] = [answers.body(DATA)]
    monkeypatch.setattr(Path, "open", lambda path, mode: open("/dev/full", "wb", buffering=0))  # noqa: SIM115
    with pytest.raises(HostError) as caught:
        download(fetcher, [f"{server.url}/a"], Path("/tmp/never"))
    assert caught.value.message == "cannot write /tmp/never: No space left on device"


def test_what_advance_raises_ends_the_download(server, answers, fetcher, tmp_path):
    def stop(amount: int) -> None:
        if amount > 0:
            raise KeyboardInterrupt

    server.behaviours["/a"] = [answers.body(DATA)]
    with pytest.raises(KeyboardInterrupt):
        download(fetcher, [f"{server.url}/a"], tmp_path / "file", advance=stop)
    assert list(tmp_path.iterdir()) == []


def test_at_most_so_many_connections_to_a_host(server, answers):
    def slow(request):
        threading.Event().wait(0.05)
        answers.body(b"x")(request)

    server.behaviours["/a"] = [slow]
    with Fetcher(environment={}, connections=3, pace=Pace(stall=5)) as fetcher:
        threads = [threading.Thread(target=fetcher.get, args=(f"{server.url}/a",)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert server.count("/a") == 12
    assert server.most_at_once <= 3


def test_an_untrusted_certificate_says_what_to_set(secure, fetcher, pace):
    _, url, _ = secure
    with pytest.raises(FetchError) as caught:
        fetcher.get(f"{url}/a")
    assert caught.value.message.startswith(f"cannot fetch {url}/a: its certificate is not trusted (self")
    assert "SSL_CERT_FILE" in (caught.value.hint or "")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_certificate_that_is_named_is_trusted(secure, answers, pace, variable):
    server, url, certificate = secure
    server.behaviours["/a"] = [answers.body(b"there")]
    with Fetcher(environment={variable: str(certificate)}, pace=pace) as fetcher:
        assert fetcher.get(f"{url}/a").body == b"there"


def test_a_certificate_file_that_is_not_there(pace):
    environment = {"SSL_CERT_FILE": "/none.pem"}
    with Fetcher(environment=environment, pace=pace) as fetcher, pytest.raises(FetchError) as caught:
        fetcher.get("https://localhost:9/")
    said = "the certificates that SSL_CERT_FILE names cannot be read: /none.pem: No such file or directory"
    assert caught.value.message == said


def test_the_proxy_of_the_environment_is_used(server, answers, pace):
    server.behaviours["http://elsewhere.invalid/a"] = [answers.body(b"by proxy")]
    environment = {"http_proxy": server.url.replace("//", "//me:word@"), "no_proxy": "127.0.0.1"}
    with Fetcher(environment=environment, pace=pace) as fetcher:
        assert fetcher.get("http://elsewhere.invalid/a").body == b"by proxy"
        server.behaviours["/b"] = [answers.body(b"direct")]
        assert fetcher.get(f"{server.url}/b").body == b"direct"
    assert server.seen[0][1]["proxy-authorization"] == "Basic bWU6d29yZA=="
    assert server.seen[1][0] == "/b"


def test_a_proxy_of_an_unknown_kind(pace):
    environment = {"all_proxy": "socks5://u:p@127.0.0.1:9"}
    with Fetcher(environment=environment, pace=pace) as fetcher, pytest.raises(FetchError) as caught:
        fetcher.get("http://elsewhere.invalid/a")
    assert "the proxy socks5://127.0.0.1:9 cannot be used" in caught.value.message


def test_a_redirect_may_lead_to_tls_but_not_to_a_file(server, answers, pace, tmp_path, secure_elsewhere):
    url, certificate = secure_elsewhere
    server.behaviours["/a"] = [answers.status(302, Location=f"{url}/b")]
    server.behaviours["/file"] = [answers.status(302, Location=f"file://{certificate}")]
    with Fetcher(environment={"SSL_CERT_FILE": str(certificate)}, pace=pace) as fetcher:
        assert fetcher.get(f"{server.url}/a").body == b"over TLS"
        with pytest.raises(FetchError, match="no address that can be fetched"):
            fetcher.get(f"{server.url}/file")
