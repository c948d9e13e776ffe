"""Remembers what was built: the image's record, and the launch record that runs start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.api import warm
from wardian.build import execution
from wardian.build import image as images
from wardian.build.plan import BytecodeLayer, SlimLayer, plan
from wardian.runtime import launch
from wardian.runtime.seccomp import default_profile
from wardian.system import files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wardian.api.images import Image
    from wardian.build.plan import Layer, Plan
    from wardian.ecosystems.workshop import Workshop
    from wardian.lock.model import PlatformLock
    from wardian.project.spec import Spec, Task

# Root inside is emulated: apt cannot become another user to fetch.
_APT = 'APT::Sandbox::User "root";\nAPT::Install-Recommends "false";\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What of a project its records tell."""

    identity: str
    folder: Path
    spec: Spec
    lock: PlatformLock


def remember_image(workshop: Workshop, project: Project, image: Image, made: Plan) -> None:
    """Write the record by which `ls` and `prune` know the image."""
    layers = tuple(layer.key for layer in made.layers)
    wish = project.spec.image
    # Kept from pruning, built or not.
    all_of_it = plan(project.lock, workbench=True, docs=wish.docs, bytecode=wish.bytecode, slim=wish.slim).all
    images.write_record(
        workshop.store,
        images.Record(
            key=image.key,
            name=image.name,
            platform=str(image.platform),
            layers=layers,
            beside=tuple(layer.key for layer in all_of_it if layer.key not in layers),
            project=str(project.folder),
            identity=project.identity,
            created=images.now(),
        ),
    )


def remember_launch(
    workshop: Workshop,
    project: Project,
    image: Image,
    made: Plan,
    inputs: Mapping[str, list[int] | None],
) -> dict[str, Any]:
    """Write and return the launch record (runtime/launch.py says what is in it)."""
    store, toolbox, spec = workshop.store, workshop.toolbox(), project.spec
    folder = store.project(project.identity)
    record = {
        "inputs": dict(inputs),
        "image": _image(image, made),
        "identity": project.identity,
        "name": spec.name,
        "folder": str(project.folder),
        "runtime": str(toolbox.program("crun")),
        "seccomp": default_profile(toolbox.file("seccomp.json"), made.platform.architecture),
        "layers": [str(store.snapshot(layer.key) / "root") for layer in made.layers],
        "python": project.lock.python is not None,
        "environment": _environment(project),
        "mounts": [
            [str(mount.host_path(project.folder, Path.home())), mount.target, mount.read_only]
            for mount in spec.mounts
        ],
        "tasks": {name: _task(task) for name, task in spec.tasks.items()},
        "beside": [str(store.snapshot(layer.key)) for layer in _beside(project)],
        "bytecode": str(folder / "bytecode") if project.lock.python else "",
        "apt": str(_write_apt(workshop, project, folder / "apt")),
    }
    warm.remember(str(store.root), project.identity, record)
    return record


def _image(image: Image, made: Plan) -> dict[str, Any]:
    layers = image.parts[: len(made.layers)]  # the workbench is no part of the image
    return {
        "name": image.name,
        "key": image.key,
        "platform": str(image.platform),
        "parts": [{"name": part.name, "key": part.key, "bytes": part.bytes} for part in layers],
    }


def _beside(project: Project) -> tuple[Layer, ...]:
    """What a build makes for the image that no run needs."""
    wish = project.spec.image
    made = plan(project.lock, docs=wish.docs, bytecode=wish.bytecode, slim=wish.slim)
    return tuple(layer for layer in made.layers if isinstance(layer, BytecodeLayer | SlimLayer))


def _task(task: Task) -> dict[str, Any]:
    """A task with and without further arguments: where a line places them is the spec's affair."""
    return {"plain": task.argv(), "more": task.argv(("",))[:-1], "env": dict(task.env)}


def _environment(project: Project) -> dict[str, str]:
    kept = {"PYTHONPYCACHEPREFIX": launch.BYTECODE} if project.lock.python else {}
    return execution.environment(project.spec, project.lock, {"USER": "user", **kept})


def _write_apt(workshop: Workshop, project: Project, folder: Path) -> Path:
    """apt's sources as this machine is configured, for root inside a run; no image holds them."""
    # Addresses may hold a password. Inside, root is the one who runs it.
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    (folder / "sources").mkdir(exist_ok=True)
    archives = workshop.archives(project.lock.debian.suite)
    lines = [
        f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {base} {release} main\n"
        for archive, release in archives.releases
        for base in archives.bases(archive)[:1]
    ]
    files.write_atomic(folder / "sources/wardian.list", "".join(lines))
    (folder / "sources/wardian.list").chmod(0o600)
    files.write_atomic(folder / "apt.conf", _APT)
    return folder
