"""What a user may say of a registry. Where it is written is the configuration's affair (project room)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wardian.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """One registry's: `mirrors` are asked first when something is pulled, in their order.

    A mirror is a host, perhaps with a port and a path that goes before the repository's name. `insecure`:
    http, or TLS that proves nothing, will do.
    """

    mirrors: tuple[str, ...] = ()
    insecure: bool = False


# By the registry's name, as references have it: `docker.io`, `registry.example:5000`.
Settings = Mapping[str, RegistrySettings]

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"


def check_host(text: str, what: str) -> str:
    """`text`, if it is a host, perhaps with a port; raises SpecError, which calls it `what`."""
    if re.fullmatch(_HOST, text):
        return text.lower()
    raise SpecError(
        f"{what}: {text[:200]!r} is no registry",
        hint="write its host and port, such as registry.example:5000, without https:// and without a path",
    )


def check_mirror(text: str, what: str) -> str:
    """`text`, if it is a host and perhaps a path; raises SpecError, which calls it `what`."""
    host, slash, path = text.partition("/")
    host = check_host(host, what)
    if slash and not re.fullmatch(r"[a-z0-9][a-z0-9._/-]*[a-z0-9]|[a-z0-9]", path):
        raise SpecError(
            f"{what}: {path[:200]!r} is no repository's name", hint="use letters, digits and -._/"
        )
    return host + slash + path
