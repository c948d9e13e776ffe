"""Puts images into a container engine on this machine, without what it has already."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.errors import EngineError
from wardian.image.archive import write_archive
from wardian.image.descriptor import COMPRESSIONS
from wardian.runtime.engines import Engine, common

if TYPE_CHECKING:
    from wardian.image.descriptor import Digest
    from wardian.image.library import Library, StoredImage
    from wardian.image.reference import Reference
    from wardian.system.progress import Progress

_PIECE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What an engine was given: `present` are the layers that it had, `sent` the bytes that it got."""

    image: StoredImage
    engine: str
    reference: Reference
    identity: Digest
    present: int
    sent: int


def deliver(
    library: Library, image: StoredImage, engine: Engine, name: Reference, *, progress: Progress
) -> Delivered:
    """Have `engine` know the image as `name`; raises EngineError, and VerificationError for a damaged store.

    Docker knows a layer by all that lie below it, so what it has is a run of layers from the bottom.
    """
    present = common(image.configuration.diff_ids, engine.layers()) if engine.partial else 0
    try:
        sent = _send(library, image, engine, name, present, progress)
    except EngineError:
        if not present:
            raise
        present = 0  # an image may have been removed meanwhile, and its layers with it
        sent = _send(library, image, engine, name, present, progress)
    return Delivered(
        image=image,
        engine=engine.name,
        reference=name,
        identity=image.manifest.config.digest,
        present=present,
        sent=sent,
    )


def _send(
    library: Library, image: StoredImage, engine: Engine, name: Reference, present: int, progress: Progress
) -> int:
    """Send the archive without the first `present` layers; returns its bytes."""
    layers = image.manifest.layers
    without = {layer.digest for layer in layers[:present]} - {layer.digest for layer in layers[present:]}
    left = [layer for layer in layers if layer.digest not in without]
    # zstd layers are sent unpacked (archive.py), and nobody knows their size before.
    plain = all(COMPRESSIONS[layer.media_type] != "zstd" for layer in left)
    total = sum(layer.size for layer in left) if plain else None
    sent = 0
    with (
        progress.step(f"sending {name.familiar} to {engine.name}", total=total, unit="B") as step,
        _archive(library, image, name, without) as pieces,
    ):

        def counted() -> Iterator[bytes]:
            nonlocal sent
            for piece in pieces:
                sent += len(piece)
                step.advance(len(piece))
                yield piece

        engine.load(counted())
    return sent


@contextlib.contextmanager
def _archive(
    library: Library, image: StoredImage, name: Reference, without: Collection[Digest]
) -> Iterator[Iterator[bytes]]:
    """The docker archive in pieces, as a thread writes it; the pieces raise what writing them raised."""
    reader, writer = os.pipe()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            with os.fdopen(writer, "wb") as file:
                write_archive(library, image, file, name, without=without)
        except BrokenPipeError:
            pass  # the engine has ended the reading, and says why
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()

    def pieces() -> Iterator[bytes]:
        while piece := os.read(reader, _PIECE):
            yield piece
        thread.join()
        if failures:
            raise failures[0]

    try:
        yield pieces()
    finally:
        os.close(reader)
        thread.join()
