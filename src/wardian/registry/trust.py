"""Which certificates a registry is believed by, and which ones wardian shows it.

Beside what holds for every host (system/connections.py): the folders HOST or HOST:PORT of Docker and of the
containers tools (containers-certs.d(5)), in which `*.crt` are authorities and `*.cert` with `*.key` are the
client's own.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from wardian.errors import RegistryError
from wardian.image.reference import HUB
from wardian.system.connections import certificates

_FOLDERS = ("/etc/containers/certs.d", "/etc/docker/certs.d")


class Trust:
    """The TLS contexts of hosts that have their own; `insecure` hosts need not prove who they are."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        insecure: frozenset[str],
        folders: tuple[str, ...] = _FOLDERS,
    ) -> None:
        self._environment = environment
        self._insecure = insecure
        self._folders = (*_own_folder(environment), *folders)

    def allows_http(self, host: str) -> bool:
        """Whether the user asked for no proof of who `host` is."""
        return host in self._insecure

    def __call__(self, host: str) -> ssl.SSLContext | None:
        """The context for `host` (`name` or `name:port`), or None; raises RegistryError for bad files."""
        folder = self._folder(host)
        if host not in self._insecure and folder is None:
            return None
        context = certificates(self._environment)
        if folder is not None:
            _load(context, folder)
        if host in self._insecure:
            _believe_anything(context)
        return context

    def _folder(self, host: str) -> Path | None:
        names = (host, HUB) if host.endswith(f".{HUB}") else (host,)
        for parent in self._folders:
            for name in names:
                if os.path.isdir(path := os.path.join(parent, name)):
                    return Path(path)
        return None


def _own_folder(environment: Mapping[str, str]) -> tuple[str, ...]:
    base = environment.get("XDG_CONFIG_HOME") or os.path.join(environment.get("HOME", ""), ".config")
    return (os.path.join(base, "containers/certs.d"),) if base.startswith("/") else ()


def _load(context: ssl.SSLContext, folder: Path) -> None:
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise RegistryError(
            f"cannot read the certificates in {folder}: {error.strerror}",
            hint="make the folder readable for you",
        ) from error
    for path in paths:
        try:
            if path.suffix == ".crt":
                context.load_verify_locations(cafile=path)
            elif path.suffix == ".cert":
                context.load_cert_chain(path, path.with_suffix(".key"))
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RegistryError(
                f"the certificate {path} cannot be used: {reason}",
                hint="put certificates in PEM form there, and beside each .cert its .key",
            ) from error


def _believe_anything(context: ssl.SSLContext) -> None:
    import urllib3

    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Said once by the user, who asked for it, and not again at each request.
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
