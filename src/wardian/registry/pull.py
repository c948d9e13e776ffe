"""Pulling an image into the library: every byte verified, nothing kept under a name before it is whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.errors import ImageError
from wardian.image.descriptor import INDEXES, Descriptor, Digest
from wardian.image.library import check
from wardian.image.manifest import LARGEST, Configuration, Index, Manifest, parse_configuration
from wardian.registry.manifests import Document
from wardian.registry.memory import Memory
from wardian.registry.partial import Partial
from wardian.system.crew import Crew
from wardian.system.progress import Silent

if TYPE_CHECKING:
    from wardian.image.library import Library, StoredImage
    from wardian.image.platform import Platform
    from wardian.image.reference import Reference
    from wardian.registry.client import Registry
    from wardian.system.progress import Progress, Step

# Called with a layer's number from the bottom, its descriptor and its blob; by several threads at once.
Arrived = Callable[[int, Descriptor, Path], None]
# Called once, before any layer arrives: what the image is.
Known = Callable[[Configuration], None]
_DOWNLOADS = 6


def pull(
    registry: Registry,
    reference: Reference,
    library: Library,
    *,
    platform: Platform,
    progress: Progress | None = None,
    arrived: Arrived | None = None,
    known: Known | None = None,
    ready: Callable[[], None] | None = None,
) -> StoredImage:
    """Bring the image that `reference` names into `library`, under that name.

    Of an index, the image for `platform`. `known` is told what the image is; then `arrived` is called for
    each layer as soon as its blob is there, verified; the same blob twice in an image is two layers; `ready`
    is called when all are there, before the image gets its name. Two pulls of a blob at once share one
    download, and one that breaks off goes on where it ended, the next time too.
    Raises RegistryError, VerificationError for bytes that are not those named, ImageError for what is no
    image that can be read here or is for other platforms, HostError, and what `arrived` and `ready` raise.
    """
    document, manifest = _resolve(registry, reference, platform)
    fetch = _Fetch(
        registry=registry,
        reference=reference,
        library=library,
        progress=progress or Silent(),
    )
    # Before the blobs that it names: of a pull that is killed, `prune` knows by it what they are.
    descriptor = library.add(document.data, manifest.media_type)
    configuration = _check_configuration(fetch, manifest, platform)
    if known:
        known(configuration)
    fetch.layers(manifest, arrived or _ignore)
    image = library.stored(descriptor, reference.familiar)
    if ready:
        ready()
    library.keep(reference, descriptor, origin="pulled")
    digests = [manifest.config.digest, *(layer.digest for layer in manifest.layers)]
    Memory(library.store, registry.name).note(reference.repository, digests)
    return image


def _ignore(number: int, descriptor: Descriptor, path: Path) -> None:
    """Wait for all of it."""


def _resolve(registry: Registry, reference: Reference, platform: Platform) -> tuple[Document, Manifest]:
    """The manifest that `reference` names, of an index the one for `platform`."""
    what = reference.familiar
    document, found = registry.manifest(reference)
    if not isinstance(found, Index):
        return document, found
    chosen = found.select(platform, what)
    if chosen.media_type in INDEXES:
        raise ImageError(f"{what} is an index of indexes, which are not read")
    document, inner = registry.manifest(reference, digest=chosen.digest)
    if isinstance(inner, Index) or document.descriptor.size != chosen.size:
        raise ImageError(f"{what}: its index and its manifest for {platform} do not fit each other")
    return document, inner


def _check_configuration(fetch: _Fetch, manifest: Manifest, platform: Platform) -> Configuration:
    """Fetch the configuration, which is small, before the layers, which need not fit it."""
    what = f"the configuration of {fetch.reference.familiar}"
    if manifest.config.size > LARGEST:
        raise ImageError(f"{what} has {manifest.config.size} bytes; it may have {LARGEST}")
    fetch.blob(manifest.config, _uncounted)
    data = fetch.library.read(manifest.config, what)
    configuration = parse_configuration(data, what, manifest.config.media_type)
    check(manifest, configuration, fetch.reference.familiar)
    if configuration.architecture and (configuration.os, configuration.architecture) != (
        platform.os,
        platform.architecture,
    ):
        raise ImageError(
            f"{fetch.reference.familiar} is for {configuration.os}/{configuration.architecture}, "
            f"not for {platform}",
            hint=f"pull it with --platform {configuration.os}/{configuration.architecture}",
        )
    return configuration


def _uncounted(amount: int) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fetch:
    registry: Registry
    reference: Reference
    library: Library
    progress: Progress

    def layers(self, manifest: Manifest, arrived: Arrived) -> None:
        """Fetch every layer's blob, from the bottom; raises what the first that failed did."""
        numbers = self._numbers(manifest)
        layers = [manifest.layers[same[0]] for same in numbers.values()]
        total = sum(layer.size for layer in layers if not self.library.has(layer))
        title = f"Pulling {self.reference.familiar}"
        with self.progress.step(title, total=total, unit="B") as step, Crew(_DOWNLOADS) as crew:
            for layer in layers:
                crew.start(partial(self._layer, layer, numbers[layer.digest], arrived, _Watch(crew, step)))
            crew.wait()

    def _numbers(self, manifest: Manifest) -> dict[Digest, list[int]]:
        """Where in the image each blob is; raises ImageError where one is said to have two sizes."""
        numbers: dict[Digest, list[int]] = {}
        for number, layer in enumerate(manifest.layers):
            same = numbers.setdefault(layer.digest, [])
            if same and manifest.layers[same[0]].size != layer.size:
                raise ImageError(f"{self.reference.familiar} gives the layer {layer.digest} two sizes")
            same.append(number)
        return numbers

    def _layer(self, layer: Descriptor, numbers: list[int], arrived: Arrived, watch: _Watch) -> None:
        if not self.library.has(layer):
            title = f"  {layer.digest.hex[:12]}"
            with self.progress.step(title, total=layer.size, unit="B", passing=True) as step:
                self.blob(layer, watch.also(step))
        for number in numbers:
            watch.crew.go_on()
            arrived(number, layer, self.library.blob(layer.digest))

    def blob(self, descriptor: Descriptor, advance: Callable[[int], None]) -> None:
        """Bring a blob into the library, unless it is there."""
        if self.library.has(descriptor):
            return
        store = self.library.store
        with store.lock(f"blob-{descriptor.digest.hex}"):
            if self.library.has(descriptor):  # another pull has fetched it meanwhile
                advance(descriptor.size)
                return
            path = store.cache("partial") / descriptor.digest.hex
            with Partial(path, descriptor, advance) as arriving:
                self.registry.download(self.reference, descriptor, arriving)
                arriving.become(self.library.blob(descriptor.digest))


@dataclass(frozen=True, slots=True)
class _Watch:
    """What follows a download: the others of its crew, and the step that counts them all."""

    crew: Crew
    step: Step

    def also(self, step: Step) -> Callable[[int], None]:
        """Count in `step` too."""

        def advance(amount: int) -> None:
            if amount > 0:
                self.crew.go_on()
            step.advance(amount)
            self.step.advance(amount)

        return advance
