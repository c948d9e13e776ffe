"""Fetching over HTTP with kept connections, retries and verification. No word of what is fetched.

Mirrors and name look-ups fail at random: every request is tried again with growing pauses, within
bounds, and the error that remains names the address and the reason.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin

from wardian.errors import FetchError, VerificationError
from wardian.system.connections import Connections, authorization, without_credentials
from wardian.system.http_reasons import FailedError, Reason, explain, explain_status
from wardian.system.passage import CHUNK, Passage, create, read_file, write

if TYPE_CHECKING:
    from pathlib import Path

    from urllib3 import BaseHTTPResponse

T = TypeVar("T")

# Bodies that `get` holds in memory are release files and JSON: the largest known is 2 MB.
_LARGEST_BODY = 64 << 20
# Slower than this, in bytes per second over one `stall`, a server counts as hanging.
_SLOWEST = 1024
_MOST_REDIRECTS = 8


class MissingError(FetchError):
    """The address was reached and has no such thing (404, 410)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient a Fetcher is. Times in seconds.

    One attempt may hang for `stall`; between `attempts` it pauses `pause`, twice that, and so on, in all
    at most `patience`.
    """

    attempts: int = 5
    pause: float = 0.25
    patience: float = 45.0
    stall: float = 20.0


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
        self._pace = pace or Pace()
        self._connections = Connections(environment, connections=connections, stall=self._pace.stall)
        self._closed = threading.Event()

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up connections and end the pauses of attempts under way."""
        self._closed.set()
        self._connections.close()

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """Fetch a small body (at most 64 MiB). 304 is an answer like any other.

        Raises MissingError for 404 and 410, FetchError for all else that fails.
        """
        found = self._try(lambda: self._get_once(url, headers or {}))
        if isinstance(found, Reason):
            raise _error([(url, found)])
        return found

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
            reason = self._try(attempt)
            if not isinstance(reason, Reason):
                return
            failures.append((url, reason))
        raise _error(failures)

    def _try(self, attempt: Callable[[], T]) -> T | Reason:
        waited = 0.0
        reason = Reason(text="it was not tried")
        for number in range(self._pace.attempts):
            try:
                return attempt()
            except FailedError as failed:
                reason = failed.reason
            # The share of chance keeps threads that failed together from coming back together.
            pause = max(self._pace.pause * 2**number * random.uniform(0.75, 1.25), reason.retry_after)
            waited += pause
            # Other bytes than those named may be a proxy's passing fault, but hardly three times.
            is_last = number + 1 >= (2 if reason.is_mismatch else self._pace.attempts)
            if not reason.is_transient or is_last or waited > self._pace.patience or self._closed.wait(pause):
                return (
                    reason if number == 0 else replace(reason, text=f"{reason.text}; {number + 1} attempts")
                )
        return reason

    def _get_once(self, url: str, headers: Mapping[str, str]) -> Response:
        if url.startswith("file:"):
            return Response(status=200, headers={}, body=b"".join(read_file(url)))
        body = bytearray()
        with self._open(url, headers) as answer:
            for chunk in self._chunks(answer):
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
            yield from self._chunks(answer)

    @contextlib.contextmanager
    def _open(self, url: str, headers: Mapping[str, str]) -> Iterator[BaseHTTPResponse]:
        if self.offline:
            raise FailedError(
                Reason(text="wardian is offline", is_transient=False, hint="run it without --offline")
            )
        answer = self._request(url, headers)
        try:
            if answer.status >= 400:
                after = answer.headers.get("retry-after")
                raise FailedError(explain_status(answer.status, after, now=time.time()))
            yield answer
        except BaseException:
            answer.close()  # what is left of the body must not be read as the next answer
            answer.release_conn()  # closed, but one of those that its host may have
            raise
        else:
            answer.release_conn()

    def _request(self, url: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        """Ask, and follow redirects ourselves: each address has its own proxy, certificates, credentials."""
        for _ in range(_MOST_REDIRECTS):
            answer = self._request_once(url, headers)
            target = answer.headers.get("location")
            if answer.status not in (301, 302, 303, 307, 308) or target is None:
                return answer
            answer.drain_conn()
            url = urljoin(url, target)
        raise FailedError(Reason(text=f"it redirects over {_MOST_REDIRECTS} times", is_transient=False))

    def _request_once(self, url: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        import urllib3

        if not url.startswith(("http://", "https://")):  # nor may a redirect lead to a file
            raise FailedError(explain(ValueError(url)))
        plain = {"User-Agent": "wardian", "Accept-Encoding": "identity"}
        try:
            return self._connections.manager(url).request(
                "GET",
                without_credentials(url),
                headers={**plain, **authorization(url), **headers},
                retries=False,  # urllib3's own know neither our bounds nor our bodies
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise FailedError(explain(error)) from error

    def _chunks(self, answer: BaseHTTPResponse) -> Iterator[bytes]:
        import urllib3

        since, count = time.monotonic(), 0
        while True:
            try:
                chunk = answer.read1(CHUNK)
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                raise FailedError(explain(error)) from error
            if not chunk:
                return
            yield chunk
            count += len(chunk)
            if (passed := time.monotonic() - since) > self._pace.stall:
                if count < _SLOWEST * passed:
                    raise FailedError(Reason(text=f"it sent {count} bytes in {passed:.0f} s"))
                since, count = time.monotonic(), 0


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
