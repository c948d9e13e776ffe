"""Images on their way out: to registries, as they are packed, and to engines."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.api.registries import open_registry
from wardian.image.layout import require
from wardian.image.library import Library, StoredImage
from wardian.image.reference import Reference
from wardian.registry.platforms import put_platform
from wardian.registry.push import Push, Traffic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wardian.image.descriptor import Descriptor, Digest
    from wardian.store.store import Store
    from wardian.system.progress import Progress

Arrived = Callable[["Descriptor", Path], None]
# Makes or finds an image, and tells of each of its blobs as soon as it is there.
Source = Callable[[Arrived], StoredImage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a push came to. `digest` is what the tag names now: the image's, or that of `index`."""

    reference: Reference
    image: StoredImage
    digest: Digest
    is_index: bool
    traffic: Traffic


def push(
    source: Source,
    reference: Reference,
    *,
    store: Store,
    environment: Mapping[str, str],
    progress: Progress,
    insecure: bool = False,
    beside: bool = False,
) -> Pushed:
    """Push the image that `source` gives; blobs are sent while others are still packed.

    With `beside` the tag names an index, in which the image takes its platform's place beside others.
    Raises what `source` raises, RegistryError, CredentialsError, ImageError and VerificationError.
    """
    with (
        open_registry(
            reference.registry, environment=environment, progress=progress, insecure=insecure
        ) as registry,
        Push(registry, reference, progress=progress, store=store) as under_way,
    ):
        guard, failures = threading.Lock(), list[Exception]()

        def arrived(descriptor: Descriptor, path: Path) -> None:
            with guard, _kept(failures):
                under_way.submit(descriptor, path)

        image = source(arrived)
        if failures:
            raise failures[0]
        manifest = Library(store).read(image.descriptor, f"the manifest of {image.name}")
        digest = under_way.finish(manifest, image.descriptor.media_type, tagged=not beside)
        if beside:
            digest = put_platform(registry, reference, image.descriptor, image.platform).digest
        return Pushed(
            reference=reference, image=image, digest=digest, is_index=beside, traffic=under_way.traffic
        )


@contextlib.contextmanager
def _kept(failures: list[Exception]) -> Iterator[None]:
    """Add an exception to `failures`: whoever packs has nobody to raise it to, and what is packed is kept."""
    try:
        yield
    except Exception as error:
        failures.append(error)


def stored(library: Library, image: StoredImage) -> Source:
    """An image of the store as something that can be pushed; raises ImageError where layers are missing."""
    require(library, image)

    def source(arrived: Arrived) -> StoredImage:
        for descriptor in (*image.manifest.layers, image.manifest.config):
            arrived(descriptor, library.blob(descriptor.digest))
        return image

    return source
