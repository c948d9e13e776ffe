"""Manifests at one endpoint: fetched whole and verified, put, listed (distribution-spec, end-3, 7, 8)."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass

from wardian.errors import RegistryError, VerificationError
from wardian.image.descriptor import DOCKER_LIST, DOCKER_MANIFEST, INDEX, MANIFEST, Descriptor, Digest
from wardian.image.manifest import LARGEST
from wardian.registry.answers import Answer, said
from wardian.registry.scope import Scope
from wardian.registry.transport import Request, Transport
from wardian.system.http_reasons import FailedError, Reason

_ACCEPT = ", ".join((MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST))
# Tags that are read at most; a page has as many as the registry likes.
_MOST_TAGS = 10000
_MOST_PAGES = 100
_SHOWN = 8


class MissingError(RegistryError):
    """Nothing has that name or digest there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A manifest's or an index's bytes, with the descriptor that they have."""

    descriptor: Descriptor
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A manifest's place: a `repository` and in it a tag or a digest."""

    repository: str
    reference: str

    @property
    def path(self) -> str:
        """Below `/v2/`."""
        return f"{self.repository}/manifests/{self.reference}"

    @property
    def digest(self) -> Digest | None:
        """What the content has to be, where it is named by that."""
        return Digest.parse(self.reference) if ":" in self.reference else None


def get(transport: Transport, target: Target, what: str) -> Document:
    """The manifest or index, its bytes verified where they are named by digest.

    Raises MissingError where it is not there, RegistryError, VerificationError for other bytes than those
    named, or than the registry says that it sends.
    """
    request = Request(
        what=what,
        method="GET",
        url=target.path,
        scope=Scope(repository=target.repository),
        headers={"Accept": _ACCEPT},
    )
    return transport.run(lambda: _read(transport, request, target), what)


def _read(transport: Transport, request: Request, target: Target) -> Document:
    answer = transport.once(request, largest=LARGEST)
    if answer.status == 404:
        raise _missing(transport, answer, target, request.what)
    if answer.status != 200:
        raise transport.refusal(answer, request)
    _check(answer, target)
    if answer.media_type == "text/html":
        raise RegistryError(
            f"{request.what}: {transport.name} answers with a web page: it is no registry",
            hint="check the registry's name",
        )
    return Document(descriptor=Descriptor.of(answer.body, answer.media_type), data=answer.body)


def _check(answer: Answer, target: Target) -> None:
    """What the registry says of its content is no proof, but where the two differ, one is wrong."""
    found = Digest.of(answer.body)
    announced = answer.headers.get("docker-content-digest", "")
    named = str(target.digest or (announced if re.fullmatch("sha256:[0-9a-f]{64}", announced) else found))
    if found != named:
        raise FailedError(Reason(text=f"the manifest's digest is {found}, not {named}", is_mismatch=True))


def _missing(transport: Transport, answer: Answer, target: Target, what: str) -> MissingError:
    if target.digest:
        return MissingError(
            f"{what}: {transport.name} has no manifest {target.digest} in {target.repository}{said(answer)}",
            hint="check the digest; it may have been deleted there",
        )
    return MissingError(
        f"{what}: {transport.name} has no tag {target.reference!r} in {target.repository}{said(answer)}",
        hint="check the name and the tag",
    )


def advise(transport: Transport, target: Target, error: MissingError) -> None:
    """Have `error` say which tags there are, where it is a tag that is missing."""
    if target.digest:
        return
    with contextlib.suppress(RegistryError):
        if known := tags(transport, target.repository, error.message):
            error.hint = f"it has {_list(known)}"


def _list(known: tuple[str, ...]) -> str:
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ("the tag " if len(known) == 1 else "the tags ") + ", ".join(known[:_SHOWN]) + more


def head(transport: Transport, target: Target, what: str) -> Digest | None:
    """The digest that the registry says the manifest has, None where it is not there or not said."""
    request = Request(
        what=what,
        method="HEAD",
        url=target.path,
        scope=Scope(repository=target.repository),
        headers={"Accept": _ACCEPT},
    )
    answer = transport.ask(request, expected=(200, 404))
    announced = answer.headers.get("docker-content-digest", "")
    if answer.status == 404 or not re.fullmatch("sha256:[0-9a-f]{64}", announced):
        return None
    return Digest(announced)


def put(transport: Transport, target: Target, document: Document, what: str) -> Digest:
    """Put the manifest or index where `target` says; returns its digest.

    Raises VerificationError where the registry says that it has got something else.
    """
    request = Request(
        what=what,
        method="PUT",
        url=target.path,
        scope=Scope(repository=target.repository, writes=True),
        headers={"Content-Type": document.descriptor.media_type},
        body=document.data,
    )
    answer = transport.ask(request, expected=(200, 201, 202))
    announced = answer.headers.get("docker-content-digest") or head(transport, target, what)
    if announced and announced != document.descriptor.digest:
        raise VerificationError(
            f"{what}: {transport.name} says that the manifest it got is {announced[:100]}, "
            f"and {document.descriptor.digest} was sent",
            hint="push again; a proxy between here and there may change what passes",
        )
    return document.descriptor.digest


def tags(transport: Transport, repository: str, what: str) -> tuple[str, ...]:
    """The tags of a repository, page by page (end-8a, end-8b); raises RegistryError."""
    found: list[str] = []
    url = f"{repository}/tags/list"
    for _ in range(_MOST_PAGES):
        request = Request(what=what, method="GET", url=url, scope=Scope(repository=repository))
        answer = transport.ask(request, expected=(200,))
        found += _tags(answer, transport.name, what)
        follows = re.match(r'\s*<([^>]*)>\s*;\s*rel="?next"?', answer.headers.get("link", ""))
        if follows is None or len(found) >= _MOST_TAGS:
            break
        url = follows[1] if follows[1].startswith(("http:", "https:", "/")) else f"{url}{follows[1]}"
    return tuple(sorted(found))


def _tags(answer: Answer, registry: str, what: str) -> list[str]:
    try:
        listed = json.loads(answer.body)["tags"] or []
    except (ValueError, KeyError, TypeError, RecursionError):
        listed = None
    if not isinstance(listed, list):
        raise RegistryError(
            f"{what}: {registry} answers something that is no list of tags", hint="check the registry's name"
        )
    # Tags are shown on terminals: what is none is left out.
    return [
        tag for tag in listed if isinstance(tag, str) and re.fullmatch(r"[\w][\w.-]{0,127}", tag, re.ASCII)
    ]
