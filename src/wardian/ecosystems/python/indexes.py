"""Which package indexes uv uses: wardian's configuration, else uv's own, else pip's. It fetches nothing.

Whatever says it, it becomes one `Indexes`, which uv is then given through its environment and with its
own configuration switched off, so that only what stands here has effect. Environment variables rather
than arguments, because an index's address may hold a password and arguments are everyone's to read.

Index strategy: pip looks at all indexes alike and takes the best version (uv: `unsafe-best-match`). What
is written for pip, or in pip's words in wardian's configuration, is meant so: with uv's own default, an
extra index that mirrors a few packages would hide their newer versions. Where uv itself is configured,
its `index-strategy`, by default `first-index`, stands. Locked hashes hold in either case.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
# A Python with its own index settings, or settings that would change what is resolved, must not
# reach uv: these pass, all other UV_* variables don't.
_PASSED = re.compile(
    r"UV_(HTTP_\w+|REQUEST_TIMEOUT|CONCURRENT_\w+|SYSTEM_CERTS|NATIVE_TLS|INDEX_\w+_(USERNAME|PASSWORD)|"
    r"AUTH_TOKEN|CREDENTIALS_DIR|PYTHON_INSTALL_MIRROR|PYTHON_DOWNLOADS_JSON_URL|LOCK_TIMEOUT)"
)
_DROPPED = re.compile(r"(UV|PIP|PYTHON)\w*|VIRTUAL_ENV|CONDA_PREFIX|RUST_LOG|FORCE_COLOR")
_SYSTEM_CERTIFICATES = ("/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem")


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """Where Python packages come from. Addresses may hold credentials: it never reaches a lock.

    `default` is None for uv's own default. It and `extra` entries may have uv's form `name=address`.
    `origin` says in words whose setting this is. `certificates` is a PEM file.
    """

    origin: str
    default: str | None = None
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    strategy: str = "unsafe-best-match"
    certificates: str | None = None
    insecure_hosts: tuple[str, ...] = ()
    keyring: str | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """The local folders among them: a sandbox has to be shown these."""
        places = (local_path(place) for place in (self.default, *self.extra, *self.find_links) if place)
        return tuple(dict.fromkeys(path for path in places if path is not None))

    def with_credentials(self, address: str, environment: Mapping[str, str]) -> str:
        """`address` with the user name and password that uv would use for it, if it has some.

        They stand in the address of an index on the same host, in the variables for that index' name, or in
        ~/.netrc (uv's documentation, "Authentication").
        """
        parts = urlsplit(address)
        known = ""
        for place in (self.default, *self.extra, *self.find_links):
            found = re.fullmatch(r"(?:([\w.-]+)=)?\w+://(?:([^/\s]+)@)?([^/@\s]+).*", place or "")
            if found and found[3] == parts.netloc:
                known = known or found[2] or _named_credentials(found[1] or "", environment)
        known = known or _netrc_credentials(parts.hostname or "", environment)
        return address.replace("://", f"://{known}@", 1) if known and "@" not in parts.netloc else address

    def arguments(self) -> list[str]:
        """What uv is told by arguments, for it has no variable for it or it is no secret."""
        # With one index there is nothing to choose, and only uv's own strategy tells of a refused password.
        strategy = ["--index-strategy", self.strategy] if self.extra else []
        return [*strategy, *(["--no-index"] if self.no_index else [])]

    def variables(self) -> dict[str, str]:
        """What uv is told by its environment."""
        found = {
            "UV_DEFAULT_INDEX": self.default,
            "UV_INDEX": " ".join(self.extra),
            "UV_FIND_LINKS": ",".join(_without_comma(place) for place in self.find_links),
            "UV_INSECURE_HOST": " ".join(self.insecure_hosts),
            "UV_KEYRING_PROVIDER": self.keyring,
            "SSL_CERT_FILE": self.certificates,
        }
        return {name: value for name, value in found.items() if value}


def _named_credentials(name: str, environment: Mapping[str, str]) -> str:
    variable = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"
    user, password = (environment.get(f"{variable}_{what}", "") for what in ("USERNAME", "PASSWORD"))
    return _joined(user, password) if name else ""


def _netrc_credentials(host: str, environment: Mapping[str, str]) -> str:
    import netrc

    path = environment.get("NETRC") or os.path.join(environment.get("HOME", "/nonexistent"), ".netrc")
    try:
        found = netrc.netrc(path).authenticators(host)
    except (OSError, ValueError, netrc.NetrcParseError):
        return ""
    return _joined(found[0], found[2] or "") if found else ""


def _joined(user: str, password: str) -> str:
    return f"{quote(user, safe='')}:{quote(password, safe='')}" if user or password else ""


def certificates(environment: Mapping[str, str]) -> str | None:
    """The certificate file that the environment names, by the names that the Fetcher honours too."""
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    return next((value for name in names if (value := environment.get(name)) and os.path.isfile(value)), None)


def local_path(place: str) -> Path | None:
    """The path that an index's address names, if it is one of this machine."""
    address = place.partition("=")[2] if re.match(r"[\w.-]+=", place) else place
    if address.startswith("file:"):
        return Path(unquote(urlsplit(address).path))
    return None if "://" in address else Path(address).expanduser()


def _without_comma(place: str) -> str:
    # UV_FIND_LINKS is split at commas; the form with a scheme can spell one.
    path = local_path(place)
    return place if path is None else path.absolute().as_uri().replace(",", "%2C")


def uv_environment(indexes: Indexes, environment: Mapping[str, str], cache: str) -> dict[str, str]:
    """The whole environment of a uv process: what is asked for, and nothing that changes its answers.

    Time-outs and retries are bounded: a server that hangs is given up after about a minute.
    """
    kept = {name: value for name, value in environment.items() if _is_passed(name)}
    defaults = {"UV_HTTP_TIMEOUT": "15", "UV_HTTP_CONNECT_TIMEOUT": "10", "UV_HTTP_RETRIES": "3"}
    if not indexes.certificates and any(os.path.exists(path) for path in _SYSTEM_CERTIFICATES):
        # pip trusts what the system trusts; without this uv brings certificates of its own.
        defaults["UV_SYSTEM_CERTS"] = "true"
    fixed = {
        "UV_CACHE_DIR": cache,
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_COLOR": "1",
    }
    return {**defaults, **kept, **indexes.variables(), **fixed}


def _is_passed(name: str) -> bool:
    return bool(_PASSED.fullmatch(name)) or not _DROPPED.fullmatch(name)


def without_credentials(text: str) -> str:
    """`text` with the user names and passwords taken out of all addresses in it."""
    return _CREDENTIALS.sub("", text)
