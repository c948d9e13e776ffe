"""One registry's credentials as the tools' files and helpers hold them. Pure values."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardian.errors import CredentialsError
from wardian.image.reference import HUB

# How Docker calls its Hub in credentials since the days of its first registry.
HUB_KEY = f"https://index.{HUB}/v1/"
_HUB_NAMES = frozenset({f"index.{HUB}", f"registry-1.{HUB}", HUB})
# A helper's user name for a secret that is an identity token.
TOKEN_USER = "<token>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A user name and password, or a token that stands for them. Secrets do not appear when it is shown.

    `identity_token` is exchanged for access tokens (oauth2's refresh token), `registry_token` is one.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617), or nothing without a password."""
        if not self.password:
            return ""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def as_entry(self) -> dict[str, str]:
        """The entry of an `auths` object."""
        if self.identity_token:
            user = self.user or TOKEN_USER
            return {"auth": _encode(f"{user}:"), "identitytoken": self.identity_token}
        return {"auth": _encode(f"{self.user}:{self.password}")}

    @classmethod
    def of_entry(cls, entry: Mapping[str, Any], what: str) -> Credential | None:
        """Read the entry of an `auths` object, None for an empty one; raises CredentialsError."""
        texts = {name: value for name, value in entry.items() if isinstance(value, str) and value}
        user, password = texts.get("username", ""), texts.get("password", "")
        if "auth" in texts:
            user, password = _decode(texts["auth"], what)
        found = cls(
            user=user,
            password=password,
            identity_token=texts.get("identitytoken", ""),
            registry_token=texts.get("registrytoken", ""),
        )
        return found if found.password or found.identity_token or found.registry_token else None


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(auth: str, what: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(auth, validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    user, colon, password = text.partition(":")
    if not colon:
        raise CredentialsError(
            f"{what}: its `auth` is not the base64 of USER:PASSWORD",
            hint="log in again with `wardian login`",
        ) from None
    return user, password.strip("\0")


def scopes_of(registry: str, repository: str = "") -> tuple[str, ...]:
    """The names under which credentials may be kept, from the narrowest to the registry's own.

    containers-auth.json(5): a key may be a host with the beginning of a repository's name.
    """
    parts = [registry, *repository.split("/")] if repository else [registry]
    return tuple("/".join(parts[:count]) for count in range(len(parts), 0, -1))


def canonical(key: str) -> str:
    """A key of `auths` as `scopes_of` writes it: without scheme, version and the Hub's other names."""
    # Behind a host alone, and with a slash at its end, that is no namespace of the same name.
    text = re.sub(r"^([^/]*)/v[12]/$", r"\1", key).removesuffix("/")
    if match := re.match(r"https?://([^/]*)", key):
        text = match[1]  # old docker wrote addresses there, of which the host alone counts
    host, slash, rest = text.partition("/")
    if host.lower() not in _HUB_NAMES:
        return host.lower() + slash + rest
    return HUB if rest in ("v1", "v2") else HUB + slash + rest
