"""Scopes: what a request is allowed to do, as token servers read it (distribution, auth/scope.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is done with a `repository`; `sources` are others that blobs are mounted from.

    An empty repository stands for the registry itself, which needs a login and nothing more.
    """

    repository: str = ""
    writes: bool = False
    sources: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The values of the `scope` parameters."""
        if not self.repository:
            return ()
        actions = "pull,push" if self.writes else "pull"
        others = (f"repository:{source}:pull" for source in self.sources)
        return (f"repository:{self.repository}:{actions}", *others)
