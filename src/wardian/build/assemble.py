"""Assembles an image from what was built: layers, configuration, manifest. The same for the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.build import execution
from wardian.image.descriptor import CONFIG, MANIFEST, Descriptor
from wardian.image.library import Library, StoredImage
from wardian.image.manifest import Configuration, History, Manifest
from wardian.image.packing import Packed, Packing

if TYPE_CHECKING:
    from wardian.image.compression import Compression
    from wardian.image.packing import Recipe
    from wardian.lock.model import PlatformLock
    from wardian.project.spec import Spec
    from wardian.store.store import Store
    from wardian.system.progress import Progress

Arrived = Callable[[Descriptor, Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """What an image is made of, beside its layers' bytes."""

    spec: Spec
    lock: PlatformLock
    recipes: Sequence[Recipe]
    annotations: Mapping[str, str]


def assemble(
    store: Store,
    assembly: Assembly,
    *,
    compression: Compression,
    progress: Progress,
    arrived: Arrived | None = None,
) -> StoredImage:
    """Pack the layers that were not packed before, and write configuration and manifest.

    `arrived` is called with each blob as soon as it is there, the configuration last, in any order of
    layers, perhaps from several threads. Raises VerificationError and HostError.
    """
    library = Library(store)
    layers = _pack(store, assembly.recipes, compression, progress, library, arrived)
    configuration = _configuration(assembly, layers)
    config = library.add(configuration.encode(), CONFIG)
    if arrived:
        arrived(config, library.blob(config.digest))
    manifest = Manifest(
        config=config,
        layers=tuple(layer.descriptor for layer in layers),
        annotations=dict(sorted(assembly.annotations.items())),
    )
    descriptor = library.add(manifest.encode(), MANIFEST)
    return StoredImage(descriptor=descriptor, manifest=manifest, configuration=configuration, name="")


def _pack(
    store: Store,
    recipes: Sequence[Recipe],
    compression: Compression,
    progress: Progress,
    library: Library,
    arrived: Arrived | None,
) -> list[Packed]:
    with (
        progress.step("packing layers", unit="B") as step,
        Packing(store, compression=compression, step=step) as packing,
    ):
        futures = [packing.submit(recipe) for recipe in recipes]
        if arrived:
            for future in futures:
                future.add_done_callback(lambda done: _tell(done, library, arrived))
        return [future.result() for future in futures]


def _tell(future: Future[Packed], library: Library, arrived: Arrived) -> None:
    if not future.cancelled() and future.exception() is None:
        descriptor = future.result().descriptor
        arrived(descriptor, library.blob(descriptor.digest))


def _configuration(assembly: Assembly, layers: Sequence[Packed]) -> Configuration:
    # The archive's state that was locked is the one time that whoever builds shares.
    created = max(release.time for release in assembly.lock.debian.releases)
    platform = assembly.lock.platform
    return Configuration(
        os=platform.os,
        architecture=platform.architecture,
        created=created,
        execution=execution.execution(assembly.spec, assembly.lock, assembly.annotations),
        diff_ids=tuple(layer.diff_id for layer in layers),
        history=tuple(History(created=created, created_by=f"wardian: {layer.name}") for layer in layers),
    )
