"""Every exception of urllib3 has words, and none shows a traceback."""

from __future__ import annotations

import inspect
import ssl

import pytest
import urllib3.exceptions

from wardian.system.connections import proxy, without_credentials
from wardian.system.http_reasons import Reason, explain, explain_status

ERRORS = [
    item
    for item in vars(urllib3.exceptions).values()
    if inspect.isclass(item)
    and issubclass(item, Exception)
    and not issubclass(item, Warning)
    and item.__module__ == "urllib3.exceptions"
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_each_has_words(kind):
    error = kind.__new__(kind)
    vars(error).update(partial=1, expected=2, length=b"", reason=None, original_error=OSError(5, "x"))
    reason = explain(error)
    assert isinstance(reason, Reason)
    assert reason.text


def test_wrapped_causes_are_named():
    inner = ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED")
    wrapped = urllib3.exceptions.ProxyError("no", urllib3.exceptions.SSLError(inner))
    assert "not trusted" in explain(wrapped).text
    aborted = urllib3.exceptions.ProtocolError("aborted", ConnectionResetError(104, "x"))
    assert explain(aborted).text == "connection reset by peer"


def test_statuses():
    assert explain_status(599, None, now=0).text == "it answers 599"
    assert explain_status(503, "never", now=0).retry_after == 0
    assert explain_status(503, "Fri, 31 Dec 2020 99999999999999:59:59 GMT", now=0).retry_after == 0
    assert "proxy" in (explain_status(407, None, now=0).hint or "")


@pytest.mark.parametrize(
    ("url", "exempt", "expected"),
    [
        ("http://a.example/", "", "http://proxy:1"),
        ("http://a.example/", "example", None),
        ("http://a.example/", ".example", None),
        ("http://a.example/", "b.example, *", None),
        ("http://a.example:81/", "a.example:81", None),
        ("http://a.example:82/", "a.example:81", "http://proxy:1"),
        ("http://notexample/", "example", "http://proxy:1"),
        ("http://10.1.2.3/", "10.0.0.0/8", None),
        ("https://a.example/", "", None),
    ],
)
def test_no_proxy(url, exempt, expected):
    assert proxy(url, {"http_proxy": "proxy:1", "no_proxy": exempt}) == expected


def test_capitals_are_not_taken_from_a_request():
    assert proxy("http://a.example/", {"HTTP_PROXY": "proxy:1", "REQUEST_METHOD": "GET"}) is None
    assert proxy("http://a.example/", {"HTTP_PROXY": "proxy:1"}) == "http://proxy:1"


def test_credentials_are_cut():
    assert without_credentials("http://u:p@h:1/a@b") == "http://h:1/a@b"
