"""Connections: which proxy and which certificates an address is reached with. It fetches nothing.

Everything comes from the environment that is passed in, by the names that curl and requests use.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import ssl
import threading
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from wardian.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from urllib3 import PoolManager

    # What a host, `name` or `name:port`, is trusted by, where that is not the environment's affair.
    Trust = Callable[[str], ssl.SSLContext | None]

# Where distributions keep their certificates, for a Python whose OpenSSL was built to look elsewhere
# (uv's managed interpreters): Debian, Fedora, Alpine, openSUSE.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)
_FILE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


_USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@")


class Connections:
    """Pools of kept connections, at most `connections` to a host at once. Safe in several threads.

    `trust` gives the TLS contexts of hosts that have their own; where it gives none, the environment does.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        connections: int,
        stall: float,
        trust: Trust | None = None,
    ) -> None:
        self._environment = environment
        self._connections = connections
        self._stall = stall
        self._trust = trust
        self._lock = threading.Lock()
        self._managers: dict[tuple[str | None, bool, str], PoolManager] = {}

    def manager(self, url: str) -> PoolManager:
        """The pools that `url` is reached through; raises FetchError for an unusable proxy."""
        secure = url.startswith("https:")
        host = urlsplit(url).netloc.rpartition("@")[2].lower() if secure and self._trust else ""
        key = (proxy(url, self._environment), secure, host)
        with self._lock:
            if key not in self._managers:
                self._managers[key] = self._make(*key)
            return self._managers[key]

    def close(self) -> None:
        """Close every kept connection."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()
            self._managers.clear()

    def _context(self, address: str | None, secure: bool, host: str) -> ssl.SSLContext | None:
        # Reading a hundred certificates takes 20 ms: only where TLS is spoken, to the host or the proxy.
        if not secure and not (address or "").startswith("https:"):
            return None
        own = self._trust(host) if self._trust and host else None
        return own or certificates(self._environment)

    def _make(self, address: str | None, secure: bool, host: str) -> PoolManager:
        import urllib3

        timeout = urllib3.Timeout(connect=self._stall, read=self._stall)
        context = self._context(address, secure, host)
        if address is None:
            return urllib3.PoolManager(
                num_pools=32, maxsize=self._connections, block=True, timeout=timeout, ssl_context=context
            )
        try:
            return urllib3.ProxyManager(
                without_credentials(address),
                proxy_headers=_proxy_authorization(address),
                num_pools=32,
                maxsize=self._connections,
                block=True,
                timeout=timeout,
                ssl_context=context,
            )
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise FetchError(
                f"the proxy {without_credentials(address)} cannot be used: {error}",
                hint="set http_proxy and https_proxy to an address such as http://host:port",
            ) from error


def without_credentials(url: str) -> str:
    """`url` without user name and password: fit for a message, a lock or a request line."""
    return _USER.sub(r"\1", url, count=1)  # by pattern: it must not fail for what is no address


def authorization(url: str) -> dict[str, str]:
    """The header that carries the user name and password of `url`, if it has any (RFC 7617)."""
    credentials = _credentials(url)
    return {"authorization": credentials} if credentials else {}


def _proxy_authorization(url: str) -> dict[str, str]:
    credentials = _credentials(url)
    return {"proxy-authorization": credentials} if credentials else {}


def _credentials(url: str) -> str:
    raw = unquote_to_bytes(urlsplit(url).netloc.rpartition("@")[0])  # which has all else in UTF-8
    return f"Basic {base64.b64encode(raw).decode()}" if raw else ""


def proxy(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy for `url` ($http_proxy, $https_proxy, $all_proxy, less $no_proxy), or None."""
    parts = urlsplit(url)
    # HTTP_PROXY in capitals may be set by a request's header where wardian runs below CGI.
    names = [f"{parts.scheme}_proxy", "all_proxy"]
    if "REQUEST_METHOD" not in environment:
        names = [f"{parts.scheme}_proxy", f"{parts.scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    address = next((environment[name] for name in names if environment.get(name)), None)
    if address is None or _is_exempt(parts.hostname or "", parts.port, environment):
        return None
    return address if "://" in address else f"http://{address}"


def _is_exempt(host: str, port: int | None, environment: Mapping[str, str]) -> bool:
    exempt = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    for entry in filter(None, (item.strip().lower() for item in exempt.split(","))):
        name = entry.lstrip("*").lstrip(".")
        if entry == "*" or name in (host, f"{host}:{port}") or (name and host.endswith(f".{name}")):
            return True
        if "/" in entry and _is_within(host, entry):
            return True
    return False


def _is_within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def certificates(environment: Mapping[str, str]) -> ssl.SSLContext:
    """A client's TLS context that trusts what the environment says, else what the system trusts.

    $SSL_CERT_FILE, $REQUESTS_CA_BUNDLE and $CURL_CA_BUNDLE name a file (the first that is set counts),
    $SSL_CERT_DIR folders. Raises FetchError when one of them cannot be read.
    """
    variable = next((name for name in _FILE_VARIABLES if environment.get(name)), None)
    folders = [name for name in environment.get("SSL_CERT_DIR", "").split(":") if name]
    if variable is None and not folders:
        return _system_certificates()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if variable is not None:
        _trust(context, variable, environment[variable])
    for folder in folders:
        if os.path.isdir(folder):  # a variable that lists several may name some that are not there
            _trust(context, "SSL_CERT_DIR", folder)
    return context


def _trust(context: ssl.SSLContext, variable: str, path: str) -> None:
    try:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FetchError(
            f"the certificates that {variable} names cannot be read: {path}: {reason}",
            hint=f"set {variable} to a file of certificates in PEM form, or unset it",
        ) from error


def _system_certificates() -> ssl.SSLContext:
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None and not context.cert_store_stats()["x509_ca"]:
        for bundle in filter(os.path.exists, _BUNDLES):
            context.load_verify_locations(cafile=bundle)
            break
    return context
