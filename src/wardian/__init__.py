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
    from wardian.api.engines import Delivered
    from wardian.api.exporting import export_dockerfile, export_requirements, export_sbom
    from wardian.api.image_runs import run_image
    from wardian.api.image_store import ArchiveFormat, ImageStore
    from wardian.api.images import Image, ImageRecord, images
    from wardian.api.locks import Change, Lock
    from wardian.api.project import Project
    from wardian.api.pruning import prune
    from wardian.api.registries import Login, login, logout, logout_everywhere, registry_name
    from wardian.api.request import RunRequest
    from wardian.api.shipping import Pushed
    from wardian.build.image import Part
    from wardian.build.slim import SlimReport
    from wardian.errors import WardianError
    from wardian.image.compression import Compression
    from wardian.image.descriptor import Descriptor
    from wardian.image.kept import Kept
    from wardian.image.library import StoredImage
    from wardian.image.manifest import History
    from wardian.image.platform import Platform
    from wardian.image.reference import Reference
    from wardian.inventory.compare import Difference, FileChange, PackageChange, Setting, compare
    from wardian.inventory.measure import Branch, Duplicate, Measures, measure
    from wardian.inventory.model import File, Inventory, Lost, Package
    from wardian.inventory.page import page as size_page
    from wardian.inventory.treemap import drawing as size_map
    from wardian.project.edit import Change as Edit
    from wardian.project.schema import spec_schema as schema
    from wardian.runtime.doctor.check import Check
    from wardian.runtime.notebook.events import FailedCell, NotebookError

# Where each name is at home, and what it is called there if that is something else.
_HOMES = {
    "ArchiveFormat": "wardian.api.image_store",
    "Branch": "wardian.inventory.measure",
    "Change": "wardian.api.locks",
    "Check": "wardian.runtime.doctor.check",
    "Compression": "wardian.image.compression",
    "Delivered": "wardian.api.engines",
    "Descriptor": "wardian.image.descriptor",
    "Difference": "wardian.inventory.compare",
    "Duplicate": "wardian.inventory.measure",
    "Edit": "wardian.project.edit:Change",
    "FailedCell": "wardian.runtime.notebook.events",
    "File": "wardian.inventory.model",
    "FileChange": "wardian.inventory.compare",
    "History": "wardian.image.manifest",
    "Image": "wardian.api.images",
    "ImageRecord": "wardian.api.images",
    "ImageStore": "wardian.api.image_store",
    "Inventory": "wardian.inventory.model",
    "Kept": "wardian.image.kept",
    "Lock": "wardian.api.locks",
    "Login": "wardian.api.registries",
    "Lost": "wardian.inventory.model",
    "Measures": "wardian.inventory.measure",
    "NotebookError": "wardian.runtime.notebook.events",
    "Package": "wardian.inventory.model",
    "PackageChange": "wardian.inventory.compare",
    "Part": "wardian.build.image",
    "Platform": "wardian.image.platform",
    "Project": "wardian.api.project",
    "Pushed": "wardian.api.shipping",
    "Reference": "wardian.image.reference",
    "RunRequest": "wardian.api.request",
    "Setting": "wardian.inventory.compare",
    "SlimReport": "wardian.build.slim",
    "StoredImage": "wardian.image.library",
    "WardianError": "wardian.errors",
    "compare": "wardian.inventory.compare",
    "diagnose": "wardian.api.diagnosis",
    "export_dockerfile": "wardian.api.exporting",
    "export_requirements": "wardian.api.exporting",
    "export_sbom": "wardian.api.exporting",
    "images": "wardian.api.images",
    "login": "wardian.api.registries",
    "logout": "wardian.api.registries",
    "logout_everywhere": "wardian.api.registries",
    "measure": "wardian.inventory.measure",
    "prune": "wardian.api.pruning",
    "registry_name": "wardian.api.registries",
    "run_image": "wardian.api.image_runs",
    "schema": "wardian.project.schema:spec_schema",
    "size_map": "wardian.inventory.treemap:drawing",
    "size_page": "wardian.inventory.page:page",
}

__all__ = [
    "ArchiveFormat",
    "Branch",
    "Change",
    "Check",
    "Compression",
    "Delivered",
    "Descriptor",
    "Difference",
    "Duplicate",
    "Edit",
    "FailedCell",
    "File",
    "FileChange",
    "History",
    "Image",
    "ImageRecord",
    "ImageStore",
    "Inventory",
    "Kept",
    "Lock",
    "Login",
    "Lost",
    "Measures",
    "NotebookError",
    "Package",
    "PackageChange",
    "Part",
    "Platform",
    "Project",
    "Pushed",
    "Reference",
    "RunRequest",
    "Setting",
    "SlimReport",
    "StoredImage",
    "WardianError",
    "compare",
    "diagnose",
    "export_dockerfile",
    "export_requirements",
    "export_sbom",
    "images",
    "login",
    "logout",
    "logout_everywhere",
    "measure",
    "prune",
    "registry_name",
    "run_image",
    "schema",
    "size_map",
    "size_page",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, there = _HOMES[name].partition(":")
    return getattr(import_module(module), there or name)
