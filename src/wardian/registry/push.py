"""Pushing an image: its blobs as they are made, its manifest when all of them are there.

A tag never names an image of which something is missing: the manifest is the last thing that is sent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.errors import ImageError
from wardian.image.descriptor import Descriptor, Digest
from wardian.registry.manifests import Document
from wardian.registry.memory import Memory
from wardian.registry.upload import CHUNK
from wardian.system.crew import Crew
from wardian.system.progress import Silent

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType

    from wardian.image.reference import Reference
    from wardian.registry.client import Registry
    from wardian.registry.upload import Outcome
    from wardian.store.store import Store
    from wardian.system.progress import Progress, Step

# Blobs that are sent at once.
_UPLOADS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What a push came to, in blobs and in bytes."""

    present: int = 0
    mounted: int = 0
    sent: int = 0
    bytes_sent: int = 0


class Push:
    """An image on its way to `reference`. Leaving the block ends what is under way.

    With `store`, what is remembered of the registry there says where blobs can be mounted from. Entering
    raises RegistryError where there is no registry, CredentialsError where it wants others.
    """

    def __init__(
        self,
        registry: Registry,
        reference: Reference,
        *,
        progress: Progress | None = None,
        store: Store | None = None,
    ) -> None:
        self._registry = registry
        self._reference = reference
        self._progress: Progress = progress or Silent()
        self._memory = Memory(store, registry.name) if store else None
        self._sources = self._memory.all() if self._memory else {}
        self._crew = Crew(_UPLOADS)
        self._guard = threading.Lock()
        self._futures: dict[Digest, Future[Outcome]] = {}
        self._sizes: dict[Digest, int] = {}
        self._step: Step = Silent().step("")
        self._total = 0

    def __enter__(self) -> Push:
        self._learn_manner()
        self._registry.authorize(self._reference.repository)
        self._step = self._progress.step(f"Pushing {self._reference.familiar}", total=0, unit="B")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._crew.__exit__()
        self._step.__exit__(kind, error, trace)

    def submit(self, descriptor: Descriptor, path: Path) -> Future[Outcome]:
        """Send a blob in the background; the same one twice is sent once. For one thread.

        Raises what an earlier one failed with, so that nobody goes on making what cannot be sent.
        """
        self._crew.check()
        if descriptor.digest not in self._futures:
            self._add(descriptor.size)
            self._sizes[descriptor.digest] = descriptor.size
            self._futures[descriptor.digest] = self._crew.start(lambda: self._upload(descriptor, path))
        return self._futures[descriptor.digest]

    def finish(self, manifest: bytes, media_type: str, *, tagged: bool = True) -> Digest:
        """Wait for all blobs, put the manifest, and return its digest.

        Without `tagged` it gets no tag, as what an index is to name (platforms.py).
        Raises what an upload failed with, ImageError where the reference names another digest, RegistryError,
        VerificationError where the registry says that it got something else.
        """
        document = Document(descriptor=Descriptor.of(manifest, media_type), data=manifest)
        named = self._reference.digest
        if named and named != document.descriptor.digest:
            raise ImageError(
                f"{self._reference.familiar} names another image than this one, "
                f"whose digest is {document.descriptor.digest}",
                hint="push it to a tag",
            )
        self._crew.wait()
        digest = self._registry.put_manifest(self._reference, document, tagged=tagged)
        self._remember()
        return digest

    @property
    def traffic(self) -> Traffic:
        """What has been sent so far, and what needed not be."""
        done = {
            digest: future.result()
            for digest, future in self._futures.items()
            if future.done() and future.exception() is None
        }
        outcomes = list(done.values())
        return Traffic(
            present=outcomes.count("present"),
            mounted=outcomes.count("mounted"),
            sent=outcomes.count("sent"),
            bytes_sent=sum(self._sizes[digest] for digest, outcome in done.items() if outcome == "sent"),
        )

    def _upload(self, descriptor: Descriptor, path: Path) -> Outcome:
        outcome = self._watched(descriptor, path)
        if outcome != "sent":
            self._add(-descriptor.size)
        return outcome

    def _watched(self, descriptor: Descriptor, path: Path) -> Outcome:
        """Upload, shown by a step of its own."""
        title = f"  {descriptor.digest.hex[:12]}"
        with self._progress.step(title, total=descriptor.size, unit="B", passing=True) as step:
            return self._registry.upload(
                self._reference.repository,
                descriptor,
                path,
                sources=self._sources.get(descriptor.digest, ()),
                advance=self._advance(step),
            )

    def _advance(self, step: Step) -> Callable[[int], None]:
        def advance(amount: int) -> None:
            if amount > 0:
                self._crew.go_on()
            step.advance(amount)
            self._step.advance(amount)

        return advance

    def _add(self, size: int) -> None:
        """What there is to send has grown, or shrunk."""
        with self._guard:
            self._total += size
            self._step.total(self._total)

    def _learn_manner(self) -> None:
        chunk = self._memory.chunk() if self._memory else None
        if chunk == "whole":
            self._registry.manner.chunk = None
        elif isinstance(chunk, int) and 0 < chunk < CHUNK:
            self._registry.manner.chunk = chunk

    def _remember(self) -> None:
        if self._memory:
            chunk = self._registry.manner.chunk
            told = None if chunk == CHUNK else chunk or "whole"
            self._memory.note(self._reference.repository, self._futures, chunk=told)
