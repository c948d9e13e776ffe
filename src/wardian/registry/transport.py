"""Requests to one registry: its address, authorization, redirects, attempts. No word of blobs and manifests.

A request's answer is returned whatever its status, save those that pass (429, 500 and their like), which are
tried again within bounds.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

from wardian.errors import CredentialsError, RegistryError, VerificationError
from wardian.registry.answers import Answer, read_answer, said
from wardian.registry.authorization import Authorization, Find
from wardian.registry.endpoint import Endpoint
from wardian.registry.scope import Scope
from wardian.registry.tokens import refused
from wardian.registry.trust import Trust
from wardian.system.attempts import Attempts
from wardian.system.exchange import Exchange, drop, released
from wardian.system.http import MOST_REDIRECTS
from wardian.system.http_reasons import FailedError, Reason, explain_status

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

T = TypeVar("T")
Body = bytes | Iterable[bytes | memoryview]

# Answers that are read whole: lists of tags, upload sessions, small errors. Manifests have their own bound.
_LARGEST = 4 << 20
_INSECURE = "if it is to be reached by http, or with a certificate that nobody vouches for, add --insecure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked. `what` has failed where it fails: `cannot pull NAME`.

    `url` is absolute or a path below the registry's `/v2/`. `patience` is in seconds.
    """

    what: str
    method: str
    url: str
    scope: Scope
    headers: Mapping[str, str] | None = None
    body: Body | None = None
    patience: float = 0.0


class Transport:
    """The way to one endpoint. Safe to use from several threads."""

    def __init__(
        self, endpoint: Endpoint, *, exchange: Exchange, attempts: Attempts, trust: Trust, find: Find
    ) -> None:
        self.endpoint = endpoint
        self.exchange = exchange
        self.attempts = attempts
        self._trust = trust
        self._authorization = Authorization(endpoint.name, exchange, find)
        self._guard = threading.Lock()
        self._base = ""
        self._unusable: RegistryError | VerificationError | None = None

    @property
    def name(self) -> str:
        """What people call the registry."""
        return self.endpoint.name

    def ask(self, request: Request, *, expected: Container[int], largest: int = _LARGEST) -> Answer:
        """The answer, whose status is one of `expected`.

        Raises RegistryError, and CredentialsError for 401 and 403.
        """
        answer = self.run(lambda: self.once(request, largest), request.what)
        if answer.status not in expected:
            raise self.refusal(answer, request)
        return answer

    def run(self, attempt: Callable[[], T], what: str) -> T:
        """What `attempt` returns, after as many attempts as it takes; raises RegistryError."""
        result = self.attempts.run(attempt)
        if isinstance(result, Reason):
            raise failure(result, what, self.name)
        return result

    def once(self, request: Request, largest: int = _LARGEST) -> Answer:
        """One attempt, and its answer whole; raises FailedError, and CredentialsError for a lasting 401."""
        raw, url = self._send(request)
        answer = read_answer(self.exchange, raw, url, largest)
        _raise_passing(answer)
        return answer

    @contextlib.contextmanager
    def open(self, request: Request) -> Iterator[BaseHTTPResponse]:
        """One attempt, its body unread; raises FailedError, and RegistryError for a status of 400 or more."""
        raw, url = self._send(request)
        if raw.status >= 400:
            answer = read_answer(self.exchange, raw, url, _LARGEST)
            _raise_passing(answer)
            raise self.refusal(answer, request)
        with released(raw):
            yield raw

    def refusal(self, answer: Answer, request: Request) -> RegistryError:
        """The error for an answer that was not expected."""
        if answer.status in (401, 403):
            return self._denial(answer, request)
        return RegistryError(
            f"{_about(request.what, self.name)}: it answers {answer.status}{said(answer)}",
            hint="check the name; what the registry logs may say more",
        )

    def _denial(self, answer: Answer, request: Request) -> CredentialsError:
        """A 401 after a token was given for the credentials is about what they allow, not about them."""
        what, credential = request.what, self._authorization.credential(request.scope)
        is_granted = answer.status == 403 or self._authorization.has_token(request.scope)
        if not is_granted or (credential is None and request.scope.writes):
            error = refused(self.name, credential, said(answer))
            return CredentialsError(f"{what}: {error.message}", hint=error.hint)
        if credential is None:
            return CredentialsError(
                f"{what}: {self.name} has no {request.scope.repository}, or not for everyone{said(answer)}",
                hint=f"check the name, or run `wardian login {self.name}`",
            )
        user = f" to {credential.user!r}" if credential.user else ""
        return CredentialsError(
            f"{what}: {self.name} does not allow it{user}{said(answer)}",
            hint=f"run `wardian login {self.name}` as a user who may",
        )

    def contact(self) -> str:
        """The address below which everything lies, `https://HOST/v2/`; asks once whether it is a registry.

        Raises RegistryError where it is not there, or is none, and FailedError never.
        """
        with self._guard:
            if self._unusable is not None:
                raise self._unusable  # said once, not by each of many requests after its own attempts
            if not self._base:
                try:
                    self._base = self._find_base()
                except (RegistryError, VerificationError) as error:
                    self._unusable = error
                    raise
            return self._base

    @property
    def wants_credentials(self) -> bool:
        """Whether it has asked for any so far."""
        return self._authorization.is_wanted

    def authorize(self, scope: Scope, what: str) -> None:
        """See to it that there is something to show, where it is wanted; raises CredentialsError."""
        self.contact()
        shown = self.run(lambda: self._authorization.header(scope), what)
        if self.wants_credentials and not shown:
            error = refused(self.name, None)
            raise CredentialsError(f"{what}: {error.message}", hint=error.hint)

    def _find_base(self) -> str:
        what = f"cannot use the registry {self.name}"
        reason: Reason | None = None
        for scheme in self.endpoint.schemes:
            base = f"{scheme}://{self.endpoint.host}/v2/"
            found = self.attempts.run(partial(self._ping, base))
            if not isinstance(found, Reason):
                self._accept(found, what)
                return base
            if reason is None or not found.is_plain:
                reason = found
            if found.hint is not None and not self.endpoint.insecure:
                break  # a certificate that is not trusted is no reason to go without one
        assert reason is not None
        raise failure(replace(reason, hint=_INSECURE) if reason.is_plain else reason, what, self.name)

    def _ping(self, base: str) -> Answer:
        answer = read_answer(self.exchange, self.exchange.ask("GET", base, {}), base, _LARGEST)
        _raise_passing(answer)
        return answer

    def _accept(self, answer: Answer, what: str) -> None:
        """Whether this is what a registry answers at /v2/ (distribution-spec, end-1)."""
        if answer.status == 401 and answer.challenges:
            self._authorization.learn(answer.challenges, secure=answer.url.startswith("https:"))
        elif answer.status != 200 or answer.media_type == "text/html":
            raise RegistryError(
                f"{what}: it is no registry: it answers {answer.status} at /v2/"
                + (" with a web page" if answer.media_type == "text/html" else ""),
                hint="check the name: references begin with the registry's host, such as registry.example/…",
            )

    def _send(self, request: Request) -> tuple[BaseHTTPResponse, str]:
        """The answer with its body unread, and the address that gave it."""
        base = self.contact()
        url = _join(base, request.url)
        for _ in range(MOST_REDIRECTS):
            self._check(base, url)
            raw = (
                self._authorized(request, url) if _origin(url) == _origin(base) else self._bare(request, url)
            )
            target = raw.headers.get("location")
            codes = (307, 308) if request.method not in ("GET", "HEAD") else (301, 302, 303, 307, 308)
            if raw.status not in codes or not target:
                return raw, url
            drop(raw)
            url = _join(url, target)
        raise FailedError(Reason(text=f"it redirects over {MOST_REDIRECTS} times", is_transient=False))

    def _authorized(self, request: Request, url: str) -> BaseHTTPResponse:
        shown = self._authorization.header(request.scope)
        raw = self._bare(request, url, shown)
        if raw.status != 401:
            return raw
        # Read, so that its connection is free: the token server may be the same host.
        answer = read_answer(self.exchange, raw, url, _LARGEST)
        secure = url.startswith("https:")
        if answer.challenges and self._authorization.renew(
            answer.challenges, request.scope, shown, secure=secure
        ):
            raw = self._bare(request, url, self._authorization.header(request.scope))
            if raw.status != 401:
                return raw
            answer = read_answer(self.exchange, raw, url, _LARGEST)
        raise self.refusal(answer, request)

    def _bare(self, request: Request, url: str, shown: str = "") -> BaseHTTPResponse:
        headers = {**(request.headers or {}), **({"Authorization": shown} if shown else {})}
        return self.exchange.ask(request.method, url, headers, body=request.body, patience=request.patience)

    def _check(self, base: str, url: str) -> None:
        """Refuse to leave TLS: what is read or written there could be anyone's."""
        if base.startswith("https:") and not url.startswith("https:"):
            host = urlsplit(url).netloc.rpartition("@")[2]
            if not (self.endpoint.insecure and self._trust.allows_http(host)):
                text = f"it sends us from https to {urlsplit(url).scheme or 'nowhere'}, at {host[:100]}"
                hint = "whoever runs the registry has to tell it that it is reached by https"
                raise FailedError(Reason(text=text, is_transient=False, hint=hint))


def failure(reason: Reason, what: str, registry: str) -> RegistryError | VerificationError:
    """The error for a `reason` that is left after all attempts."""
    message = f"{what}: {registry}: {reason.text}" if registry not in what else f"{what}: {reason.text}"
    if reason.is_mismatch:
        return VerificationError(
            message, hint=reason.hint or "try again; else ask those who run the registry"
        )
    return RegistryError(message, hint=reason.hint or "check the network and the registry's name")


def _about(what: str, registry: str) -> str:
    """`what`, with the registry where it does not name it: the Hub's references do not."""
    return what if registry in what else f"{what} at {registry}"


def _raise_passing(answer: Answer) -> None:
    if answer.status < 400:
        return
    reason = explain_status(answer.status, answer.headers.get("retry-after"), now=time.time())
    if reason.is_transient:
        raise FailedError(replace(reason, text=reason.text + said(answer), hint="try again later"))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: what credentials are for."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError as error:
        raise FailedError(Reason(text="it names something that is no address", is_transient=False)) from error
    return parts.scheme, parts.hostname, port


def _join(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError as error:
        raise FailedError(Reason(text="it names something that is no address", is_transient=False)) from error
