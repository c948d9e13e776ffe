"""Tokens: what a token server gives for credentials, or for none (distribution, auth/token.md, oauth.md)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode, urlsplit

from wardian.errors import CredentialsError, RegistryError
from wardian.registry.answers import Answer, read_answer, said
from wardian.registry.challenge import Challenge
from wardian.registry.credential import Credential
from wardian.system.exchange import Exchange
from wardian.system.http_reasons import FailedError, explain_status

_CLIENT = "wardian"
# Seconds that a token holds where its server does not say (token.md, `expires_in`).
_LIFETIME = 60
# Seconds before its end at which a token is not used any more: a request takes its time to arrive.
_MARGIN = 10
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token; `ends` on the monotonic clock."""

    text: str = field(repr=False)
    ends: float = float("inf")

    @property
    def holds(self) -> bool:
        """Whether it can still be used."""
        return time.monotonic() < self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenServer:
    """The server that a challenge names, and the `registry` whose challenge it was."""

    registry: str
    realm: str
    service: str

    @classmethod
    def of(cls, challenge: Challenge, registry: str, *, secure: bool) -> TokenServer:
        """Read a Bearer challenge.

        Raises RegistryError where the realm is no address, or is one that credentials must not be sent to:
        http where the registry itself speaks https (`secure`).
        """
        realm = challenge.get("realm")
        allowed = ("https",) if secure else ("https", "http")
        try:
            parts = urlsplit(realm)
            well = parts.scheme in allowed and parts.hostname and "@" not in parts.netloc
        except ValueError:
            well = False
        if not well:
            raise RegistryError(
                f"{registry} names a token server that credentials are not sent to: {realm[:200]!r}",
                hint="ask those who run the registry: the realm has to be an https address",
            )
        return cls(registry=registry, realm=realm, service=challenge.get("service"))

    def fetch(self, exchange: Exchange, scopes: Sequence[str], credential: Credential | None) -> Token:
        """A token for `scopes`; raises RegistryError, CredentialsError, FailedError for what may pass."""
        if credential and credential.identity_token:
            answer = self._post(exchange, scopes, credential.identity_token)
        else:
            answer = self._get(exchange, scopes, credential)
        if answer.status != 200:
            raise self._refusal(answer, credential)
        return self._read(answer)

    def _get(self, exchange: Exchange, scopes: Sequence[str], credential: Credential | None) -> Answer:
        query = [("service", self.service)] if self.service else []
        query += [("scope", scope) for scope in scopes]
        if credential and credential.user:
            query.append(("account", credential.user))
        url = self.realm + ("&" if urlsplit(self.realm).query else "?") + urlencode(query)
        basic = credential.basic if credential else ""
        return self._ask(exchange, "GET", url, {"Authorization": basic} if basic else {})

    def _post(self, exchange: Exchange, scopes: Sequence[str], identity_token: str) -> Answer:
        form = {
            "grant_type": "refresh_token",
            "service": self.service,
            "client_id": _CLIENT,
            "scope": " ".join(scopes),
            "refresh_token": identity_token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask(exchange, "POST", self.realm, headers, urlencode(form).encode())

    def _ask(
        self, exchange: Exchange, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        try:
            answer = read_answer(exchange, exchange.ask(method, url, headers, body=body), url, _LARGEST)
            reason = explain_status(answer.status, answer.headers.get("retry-after"), now=time.time())
            if answer.status >= 400 and reason.is_transient:
                raise FailedError(reason)
        except FailedError as error:
            host = urlsplit(self.realm).netloc
            text = f"its token server {host}: {error.reason.text}"
            raise FailedError(replace(error.reason, text=text)) from error
        return answer

    def _refusal(self, answer: Answer, credential: Credential | None) -> RegistryError:
        host = urlsplit(self.realm).netloc
        if answer.status in (400, 401, 403):
            return refused(self.registry, credential, said(answer))
        return RegistryError(
            f"the token server {host} of {self.registry} answers {answer.status}{said(answer)}",
            hint="try again later, or ask those who run the registry",
        )

    def _read(self, answer: Answer) -> Token:
        try:
            content = json.loads(answer.body)
            text = content.get("token") or content.get("access_token")
            lifetime = float(content.get("expires_in") or _LIFETIME)
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            text, lifetime = None, 0.0
        if not isinstance(text, str) or not re.fullmatch(r"[\x21-\x7e]+", text):
            host = urlsplit(self.realm).netloc
            raise RegistryError(
                f"the token server {host} of {self.registry} answers something that is no token",
                hint="ask those who run the registry",
            )
        margin = min(_MARGIN, lifetime / 4)
        return Token(text=text, ends=time.monotonic() + lifetime - margin)


def refused(registry: str, credential: Credential | None, detail: str = "") -> CredentialsError:
    """The error for credentials that were not taken, or were missing."""
    if credential is None:
        return CredentialsError(
            f"{registry} wants credentials, and there are none for it{detail}",
            hint=f"run `wardian login {registry}`",
        )
    user = f"user name {credential.user!r} and its password" if credential.user else "stored token"
    return CredentialsError(
        f"{registry} does not accept the {user}{detail}",
        hint=f"run `wardian login {registry}` with credentials that hold",
    )
