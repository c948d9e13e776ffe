"""The image that a Dockerfile stands on: the published one of the base, by digest where it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wardian.image.reference import Reference

if TYPE_CHECKING:
    from wardian.image.library import Library
    from wardian.project.spec import Spec


def default_base(spec: Spec) -> str:
    """The published image of the spec's base; the slim one leaves out what wardian's filters leave out."""
    return spec.base if spec.image.docs else f"{spec.base}-slim"


def pinned_base(library: Library, spec: Spec) -> str:
    """The same with the digest that it had when it was pulled; empty where it never was."""
    name = default_base(spec)
    kept = library.find(Reference.parse(name))
    return f"{name}@{kept.descriptor.digest}" if kept and kept.origin == "pulled" else ""


def check_base(text: str) -> str:
    """`text`, if it is an image's reference; raises ImageError."""
    Reference.parse(text)
    return text
