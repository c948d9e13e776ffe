"""Fetching one blob from an endpoint, going on where an earlier attempt ended (distribution-spec, end-2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wardian.errors import RegistryError
from wardian.image.descriptor import Descriptor
from wardian.registry.partial import Partial
from wardian.registry.scope import Scope
from wardian.registry.transport import Request, Transport, failure
from wardian.system.http_reasons import FailedError, Reason

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

# Bytes in one round of attempts that are worth another round.
_HEADWAY = 4 << 20


def download(
    transport: Transport, repository: str, descriptor: Descriptor, partial: Partial, what: str
) -> None:
    """Fill `partial` up and verify it.

    Raises RegistryError where the blob is not to be had, VerificationError where it is something else.
    """
    while True:
        before = partial.count
        result = transport.attempts.run(lambda: _go_on(transport, repository, descriptor, partial, what))
        if not isinstance(result, Reason):
            return
        # A connection that breaks off again and again may still bring it all.
        if not result.is_transient or result.is_mismatch or partial.count < before + _HEADWAY:
            raise failure(result, f"{what}: cannot fetch the blob {descriptor.digest}", transport.name)


def _go_on(
    transport: Transport, repository: str, descriptor: Descriptor, partial: Partial, what: str
) -> None:
    if partial.count < descriptor.size or descriptor.size == 0:
        headers = {"Range": f"bytes={partial.count}-"} if partial.count else {}
        request = Request(
            what=f"{what}: cannot fetch the blob {descriptor.digest}",
            method="GET",
            url=f"{repository}/blobs/{descriptor.digest}",
            scope=Scope(repository=repository),
            headers=headers,
        )
        with transport.open(request) as answer:
            _place(answer, partial, request.what)
            for chunk in transport.exchange.chunks(answer):
                partial.add(chunk)
    _complete(partial, descriptor)
    partial.check()


def _place(answer: BaseHTTPResponse, partial: Partial, what: str) -> None:
    """Make ready for what is about to come: the rest, or all of it where the server knows no ranges."""
    if answer.status == 200:
        partial.reset()
        return
    if answer.status != 206:
        raise RegistryError(f"{what}: it answers {answer.status}", hint="try again later")
    begins = re.match(r"bytes (\d{1,18})-", answer.headers.get("content-range", ""))
    if begins is None or int(begins[1]) != partial.count:
        partial.reset()
        raise FailedError(Reason(text="it sends another range than the one that was asked for"))


def _complete(partial: Partial, descriptor: Descriptor) -> None:
    """A body that ends early is a broken connection, though the server did not say how long it would be."""
    if partial.count < descriptor.size:
        missing = descriptor.size - partial.count
        raise FailedError(Reason(text=f"the answer ended after {partial.count} bytes, {missing} missing"))
