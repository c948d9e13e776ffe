"""Authorization: what a registry wants to see with each request, from its challenges and the credentials.

It shows credentials to the registry they are for and to the token server that this one names, to no other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from wardian.errors import RegistryError
from wardian.registry.challenge import Challenge, parse_challenges
from wardian.registry.credential import Credential
from wardian.registry.scope import Scope
from wardian.registry.tokens import Token, TokenServer
from wardian.system.exchange import Exchange

# What to show for a repository of this registry, if anything.
Find = Callable[[str], Credential | None]


class Authorization:
    """One registry's. Safe to use from several threads: a token is fetched once."""

    def __init__(self, registry: str, exchange: Exchange, find: Find) -> None:
        self._registry = registry
        self._exchange = exchange
        self._find = find
        self._guard = threading.RLock()
        self._challenge: Challenge | None = None
        self._server: TokenServer | None = None
        self._tokens: dict[tuple[str, ...], Token] = {}
        self._credentials: dict[str, Credential | None] = {}

    @property
    def is_wanted(self) -> bool:
        """Whether the registry has asked for any so far."""
        return self._challenge is not None

    def has_token(self, scope: Scope) -> bool:
        """Whether a token server has given one for `scope`."""
        with self._guard:
            return scope.texts in self._tokens

    def credential(self, scope: Scope) -> Credential | None:
        """What there is to show for a scope, if anything; raises CredentialsError."""
        with self._guard:
            if scope.repository not in self._credentials:
                self._credentials[scope.repository] = self._find(scope.repository)
            return self._credentials[scope.repository]

    def header(self, scope: Scope) -> str:
        """The value of the Authorization header, as far as it is known to be wanted; may ask for a token.

        Raises CredentialsError, RegistryError and FailedError.
        """
        with self._guard:
            if self._challenge is None:
                return ""
            credential = self.credential(scope)
            if self._server is None:
                return credential.basic if credential else ""
            if credential and credential.registry_token:
                return f"Bearer {credential.registry_token}"
            return f"Bearer {self._token(self._server, scope, credential).text}"

    def learn(self, challenges: tuple[str, ...], *, secure: bool) -> None:
        """Take note of how the registry wants it; raises RegistryError for schemes unknown here.

        `secure`: the challenge came over https, so that what is secret may not go over less.
        """
        known = {challenge.scheme: challenge for challenge in reversed(parse_challenges(challenges))}
        chosen = known.get("bearer") or known.get("basic")
        if chosen is None:
            schemes = ", ".join(sorted(known)) or "nothing that can be read"
            raise RegistryError(
                f"{self._registry} wants an authentication that wardian does not know: {schemes[:200]}",
                hint="Bearer tokens and Basic are known; ask those who run the registry",
            )
        with self._guard:
            if chosen.scheme == "bearer":
                self._server = TokenServer.of(chosen, self._registry, secure=secure)
            self._challenge = chosen

    def renew(self, challenges: tuple[str, ...], scope: Scope, sent: str, *, secure: bool) -> bool:
        """After a 401 to a request that showed `sent`: whether there is something else to show now."""
        with self._guard:
            self.learn(challenges, secure=secure)
            kept = self._tokens.get(scope.texts)
            if kept and sent == f"Bearer {kept.text}":
                del self._tokens[scope.texts]  # it has run out, whatever its server said
            return self.header(scope) not in ("", sent)

    def _token(self, server: TokenServer, scope: Scope, credential: Credential | None) -> Token:
        kept = self._tokens.get(scope.texts)
        if kept is None or not kept.holds:
            kept = server.fetch(self._exchange, scope.texts, credential)
            self._tokens[scope.texts] = kept
        return kept
