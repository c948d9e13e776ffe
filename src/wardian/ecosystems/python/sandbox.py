"""The sandbox that uv runs in, as this folder sees it: what it is asked for, and where things are inside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = "/wardian"  # the one mount that holds uv's cache and the work beside it
UV = "/opt/uv"

Mount = tuple[Path, str, bool]


class Sandbox(Protocol):
    """Runs a command in the image under construction, as emulated root (runtime/sandbox.py)."""

    def run(
        self,
        arguments: Sequence[str],
        *,
        mounts: Sequence[Mount] = ...,
        environment: Mapping[str, str],
        network: bool = ...,
    ) -> tuple[int, str]:
        """Exit status and output; a mount is (host path, path inside, whether it is read-only)."""
