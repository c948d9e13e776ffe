"""The image that a Dockerfile stands on: the published one of the base, by digest where it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wardian.errors import ImageError, VerificationError
from wardian.image.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wardian.image.library import Library
    from wardian.image.platform import Platform
    from wardian.project.spec import Spec


def default_base(spec: Spec) -> str:
    """The published image of the spec's base; the slim one leaves out what wardian's filters leave out."""
    return spec.base if spec.image.docs else f"{spec.base}-slim"


def pinned_base(library: Library, spec: Spec, platforms: Sequence[Platform]) -> str:
    """The same with the digest of the image that was pulled under that name; empty where none fits.

    What is pulled is kept as the image of one platform: it serves a Dockerfile for that platform alone.
    """
    name = default_base(spec)
    kept = library.find(Reference.parse(name))
    if kept is None or kept.origin != "pulled":
        return ""
    try:
        image = library.stored(kept.descriptor)
    except (ImageError, VerificationError):  # whoever needs it finds out
        return ""
    return f"{name}@{image.descriptor.digest}" if [image.platform] == list(platforms) else ""


def check_base(text: str) -> str:
    """`text`, if it is an image's reference; raises ImageError."""
    Reference.parse(text)
    return text
