"""Runs in a container of a launch record's image. On the start-up path of every run."""

from __future__ import annotations

import os

from wardian.api import targets
from wardian.runtime import launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wardian.api.request import RunRequest
    from wardian.system.progress import Progress


def run(
    home: str,
    record: Mapping[str, Any],
    request: RunRequest,
    outside: Mapping[str, str],
    progress: Progress,
) -> int:
    """Run what is asked for; returns its exit status. Raises RunError and HostError."""
    arguments, variables = targets.resolve(record, request)
    command = launch.Command(
        arguments,
        directory=_directory(record, request),
        environment={**variables, **request.environment},
        mounts=request.volumes,
        network=request.network == "host",
        terminal=request.interactive,
        root=request.root,
        keep=request.keep,
        memory=request.memory,
        cpus=request.cpus,
    )
    return launch.launch(home, record, command, outside, progress.message)


def _directory(record: Mapping[str, Any], request: RunRequest) -> str:
    """Where the caller stands, if that is in the project, else its folder."""
    folder: str = record["folder"]
    stands = os.path.realpath(request.directory or folder)
    return targets.inside(record, stands) if f"{stands}/".startswith(f"{folder}/") else launch.PROJECT
