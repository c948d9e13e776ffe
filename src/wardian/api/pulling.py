"""Pulls an image and unpacks its layers while others still arrive."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from wardian.api.registries import open_registry
from wardian.image.library import Library, StoredImage
from wardian.image.unpacking import Unpacking
from wardian.registry.pull import pull

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wardian.image.descriptor import Descriptor
    from wardian.image.manifest import Configuration
    from wardian.image.platform import Platform
    from wardian.image.reference import Reference
    from wardian.system.progress import Progress


def pull_and_unpack(
    reference: Reference,
    library: Library,
    *,
    platform: Platform,
    environment: Mapping[str, str],
    progress: Progress,
    insecure: bool = False,
) -> StoredImage:
    """The image that `reference` names, in the store and unpacked.

    Raises what `pull` and `Unpacking` raise.
    """
    registry = open_registry(
        reference.registry, environment=environment, progress=progress, insecure=insecure
    )
    with registry, _Unpacked(library, reference.familiar, progress) as unpacked:
        return pull(
            registry,
            reference,
            library,
            platform=platform,
            progress=progress,
            known=unpacked.begin,
            arrived=unpacked.take,
            ready=unpacked.join,  # what does not unpack is no image, and takes no name
        )


class _Unpacked:
    """The unpacking of an image whose layers are not known yet; a context manager."""

    def __init__(self, library: Library, what: str, progress: Progress) -> None:
        self._library, self._what, self._progress = library, what, progress
        self._stack = ExitStack()
        self._unpacking: Unpacking | None = None

    def __enter__(self) -> _Unpacked:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.__exit__(*exception)  # type: ignore[arg-type]

    def begin(self, configuration: Configuration) -> None:
        """Get ready for the layers."""
        made = Unpacking(
            self._library.store, configuration.diff_ids, what=self._what, progress=self._progress
        )
        self._unpacking = self._stack.enter_context(made)

    def take(self, number: int, descriptor: Descriptor, path: Path) -> None:  # noqa: ARG002 - by its digest
        """Unpack a layer."""
        assert self._unpacking is not None  # begun before
        self._unpacking.submit(number, descriptor)

    def join(self) -> None:
        """Wait for all."""
        if self._unpacking:
            self._unpacking.join()
