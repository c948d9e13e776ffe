"""One request and its answer over kept connections. No retries, no redirects, no word of what is asked."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from wardian.system.connections import Connections, without_credentials
from wardian.system.http_reasons import FailedError, Reason, explain
from wardian.system.passage import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from urllib3 import BaseHTTPResponse

# Slower than this, in bytes per second over one `stall`, a server counts as hanging.
_SLOWEST = 1024


class Exchange:
    """Asks servers, and translates what fails on the way. Safe to use from several threads.

    `stall` is in seconds: how long a server may say nothing.
    """

    def __init__(self, connections: Connections, *, stall: float) -> None:
        self._connections = connections
        self._stall = stall

    def close(self) -> None:
        """Give up connections."""
        self._connections.close()

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        body: bytes | Iterable[bytes | memoryview] | None = None,
        patience: float = 0.0,
    ) -> BaseHTTPResponse:
        """The answer, whatever its status, its body unread; raises FailedError.

        A `body` that is no bytes is sent piece by piece: `headers` have to give its Content-Length. With
        `patience` (seconds) the server may think so much longer.
        """
        import urllib3

        if not url.startswith(("http://", "https://")):  # nor may a redirect lead to a file
            raise FailedError(explain(ValueError(url)))
        plain = {"User-Agent": "wardian", "Accept-Encoding": "identity"}
        try:
            return self._connections.manager(url).request(
                method,
                without_credentials(url),
                headers={**plain, **headers},
                body=body,  # type: ignore[arg-type]  # memory views are sent as bytes are
                timeout=urllib3.Timeout(connect=self._stall, read=self._stall + patience),
                retries=False,  # urllib3's own know neither our bounds nor our bodies
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise FailedError(explain(error)) from error

    def chunks(self, answer: BaseHTTPResponse) -> Iterator[bytes]:
        """The body, piece by piece; raises FailedError where it breaks off or hardly moves."""
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
            if (passed := time.monotonic() - since) > self._stall:
                if count < _SLOWEST * passed:
                    raise FailedError(Reason(text=f"it sent {count} bytes in {passed:.0f} s"))
                since, count = time.monotonic(), 0


def drop(answer: BaseHTTPResponse) -> None:
    """Give an answer up whose body nobody wants: a short one is read, so that its connection serves on."""
    try:
        if 0 <= (answer.length_remaining or 0) <= 4096 and answer.length_remaining is not None:
            answer.drain_conn()
        else:
            answer.close()
    finally:
        answer.release_conn()


@contextlib.contextmanager
def released(answer: BaseHTTPResponse) -> Iterator[BaseHTTPResponse]:
    """Give the connection back at the end; one whose answer was not read to its end is closed."""
    try:
        yield answer
    except BaseException:
        answer.close()  # what is left of the body must not be read as the next answer
        answer.release_conn()  # closed, but one of those that its host may have
        raise
    else:
        answer.release_conn()
