"""Endpoints: at which host a registry answers, over http or https. It asks nothing."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from wardian.image.reference import HUB
from wardian.registry.settings import RegistrySettings, Settings

# Where Docker Hub's API answers; its name in references and in credentials is another.
_HUB_HOST = f"registry-1.{HUB}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A registry's `name` (as references have it), the `host` that serves it, and a mirror's `prefix`.

    `insecure` is asked for by the user: http, or TLS without proof, will do.
    """

    name: str
    host: str
    insecure: bool = False
    prefix: str = ""

    @property
    def schemes(self) -> tuple[str, ...]:
        """In which order it is tried. Loopback registries may speak http, as Docker has it."""
        return ("https", "http") if self.insecure or is_loopback(self.host) else ("https",)

    def repository(self, name: str) -> str:
        """What the repository `name` is called there."""
        return f"{self.prefix}/{name}" if self.prefix else name


def find_endpoint(name: str, settings: Settings, *, insecure: bool = False) -> Endpoint:
    """The endpoint of the registry `name`."""
    told = settings.get(name, RegistrySettings())
    return Endpoint(
        name=name, host=_HUB_HOST if name == HUB else name.lower(), insecure=insecure or told.insecure
    )


def find_mirrors(name: str, settings: Settings) -> tuple[Endpoint, ...]:
    """The mirrors to ask before the registry `name`, in their order."""
    found = []
    for mirror in settings.get(name, RegistrySettings()).mirrors:
        host, _, prefix = mirror.partition("/")
        told = settings.get(host, RegistrySettings())
        found.append(Endpoint(name=host, host=host.lower(), insecure=told.insecure, prefix=prefix))
    return tuple(found)


def is_loopback(host: str) -> bool:
    """Whether `host`, perhaps with a port, is this machine: localhost, 127.0.0.0/8, ::1."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
