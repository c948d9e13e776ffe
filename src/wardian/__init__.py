"""Wardian: a project folder becomes a small, locked, reproducible container, and runs in it.

    >>> import wardian
    >>> project = wardian.Project.open("examples/penguins")
    >>> lock = project.lock()
    >>> image = project.build()
    >>> project.run(wardian.RunRequest(target=None, arguments=("python", "--version")))
    0

Names are imported when they are first used: starting is part of every run.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wardian.api.diagnosis import diagnose
    from wardian.api.image_runs import run_image
    from wardian.api.images import Image, ImageRecord, images
    from wardian.api.locks import Change, Lock
    from wardian.api.project import Project
    from wardian.api.pruning import prune
    from wardian.api.request import RunRequest
    from wardian.build.image import Part
    from wardian.errors import WardianError
    from wardian.project.schema import spec_schema as schema
    from wardian.runtime.doctor.check import Check

_HOMES = {
    "Change": "wardian.api.locks",
    "Check": "wardian.runtime.doctor.check",
    "Image": "wardian.api.images",
    "ImageRecord": "wardian.api.images",
    "Lock": "wardian.api.locks",
    "Part": "wardian.build.image",
    "Project": "wardian.api.project",
    "RunRequest": "wardian.api.request",
    "WardianError": "wardian.errors",
    "diagnose": "wardian.api.diagnosis",
    "images": "wardian.api.images",
    "prune": "wardian.api.pruning",
    "run_image": "wardian.api.image_runs",
    "schema": "wardian.project.schema",
}

__all__ = [
    "Change",
    "Check",
    "Image",
    "ImageRecord",
    "Lock",
    "Part",
    "Project",
    "RunRequest",
    "WardianError",
    "diagnose",
    "images",
    "prune",
    "run_image",
    "schema",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_HOMES[name])
    return getattr(module, "spec_schema" if name == "schema" else name)
