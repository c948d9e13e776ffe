"""Sending one blob: looked for, mounted from another repository, or uploaded (distribution-spec, "Push").

Small blobs go in one request, large ones in chunks, since what is in front of a registry mostly bounds a
request. Registries differ in which chunks they take: what one refuses is learnt, and sent in another way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from wardian.errors import CredentialsError, VerificationError
from wardian.registry.answers import Answer, has_code
from wardian.registry.session import Session
from wardian.system.http_reasons import FailedError, Reason
from wardian.system.passage import Passage, read_file

Outcome = Literal["present", "mounted", "sent"]

# Bytes: what proxies in front of registries let pass in one request is 100 MB mostly.
CHUNK = 64 << 20
_SMALLEST = 1 << 20  # what nginx lets pass unless it is told otherwise
# What registries answer to a chunk of a size, or a kind, that they do not take: GitHub's 416 to more than
# 4 MiB, others' 400, 404, 405, 411 or 501 to any.
_REFUSED = (400, 404, 405, 411, 413, 416, 501)
_OTHER_BYTES = ("DIGEST_INVALID", "SIZE_INVALID")
# Repositories to mount from that are tried: what is remembered of them may be out of date.
_MOST_MOUNTS = 2


@dataclass(slots=True)
class Manner:
    """How a registry takes large blobs, as far as it is known; `chunk` in bytes, None for in one piece."""

    chunk: int | None = CHUNK


class _RefusedError(Exception):
    """The registry does not take what it was sent in this manner; `Manner` says how to go on."""


def upload(session: Session, sources: Iterable[str], manner: Manner) -> Outcome:
    """Bring the session's blob there; `sources` are repositories that may have it.

    Raises RegistryError, CredentialsError, VerificationError where the file is not the blob, HostError.
    """
    if session.transport.run(session.is_there, session.what):
        return "present"
    for source in [name for name in sources if name != session.repository][:_MOST_MOUNTS]:
        if _mount(session, source):
            return "mounted"
    while True:
        try:
            _send(session, manner)
            return "sent"
        except _RefusedError:
            session.restart()


def _mount(session: Session, source: str) -> bool:
    """Have the blob from another repository (end-11); an upload that is opened instead is gone on with."""
    query = urlencode({"mount": session.descriptor.digest, "from": source})
    request = session.request("POST", f"{session.repository}/blobs/uploads/?{query}", source=source)
    try:
        answer = session.transport.ask(request, expected=(201, 202, 400, 404, 405))
    except CredentialsError:  # that repository is not ours to read any more
        return False
    if answer.status == 202 and not session.is_open:
        session.open(answer)
    return answer.status == 201


def _send(session: Session, manner: Manner) -> None:
    size = session.descriptor.size
    chunk = manner.chunk if manner.chunk is not None and size > manner.chunk else None
    if chunk is None:
        answer = session.transport.run(lambda: _whole(session), session.what)
    else:
        answer = _chunks(session, manner, chunk)
    if answer.status not in (201, 204):
        _fail(session, answer, manner, chunk)
    session.count(size)


def _whole(session: Session) -> Answer:
    """One attempt; the first may find an upload open, any other begins a new one."""
    if session.is_broken:
        if session.is_there():  # the answer to an earlier attempt was lost
            return Answer(url="", status=201)
        session.restart()
    session.recover()
    answer = session.finish(whole=True)
    _check_session(answer)
    if has_code(answer, _OTHER_BYTES):
        _check_file(session)
        raise FailedError(Reason(text="it got other bytes than those that were sent", is_mismatch=True))
    return answer


def _chunks(session: Session, manner: Manner, chunk: int) -> Answer:
    answer: Answer | None = None
    while answer is None:  # again where the end of the upload shows that a part was lost
        while session.offset < session.descriptor.size:
            session.transport.run(lambda: _chunk(session, manner, chunk), session.what)
        answer = session.transport.run(lambda: _finish(session), session.what)
    return answer


def _chunk(session: Session, manner: Manner, chunk: int) -> None:
    session.recover()
    length = min(max(chunk, session.least), session.descriptor.size - session.offset)
    answer = session.send(length)
    if answer.status in (201, 202, 204):
        return
    _check_session(answer)
    if answer.status == 416 and session.offset:
        raise FailedError(Reason(text="it expects another part of the blob than the one that was sent"))
    _fail(session, answer, manner, chunk)


def _finish(session: Session) -> Answer | None:
    if session.is_broken and session.is_there():
        return Answer(url="", status=201)
    session.recover()
    if session.offset < session.descriptor.size:
        return None
    answer = session.finish(whole=False)
    _check_session(answer)
    return answer


def _check_session(answer: Answer) -> None:
    """An upload that a registry has lost is begun anew; raises FailedError."""
    if has_code(answer, ("BLOB_UPLOAD_UNKNOWN",)):
        raise FailedError(Reason(text="it has forgotten the upload"))


def _fail(session: Session, answer: Answer, manner: Manner, chunk: int | None) -> None:
    """After a refusal of what was sent in chunks, or in one piece where `chunk` is None.

    Raises _RefusedError where another manner may do, else the error.
    """
    if answer.status == 413:
        size, floor = chunk or session.descriptor.size, max(_SMALLEST, session.least)
        if size <= floor:
            raise session.refusal(answer)
        smaller = max(size // 4, floor)
        manner.chunk = min(smaller, manner.chunk or smaller)  # other blobs may have shrunk it meanwhile
        raise _RefusedError
    if has_code(answer, _OTHER_BYTES):
        _check_file(session)
    if chunk and answer.status in _REFUSED and not has_code(answer, ("NAME_UNKNOWN", "DENIED")):
        manner.chunk = None
        raise _RefusedError
    raise session.refusal(answer)


def _check_file(session: Session) -> None:
    """Whether our own file is what it should be; raises VerificationError."""
    passage = Passage(expected=session.descriptor.size, advance=lambda _: None)
    try:
        for chunk in read_file(session.path.as_uri()):
            passage.take(chunk)
        passage.check(session.descriptor.digest.hex)
    except FailedError as error:
        raise VerificationError(
            f"{session.path} is not the blob {session.descriptor.digest} any more: {error.reason.text}",
            hint="remove the file, and build or pull the image again",
        ) from error
