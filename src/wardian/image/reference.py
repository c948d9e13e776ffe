"""References: names of images in registries (distribution's reference grammar; Docker Hub's short names)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wardian.errors import ImageError
from wardian.image.descriptor import Digest

# Docker Hub as names have it; where it is reached is the registry room's affair.
HUB = "docker.io"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_LONGEST = 255  # distribution's limit for a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """`registry/repository:tag@digest`, of which a tag, a digest or both are there."""

    registry: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a name as Docker does: `name` is `docker.io/library/name:latest`.

        Raises ImageError for what is no reference.
        """
        name, at, digest = text.partition("@")
        first, slash, rest = name.partition("/")
        # The first part is a host if it looks like one; else the name is one of Docker Hub's.
        host = first.lower()
        if slash and ("." in host or ":" in host or host == "localhost"):
            registry, path = host, rest
        elif slash and first != host:  # in lower case it would be a part of one of Docker Hub's names
            registry, path = first, rest
        else:
            registry, path = HUB, name
        repository, colon, tag = path.partition(":")
        if registry in (HUB, f"index.{HUB}"):
            registry = HUB
            repository = repository if "/" in repository else f"library/{repository}"
        well = (
            re.fullmatch(_HOST, registry)
            and re.fullmatch(rf"{_PART}(?:/{_PART})*", repository)
            and len(registry) + len(repository) < _LONGEST
            and (not colon or re.fullmatch(_TAG, tag))
        )
        if not well:
            hint = "write it as registry.example/name:tag"
            if (path != path.lower()) and re.fullmatch(rf"{_PART}(?:/{_PART})*", repository.lower()):
                hint = "names are in lower case: " + text.lower()
            raise ImageError(f"{text[:200]!r} is no image reference", hint=hint)
        found = Digest.parse(digest) if at else None
        return cls(
            registry=registry,
            repository=repository,
            tag=tag if colon else "" if found else "latest",
            digest=found,
        )

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}" + self.suffix

    @property
    def suffix(self) -> str:
        """`:tag`, `@digest` or both."""
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def familiar(self) -> str:
        """The name as people write it: without Docker Hub's host and `library/`."""
        if self.registry != HUB:
            return str(self)
        short = self.repository.removeprefix("library/")
        return (self.repository if "/" in short else short) + self.suffix
