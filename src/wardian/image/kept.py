"""Names of images: what one of them stands for, and the finding of one by what people write. No writing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from wardian.errors import ImageError
from wardian.image.descriptor import Descriptor, mapping, string
from wardian.image.reference import Reference

if TYPE_CHECKING:
    from pathlib import Path

Origin = Literal["built", "pulled", "loaded", "tagged"]
ORIGINS: tuple[Origin, ...] = ("built", "pulled", "loaded", "tagged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A name, what it stands for (a manifest or an index), and how it came here.

    `project` is the folder that a built image was built from; `created` is RFC 3339.
    """

    name: Reference
    descriptor: Descriptor
    origin: Origin
    project: str
    created: str

    def encode(self) -> bytes:
        """The bytes of its file."""
        content = {
            "name": str(self.name),
            "descriptor": replace(self.descriptor, annotations={}, platform={}).as_json(),
            "origin": self.origin,
            "project": self.project,
            "created": self.created,
        }
        return json.dumps(content).encode()


def now() -> str:
    """The time of a name: RFC 3339 in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_kept(path: Path) -> Kept | None:
    """A file of `references/`; None where it is not there or cannot be read."""
    try:
        content = mapping(json.loads(path.read_bytes()), "a reference")
        origin = next(origin for origin in ORIGINS if origin == content.get("origin"))
        return Kept(
            name=Reference.parse(string(content.get("name"), "its name")),
            descriptor=Descriptor.parse(content.get("descriptor"), "its descriptor"),
            origin=origin,
            project=string(content.get("project"), "its project"),
            created=string(content.get("created"), "its time"),
        )
    except (OSError, ValueError, RecursionError, StopIteration, ImageError):
        return None


def by_name(names: Iterable[Kept], text: str) -> Kept | None:
    """What has the name `text`, if anything has; one with tag and digest has to have both."""
    try:
        wanted = Reference.parse(text)
    except ImageError:
        return None
    for kept in names:
        if kept.name == wanted:
            return kept
        same = (kept.name.registry, kept.name.repository) == (wanted.registry, wanted.repository)
        if same and wanted.digest == kept.descriptor.digest and wanted.tag in ("", kept.name.tag):
            return kept
    return None


def by_digest(names: Iterable[Kept], text: str) -> Kept | None:
    """What has a digest that begins so; raises ImageError where that is true of several images."""
    prefix = text.removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{4,64}", prefix):
        return None
    found = [kept for kept in names if kept.descriptor.digest.hex.startswith(prefix)]
    digests = sorted({str(kept.descriptor.digest) for kept in found})
    if len(digests) > 1:
        raise ImageError(f"{text!r} begins {len(digests)} images' digests", hint=f"write {digests[0][:30]}")
    return found[0] if found else None


def advice(text: str, names: Iterable[Kept]) -> str:
    """The next step where nothing is called `text`."""
    import difflib

    known = [kept.name.familiar for kept in names]
    if near := difflib.get_close_matches(text, known, n=3, cutoff=0.5):
        return "did you mean " + " or ".join(near) + "?"
    return "see `wardian image ls`, or get it with `wardian pull` or `wardian load`"
