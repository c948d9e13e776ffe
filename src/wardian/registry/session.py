"""An upload that a registry has opened: where it goes on, how far it is (distribution-spec, end-4, 5, 13).

After a failure the registry is asked how much it has; one that cannot say, or has forgotten, gets it all
again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

from wardian.errors import RegistryError
from wardian.image.descriptor import Descriptor
from wardian.registry.answers import Answer
from wardian.registry.scope import Scope
from wardian.registry.slice import Slice
from wardian.registry.transport import Request, Transport

# Registries hash a blob before they answer its last request: the slowest of them this many bytes a second.
_HASHED = 20e6
# How often a blob is begun anew before it is given up.
_MOST_BEGINNINGS = 8
_BINARY = "application/octet-stream"


class Session:
    """One blob's upload into `repository`. `advance` counts bytes sent, and counts back those lost.

    Its methods raise FailedError for what may pass, and RegistryError.
    """

    def __init__(
        self,
        transport: Transport,
        repository: str,
        descriptor: Descriptor,
        path: Path,
        advance: Callable[[int], None],
    ) -> None:
        self.transport = transport
        self.repository = repository
        self.descriptor = descriptor
        self.path = path
        self.what = f"cannot push to {transport.name}/{repository}: the blob {descriptor.digest}"
        self.offset = 0
        self.least = 0
        self._advance = advance
        self._location = ""
        self._counted = 0
        self._beginnings = 0
        self._is_broken = False

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: Slice | None = None,
        source: str = "",
        patience: float = 0.0,
    ) -> Request:
        """A request that may write to the repository, and read `source` if there is one."""
        sources = (source,) if source else ()
        return Request(
            what=self.what,
            method=method,
            url=url,
            scope=Scope(repository=self.repository, writes=True, sources=sources),
            headers=headers,
            body=body,
            patience=patience,
        )

    def is_there(self) -> bool:
        """Whether the repository has the blob (end-2)."""
        answer = self.transport.once(
            self.request("HEAD", f"{self.repository}/blobs/{self.descriptor.digest}")
        )
        if answer.status not in (200, 404):
            raise self.refusal(answer)
        return answer.status == 200

    def open(self, answer: Answer) -> None:
        """Take up the upload that `answer` has opened."""
        self._follow(answer)
        if not self._location:
            raise RegistryError(
                f"{self.what}: {self.transport.name} opens an upload and does not say where",
                hint="ask those who run the registry",
            )
        least = answer.headers.get("oci-chunk-min-length", "")
        self.least = int(least) if re.fullmatch(r"[0-9]{1,12}", least) else 0

    @property
    def is_open(self) -> bool:
        """Whether there is an upload to go on with."""
        return bool(self._location)

    def recover(self) -> None:
        """Be ready for the bytes from `offset` on: after a failure, where the registry says; else anew."""
        if self._is_broken and self._location:
            self._ask_how_far()
        if not self._location:
            self._begin()
        self._is_broken = False
        self.count(self.offset)

    def send(self, length: int) -> Answer:
        """Send a chunk; where it is taken, `offset` is behind it."""
        end = self.offset + length
        headers = {
            "Content-Type": _BINARY,
            "Content-Length": str(length),
            "Content-Range": f"{self.offset}-{end - 1}",
        }
        self._is_broken = True
        body = Slice(self.path, self.offset, length, self.count)
        answer = self.transport.once(self.request("PATCH", self._location, headers=headers, body=body))
        if answer.status in (201, 202, 204):
            # The `Range` that it answers is not looked at: that of some registries lags behind.
            self._follow(answer)
            self.offset, self._is_broken = end, False
        return answer

    def finish(self, *, whole: bool) -> Answer:
        """End the upload, sending all of the blob or nothing more of it (end-6)."""
        length = self.descriptor.size if whole else 0
        headers = {"Content-Type": _BINARY, "Content-Length": str(length)}
        query = urlencode({"digest": self.descriptor.digest})
        url = self._location + ("&" if urlsplit(self._location).query else "?") + query
        body = Slice(self.path, 0, length, self.count) if whole else None
        patience = self.descriptor.size / _HASHED
        self._is_broken = True
        answer = self.transport.once(self.request("PUT", url, headers=headers, body=body, patience=patience))
        self._is_broken = answer.status != 201
        return answer

    @property
    def is_broken(self) -> bool:
        """Whether the last thing sent failed, so that nobody knows what has arrived."""
        return self._is_broken

    def restart(self) -> None:
        """Forget the upload: the next one begins with the first byte."""
        self._location, self.offset, self._is_broken = "", 0, False
        self.count(0)

    def refusal(self, answer: Answer) -> RegistryError:
        """The error for an answer that ends the upload."""
        return self.transport.refusal(answer, self.request("PUT", ""))

    def count(self, position: int) -> None:
        """So much of the blob has been sent."""
        self._advance(position - self._counted)
        self._counted = position

    def _begin(self) -> None:
        self._count_beginning()
        answer = self.transport.once(self.request("POST", f"{self.repository}/blobs/uploads/"))
        if answer.status != 202:
            raise self.refusal(answer)
        self.open(answer)

    def _count_beginning(self) -> None:
        self._beginnings += 1
        if self._beginnings > _MOST_BEGINNINGS:
            raise RegistryError(
                f"{self.what}: the upload was begun {_MOST_BEGINNINGS} times, and each time it was lost",
                hint="try again later, or ask those who run the registry",
            )

    def _ask_how_far(self) -> None:
        answer = self.transport.once(self.request("GET", self._location))
        # `0-0` may stand for one byte or none.
        there = re.fullmatch(r"(?:bytes=)?0-(\d{1,18})", answer.headers.get("range", ""))
        if answer.status == 204 and there and 0 < int(there[1]) < self.descriptor.size:
            self._follow(answer)
            if int(there[1]) + 1 < self.offset:  # what it had taken is lost, or its counting lags behind
                self._count_beginning()
            self.offset = int(there[1]) + 1
        else:
            self.restart()

    def _follow(self, answer: Answer) -> None:
        """Each answer says where the next request goes; absolute or not, with a query or not."""
        if location := answer.headers.get("location", ""):
            try:
                self._location = urljoin(answer.url, location)
            except ValueError as error:
                raise RegistryError(
                    f"{self.what}: {self.transport.name} sends us to what is no address: {location[:200]!r}",
                    hint="ask those who run the registry",
                ) from error
