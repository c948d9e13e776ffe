"""A project's declaration, with the states of all that it was read from (warm.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wardian.api import warm
from wardian.project.detect import Detection, detect
from wardian.system import variables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

States = dict[str, list[int] | None]

# Where the host's apt sources mostly stand (sources.list(5)): when they change, an image is as good as
# before, but the addresses beside it are not.
_APT_SOURCES = (
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d",
    "/etc/apt/sources.list.d/debian.sources",
)
_TRIES = 3
_UNKNOWN: list[int] = []  # a state that no file has: what it is noted for is read again next time


def read_declaration(
    folder: Path, script: Path | None, environment: Mapping[str, str]
) -> tuple[Detection, States]:
    """What `folder`, or a script with an environment of its own, declares; and what that hangs on.

    Raises SpecError.
    """
    places = warm.states([variables.configuration_file(environment), *_APT_SOURCES])
    detection, inputs = _detect(folder, script)
    return detection, {**places, **inputs}


def _detect(folder: Path, script: Path | None) -> tuple[Detection, States]:
    """Detect, with the states of all that was read, noted before it was read.

    What is read becomes known by reading it, so it is read until it did not change meanwhile. In a folder
    that never rests the last reading counts, and the next run reads anew.
    """
    found = detect(folder, script)
    noted: States = {}
    for _ in range(_TRIES):
        noted = warm.states(map(str, found.inputs))
        found = detect(folder, script)
        if warm.states(map(str, found.inputs)) == noted:
            break
    return found, {str(path): noted.get(str(path), _UNKNOWN) for path in found.inputs}
