"""Why a request failed, in words, and whether another attempt may help. The one seam to urllib3's errors."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from dataclasses import dataclass

_TRUST = "set SSL_CERT_FILE to a file that holds the certificate of your network's authority"
_NAME = "check the address, the network and the name server"
_ALERT = "ask those who run the server which TLS it speaks, and whether it wants a client certificate"
# What OpenSSL makes of a server's answer in plain text: 1.1 to 3.1, then 3.2 on.
_PLAIN = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A failed attempt. `retry_after` is in seconds; a 404 or 410 `is_missing`.

    `is_plain`: the server speaks no TLS, where it was asked by https.
    """

    text: str
    is_transient: bool = True
    is_missing: bool = False
    is_mismatch: bool = False
    is_plain: bool = False
    retry_after: float = 0.0
    hint: str | None = None


class FailedError(Exception):
    """An attempt that failed; it does not leave the Fetcher."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


def explain(error: Exception) -> Reason:
    """Translate any exception of urllib3, ssl or socket."""
    cause = _root(error)
    return (
        _explain_tls(cause) or _explain_name(cause) or _explain_socket(cause) or _explain_http(error, cause)
    )


def _root(error: BaseException) -> BaseException:
    """The innermost cause: urllib3 wraps what the system said in up to three layers."""
    import urllib3.exceptions as its

    while True:
        inner: object = None
        if isinstance(error, its.MaxRetryError):
            inner = error.reason
        elif isinstance(error, its.ProxyError):
            inner = error.original_error
        elif isinstance(error, (its.ProtocolError, its.SSLError)):
            inner = next((item for item in error.args if isinstance(item, BaseException)), None)
        elif isinstance(error, its.NewConnectionError) and not isinstance(error, its.NameResolutionError):
            inner = error.__cause__
        if not isinstance(inner, BaseException) or inner is error:
            return error
        error = inner


def _explain_tls(cause: BaseException) -> Reason | None:
    import urllib3.exceptions as its

    if isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(cause):
        said = getattr(cause, "verify_message", "") or str(cause)
        return Reason(text=f"its certificate is not trusted ({said})", is_transient=False, hint=_TRUST)
    if isinstance(cause, (ssl.SSLError, its.SSLError)):
        said = getattr(cause, "reason", None) or str(cause)
        if any(sign in str(said) for sign in _PLAIN):
            return Reason(text="it speaks http, not https", is_transient=False, is_plain=True)
        if "ALERT" in str(said):  # the server's own word: it speaks TLS, and does not like ours
            wants_ours = "CERTIFICATE" in str(said)
            return Reason(text=f"TLS failed ({said})", is_transient=not wants_ours, hint=_ALERT)
        return Reason(text=f"TLS failed ({said})")
    return None


def _explain_name(cause: BaseException) -> Reason | None:
    import urllib3.exceptions as its

    if isinstance(cause, its.NameResolutionError):
        return Reason(text="the host's name cannot be looked up", hint=_NAME)
    if isinstance(cause, socket.gaierror):
        return Reason(text=f"the host's name cannot be looked up ({cause.strerror})", hint=_NAME)
    return None


def _explain_socket(cause: BaseException) -> Reason | None:
    import urllib3.exceptions as its

    if isinstance(cause, (its.ReadTimeoutError, its.ConnectTimeoutError, TimeoutError)) and not isinstance(
        cause, its.NewConnectionError
    ):
        return Reason(text="no answer in time")
    if isinstance(cause, its.IncompleteRead):
        return Reason(text=f"the answer ended after {cause.partial} bytes, {cause.expected} missing")
    if isinstance(cause, OSError) and cause.errno:
        transient = cause.errno not in (errno.EACCES, errno.EPERM)
        return Reason(text=os.strerror(cause.errno).lower(), is_transient=transient)
    return None


def _explain_http(error: Exception, cause: BaseException) -> Reason:
    import urllib3.exceptions as its

    if isinstance(cause, ValueError) and not isinstance(cause, its.ProtocolError):
        return Reason(text="this is no address that can be fetched", is_transient=False)
    if isinstance(cause, its.ResponseError):
        return Reason(text=f"it redirects without end ({cause})", is_transient=False)
    said = str(cause) or type(cause).__name__
    return Reason(text=f"the connection broke off ({said})", is_transient=isinstance(error, its.HTTPError))


def explain_status(status: int, retry_after: str | None, *, now: float) -> Reason:
    """Translate a status of 400 or more; `now` is seconds since the epoch (RFC 9110, 10.2.3)."""
    transient = status in (408, 425, 429, 500, 502, 503, 504)
    return Reason(
        text=f"it answers {status}{_meaning(status)}",
        is_transient=transient,
        is_missing=status in (404, 410),
        retry_after=_seconds(retry_after, now) if transient and retry_after else 0.0,
        hint=_advice(status),
    )


def _meaning(status: int) -> str:
    from http import HTTPStatus

    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _advice(status: int) -> str | None:
    if status in (401, 403):
        return "check that this address may be used, with which credentials"
    if status == 407:
        return "give the proxy's credentials in http_proxy and https_proxy"
    return None


def _seconds(text: str, now: float) -> float:
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):  # of numbers that no date has
        return 0.0
