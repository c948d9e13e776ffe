"""What sides have in common that build the peer's Dockerfile, whichever program builds it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from bench import reference

if TYPE_CHECKING:
    from bench.registry import Registry


class DockerfileSide(ABC):
    """Changes what is declared, builds, and pushes what was built."""

    def __init__(self) -> None:
        self._sent = 0.0

    @abstractmethod
    def push(self, registry: Registry) -> float:
        """Push what is built."""

    @abstractmethod
    def _declare(self, contents: reference.Contents) -> None:
        """Write the Dockerfile."""

    @abstractmethod
    def _build(self, *more: str) -> float:
        """Build it; returns the seconds."""

    def python(self) -> float:
        """Build after one more line in requirements.txt."""
        self._declare(reference.Contents(python=(*reference.PYTHON, reference.ADDED_PYTHON)))
        return self._build()

    def system(self) -> float:
        """Build after one more package for apt-get."""
        self._declare(reference.Contents(system=(*reference.SYSTEM, reference.ADDED_SYSTEM)))
        return self._build()

    def reset(self) -> None:
        """Bring the project back to the reference runtime, built."""
        self._declare(reference.Contents())
        self._build()

    def nothing(self) -> float:
        """Build again."""
        return self._build()

    def repush(self, registry: Registry) -> float:
        """Push after one more Python package was built in."""
        self.python()
        before = registry.bytes()
        seconds = self.push(registry)
        self._sent = (registry.bytes() - before) / 1e6
        return seconds

    def sent(self) -> float:
        """What the last push after a change sent, in MB."""
        return self._sent
