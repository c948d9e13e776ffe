"""Images loaded into the store from outside: whatever a file, a folder or a stream turns out to be.

It names what it finds: as it is named there, else after the file.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from wardian.errors import ImageError
from wardian.image import decompress
from wardian.image.archive import read_archive
from wardian.image.found import Found, read_layout
from wardian.image.kept import Kept
from wardian.image.reference import Reference
from wardian.image.source import FolderSource, StagedSource

if TYPE_CHECKING:
    from wardian.image.library import Library
    from wardian.image.source import Source
    from wardian.system.progress import Progress, Step

_HINT = "load what `wardian save`, `docker save`, `podman save` or `skopeo copy` has written"


def load(library: Library, place: Path, progress: Progress) -> tuple[Kept, ...]:
    """Load the layout folder, or the archive file, at `place`; returns the names that its images have now.

    Raises ImageError for what is neither, VerificationError for wrong bytes, HostError where the disk
    refuses; then no name has changed.
    """
    if place.is_dir():
        return _keep(library, _read(FolderSource(place), library), place.name or place.resolve().name)
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ImageError(f"cannot read {place}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        return load_stream(library, file, str(place), progress)


def load_stream(library: Library, file: IO[bytes], what: str, progress: Progress) -> tuple[Kept, ...]:
    """Load an archive that is read once, from its beginning to its end; errors call it `what`."""
    size = None
    with contextlib.suppress(io.UnsupportedOperation):  # not every file is one of the system's
        size = os.fstat(file.fileno()).st_size or None
    with library.store.temporary() as folder, progress.step(f"loading {what}", total=size, unit="B") as step:
        compression, stream = decompress.recognised(_pieces(file, what, step))
        source = StagedSource(what)
        stream = decompress.decompressed(stream, compression, what, most=decompress.LARGEST)
        source.stage(stream, folder)
        return _keep(library, _read(source, library), Path(what).name)


def _pieces(file: IO[bytes], what: str, step: Step) -> Iterator[bytes]:
    while True:
        try:
            piece = file.read(decompress.PIECE)
        except OSError as error:
            raise ImageError(f"cannot read {what}: {error.strerror}") from error
        if not piece:
            return
        step.advance(len(piece))
        yield piece


def _read(source: Source, library: Library) -> tuple[Found, ...]:
    if source.has("oci-layout") and source.has("index.json"):
        return read_layout(source, library)
    if source.has("manifest.json"):
        return read_archive(source, library)
    if source.has("repositories"):
        raise ImageError(
            f"{source.what} was saved by a Docker before 1.10", hint="save it with a current one"
        )
    raise ImageError(f"{source.what} is no image: neither an OCI layout nor a docker archive", hint=_HINT)


def _keep(library: Library, found: tuple[Found, ...], place: str) -> tuple[Kept, ...]:
    alone = len(found) == 1
    return tuple(
        library.keep(image.name or _invented(place, image, alone=alone), image.descriptor, origin="loaded")
        for image in found
    )


def _invented(place: str, image: Found, *, alone: bool) -> Reference:
    """A name for an image that has none: that of its file or folder, with its tag, else `latest`.

    Where it is not alone there, one without a tag has its digest: several could not all be the latest.
    """
    stem = re.sub(r"(\.(tar|tgz|gz|zst|xz|bz2|oci))*$", "", place.lower())
    stem = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:100] or "loaded"
    name = Reference.parse(f"{stem}:{image.tag}" if image.tag else stem)
    return name if image.tag or alone else replace(name, tag="", digest=image.descriptor.digest)
