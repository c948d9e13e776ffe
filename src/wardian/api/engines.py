"""Puts images into a container engine on this machine, without what it has already."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.errors import EngineError
from wardian.image.archive import write_archive
from wardian.image.reference import Reference
from wardian.runtime.engines import Engine, common

if TYPE_CHECKING:
    from wardian.image.descriptor import Digest
    from wardian.image.library import Library, StoredImage
    from wardian.system.progress import Progress

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What an engine was given: `present` are the layers that it had, `sent` the packed bytes of the rest."""

    engine: str
    reference: Reference
    identity: Digest
    present: int
    sent: int


def deliver(
    library: Library, image: StoredImage, engine: Engine, name: Reference, *, progress: Progress
) -> Delivered:
    """Have `engine` know the image as `name`; raises EngineError.

    Docker knows a layer by all that lie below it, so what it has is a run of layers from the bottom.
    """
    diff_ids = image.configuration.diff_ids
    present = common(diff_ids, engine.layers()) if engine.partial else 0
    try:
        _send(library, image, engine, name, present, progress)
    except EngineError:
        if not present:
            raise
        present = 0  # a layer may have been removed meanwhile
        _send(library, image, engine, name, present, progress)
    return Delivered(
        engine=engine.name,
        reference=name,
        identity=image.manifest.config.digest,
        present=present,
        sent=sum(layer.size for layer in image.manifest.layers[present:]),
    )


def _send(
    library: Library, image: StoredImage, engine: Engine, name: Reference, present: int, progress: Progress
) -> None:
    left_out = {layer.digest for layer in image.manifest.layers[:present]}
    left_out -= {layer.digest for layer in image.manifest.layers[present:]}
    total = sum(layer.size for layer in image.manifest.layers if layer.digest not in left_out)
    with progress.step(f"sending {name.familiar} to {engine.name}", total=total, unit="B") as step:
        reader, writer = os.pipe()
        failure: list[BaseException] = []

        def write() -> None:
            try:
                with os.fdopen(writer, "wb") as file:
                    write_archive(library, image, file, name, without=left_out)
            except BrokenPipeError:
                pass  # the engine has ended the reading, and says why
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=write, daemon=True)
        thread.start()

        def pieces() -> Iterator[bytes]:
            while piece := os.read(reader, _PIECE):
                step.advance(len(piece))
                yield piece
            thread.join()
            if failure:
                raise failure[0]

        try:
            engine.load(pieces())
        finally:
            os.close(reader)
            thread.join()
