"""The client of one registry: what is asked of it, its mirrors first where something is read.

It knows references, blobs and manifests, not what they are for: push.py and pull.py make images of them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wardian.errors import FetchError, ImageError, RegistryError, VerificationError
from wardian.image.descriptor import Descriptor, Digest
from wardian.image.manifest import Index, Manifest, parse_manifest
from wardian.registry import manifests, upload
from wardian.registry.credential import Credential
from wardian.registry.credentials import find_credentials
from wardian.registry.download import download
from wardian.registry.endpoint import Endpoint, find_endpoint, find_mirrors
from wardian.registry.manifests import Document, MissingError, Target
from wardian.registry.partial import Partial
from wardian.registry.scope import Scope
from wardian.registry.session import Session
from wardian.registry.transport import Request, Transport
from wardian.registry.trust import Trust
from wardian.registry.upload import Manner, Outcome
from wardian.system.attempts import Attempts, Pace
from wardian.system.connections import Connections
from wardian.system.exchange import Exchange
from wardian.system.progress import Silent

if TYPE_CHECKING:
    from wardian.image.reference import Reference
    from wardian.registry.settings import Settings
    from wardian.system.progress import Progress

T = TypeVar("T")
# To one host at once: more find no more room on the line, and some registries count them.
CONNECTIONS = 8


class Registry:
    """The registry `name`, as references call it. Safe to use from several threads.

    `environment` says where credentials, proxies and certificates are; `settings` are those of all
    registries; `credential` is shown instead of what is stored. With `insecure`, http and certificates that
    prove nothing will do. Methods raise RegistryError (CredentialsError where it is for want of them).
    """

    def __init__(
        self,
        name: str,
        *,
        environment: Mapping[str, str],
        progress: Progress | None = None,
        insecure: bool = False,
        settings: Settings | None = None,
        credential: Credential | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.name = name = name.lower()
        self.progress: Progress = progress or Silent()
        self.manner = Manner()
        told = settings or {}
        origin = find_endpoint(name, told, insecure=insecure)
        mirrors = find_mirrors(name, told)
        hosts = {endpoint.host for endpoint in (origin, *mirrors) if endpoint.insecure}
        hosts |= {host for host, its in told.items() if its.insecure}
        self._trust = Trust(environment, insecure=frozenset(hosts))
        pace = pace or Pace()
        self._attempts = Attempts(pace)
        connections = Connections(
            _direct(environment), connections=CONNECTIONS, stall=pace.stall, trust=self._trust
        )
        self._exchange = Exchange(connections, stall=pace.stall)
        self._stored = find_credentials(environment)
        self._given = credential
        self._origin = self._transport(origin)
        self._mirrors = tuple(map(self._transport, mirrors))
        self._guard = threading.Lock()
        self._told: set[tuple[str, str]] = set()

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up connections, and end the pauses of what is under way."""
        self._attempts.close()
        self._exchange.close()

    # the registry itself

    def verify(self) -> bool:
        """Show the credentials; whether the registry asked for any. Raises CredentialsError."""
        request = Request(what=f"cannot log in to {self.name}", method="GET", url="", scope=Scope())
        self._origin.ask(request, expected=(200,))
        return self._origin.wants_credentials

    def authorize(self, repository: str) -> None:
        """Whether it is a registry, and may let us write: to know before there is anything to send."""
        self._origin.authorize(Scope(repository=repository, writes=True), f"cannot push to {self.name}")

    # manifests

    def manifest(
        self, reference: Reference, *, digest: Digest | None = None
    ) -> tuple[Document, Manifest | Index]:
        """The manifest or index that `reference` names, or the one of that digest in its repository: read.

        Raises ImageError for what is neither, VerificationError for other bytes than those named.
        """
        target = _target(reference, digest or reference.digest or reference.tag)
        what = f"cannot pull {reference.familiar}"

        def get(transport: Transport) -> tuple[Document, Manifest | Index]:
            repository = transport.endpoint.repository(reference.repository)
            document = manifests.get(transport, replace(target, repository=repository), what)
            # Here, so that a mirror with something else is passed over.
            media_type = document.descriptor.media_type
            return document, parse_manifest(document.data, reference.familiar, media_type=media_type)

        try:
            return self._first(get)
        except MissingError as error:
            manifests.advise(self._origin, target, error)
            raise

    def find_manifest(self, reference: Reference) -> Document | None:
        """What `reference` names at the registry itself, None where nothing has that name."""
        target = _target(reference, reference.digest or reference.tag)
        what = f"cannot read {reference.familiar}"
        try:
            return manifests.get(self._origin, target, what)
        except MissingError:
            return None

    def put_manifest(self, reference: Reference, document: Document, *, tagged: bool = True) -> Digest:
        """Put a manifest or index under the reference's tag, or where `tagged` is false its digest alone.

        Raises VerificationError where the registry says that it got something else.
        """
        by_tag = tagged and reference.tag and not reference.digest
        target = _target(reference, reference.tag if by_tag else document.descriptor.digest)
        return manifests.put(self._origin, target, document, f"cannot push {reference.familiar}")

    # blobs

    def download(self, reference: Reference, descriptor: Descriptor, partial: Partial) -> None:
        """Fill `partial` up with the blob; raises VerificationError where no source has the right bytes."""
        what = f"cannot pull {reference.familiar}"

        def get(transport: Transport) -> None:
            repository = transport.endpoint.repository(reference.repository)
            download(transport, repository, descriptor, partial, what)

        self._first(get)

    def upload(
        self,
        repository: str,
        descriptor: Descriptor,
        path: Path,
        *,
        sources: Iterable[str] = (),
        advance: Callable[[int], None],
    ) -> Outcome:
        """Bring a blob there unless it is there; `sources` are repositories it may be mounted from.

        Raises VerificationError where the file is not the blob, HostError where it cannot be read.
        """
        session = Session(self._origin, repository, descriptor, path, advance)
        return upload.upload(session, sources, self.manner)

    def _transport(self, endpoint: Endpoint) -> Transport:
        def find(repository: str) -> Credential | None:
            if self._given and endpoint.name == self.name:
                return self._given
            return self._stored.find(endpoint.name, repository)

        return Transport(
            endpoint, exchange=self._exchange, attempts=self._attempts, trust=self._trust, find=find
        )

    def _first(self, get: Callable[[Transport], T]) -> T:
        """What the first of mirrors and registry gives; the registry's own error where none does."""
        for mirror in self._mirrors:
            try:
                return get(mirror)
            except (ImageError, RegistryError, FetchError, VerificationError) as error:
                self._tell(mirror.name, error.message)
        return get(self._origin)

    def _tell(self, mirror: str, reason: str) -> None:
        """Say that a mirror does not help: once for a reason, whichever blobs it is about."""
        told = (mirror, re.sub("[0-9a-f]{64}", "", reason))
        with self._guard:
            if told in self._told:
                return
            self._told.add(told)
        self.progress.message(f"the mirror {mirror} does not help: {reason}")


def _direct(environment: Mapping[str, str]) -> Mapping[str, str]:
    """`environment`, in which loopback registries need no proxy: Docker and Podman never use one for them."""
    exempt = environment.get("no_proxy") or environment.get("NO_PROXY")
    loopback = "localhost,127.0.0.0/8,::1"
    return {**environment, "no_proxy": f"{exempt},{loopback}" if exempt else loopback}


def _target(reference: Reference, wanted: str) -> Target:
    return Target(repository=reference.repository, reference=str(wanted))
