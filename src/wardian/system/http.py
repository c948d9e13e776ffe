"""Fetching over HTTP with kept connections, retries and verification. No word of what is fetched.

Mirrors and name look-ups fail at random: every request is tried again with growing pauses, within
bounds, and the error that remains names the address and the reason.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from wardian.errors import FetchError, VerificationError
from wardian.system.attempts import Attempts
from wardian.system.attempts import Pace as Pace  # part of what a Fetcher is made with
from wardian.system.connections import Connections, authorization, without_credentials
from wardian.system.exchange import Exchange, drop, released
from wardian.system.http_reasons import FailedError, Reason, explain, explain_status
from wardian.system.passage import Passage, create, read_file, write

if TYPE_CHECKING:
    from pathlib import Path

    from urllib3 import BaseHTTPResponse

# Bodies that `get` holds in memory are release files and JSON: the largest known is 2 MB.
_LARGEST_BODY = 64 << 20
MOST_REDIRECTS = 8


class MissingError(FetchError):
    """The address was reached and has no such thing (404, 410)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer. `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def _ignore(amount: int) -> None:
    """Count nothing."""


class Fetcher:
    """Fetches by http, https and file addresses. Safe to use from several threads.

    `environment` gives proxies and certificates (connections.py); `offline` allows file addresses only.
    """

    def __init__(
        self,
        *,
        environment: Mapping[str, str],
        offline: bool = False,
        connections: int = 8,
        pace: Pace | None = None,
    ) -> None:
        self.offline = offline
        pace = pace or Pace()
        self._attempts = Attempts(pace)
        self._exchange = Exchange(
            Connections(environment, connections=connections, stall=pace.stall), stall=pace.stall
        )

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up connections and end the pauses of attempts under way."""
        self._attempts.close()
        self._exchange.close()

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """Fetch a small body (at most 64 MiB). 304 is an answer like any other.

        Raises MissingError for 404 and 410, FetchError for all else that fails.
        """
        found = self._attempts.run(lambda: self._ask_once("GET", url, headers or {}))
        if isinstance(found, Reason):
            raise _error([(url, found)])
        return found

    def head(self, url: str) -> Response:
        """What `get` would answer, without the body (RFC 9110, section 9.3.2). Raises as `get` does.

        It is tried once: some servers refuse it for good, and `get` remains.
        """
        try:
            return self._ask_once("HEAD", url, {})
        except FailedError as failed:
            raise _error([(url, failed.reason)]) from failed

    def download(
        self,
        urls: Sequence[str],
        target: Path,
        *,
        sha256: str,
        size: int | None,
        advance: Callable[[int], None] = _ignore,
    ) -> None:
        """Fetch the file of that digest and size from the first of `urls` that has it.

        It lies under a temporary name beside `target` until it is verified. `advance` counts bytes, and
        counts back those of an attempt that failed; what it raises ends the download.
        Raises VerificationError when what arrives is something else, MissingError when no address has
        it, FetchError when none can be reached, HostError when it cannot be written.
        """
        failures: list[tuple[str, Reason]] = []

        def attempt() -> bool:
            passage = Passage(expected=size, advance=advance)
            try:
                self._download_once(url, target, sha256, passage)
            except BaseException:
                advance(-passage.count)
                raise
            return True

        for url in urls:
            reason = self._attempts.run(attempt)
            if not isinstance(reason, Reason):
                return
            failures.append((url, reason))
        raise _error(failures)

    def _ask_once(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        if url.startswith("file:"):
            return Response(status=200, headers={}, body=b"".join(read_file(url)))
        body = bytearray()
        with self._open(url, headers, method) as answer:
            for chunk in self._exchange.chunks(answer):
                body += chunk
                if len(body) > _LARGEST_BODY:
                    raise FailedError(Reason(text=f"it exceeds {_LARGEST_BODY} bytes", is_transient=False))
            return Response(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.headers.items()},
                body=bytes(body),
            )

    def _download_once(self, url: str, target: Path, sha256: str, passage: Passage) -> None:
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
        try:
            with create(temporary) as file:
                for chunk in self._body(url):
                    write(file, passage.take(chunk), target)
            passage.check(sha256)
            temporary.rename(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _body(self, url: str) -> Iterator[bytes]:
        if url.startswith("file:"):
            yield from read_file(url)
            return
        with self._open(url, {}) as answer:
            if answer.status != 200:
                raise FailedError(Reason(text=f"it answers {answer.status}", is_transient=False))
            yield from self._exchange.chunks(answer)

    @contextlib.contextmanager
    def _open(self, url: str, headers: Mapping[str, str], method: str = "GET") -> Iterator[BaseHTTPResponse]:
        if self.offline:
            raise FailedError(
                Reason(text="wardian is offline", is_transient=False, hint="run it without --offline")
            )
        with released(self._request(method, url, headers)) as answer:
            if answer.status >= 400:
                after = answer.headers.get("retry-after")
                raise FailedError(explain_status(answer.status, after, now=time.time()))
            yield answer

    def _request(self, method: str, url: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        """Ask, and follow redirects ourselves: each address has its own proxy, certificates, credentials."""
        for _ in range(MOST_REDIRECTS):
            try:
                answer = self._exchange.ask(method, url, {**authorization(url), **headers})
                target = answer.headers.get("location")
                if answer.status not in (301, 302, 303, 307, 308) or target is None:
                    return answer
                drop(answer)
                url = urljoin(url, target)
            except ValueError as error:
                raise FailedError(explain(error)) from error
        raise FailedError(Reason(text=f"it redirects over {MOST_REDIRECTS} times", is_transient=False))


def _error(failures: Sequence[tuple[str, Reason]]) -> FetchError | VerificationError:
    reasons = [reason for _, reason in failures]
    said = [f"{without_credentials(url)}: {reason.text}" for url, reason in failures]
    message = f"cannot fetch {said[0]}" if len(said) == 1 else "\n  ".join(["cannot fetch any of", *said])
    hint = next((reason.hint for reason in reasons if reason.hint), None)
    if any(reason.is_mismatch for reason in reasons):
        return VerificationError(message, hint=hint or "try another mirror, or again later")
    if reasons and all(reason.is_missing for reason in reasons):
        return MissingError(message, hint=hint)
    return FetchError(message, hint=hint or "check the network, or configure another mirror")
