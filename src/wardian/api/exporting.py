"""What makes a project's image, in others' formats: Dockerfile, requirements, bill of materials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wardian.errors import SpecError

if TYPE_CHECKING:
    import os

    from wardian.api.preparation import Preparation
    from wardian.api.project import Project
    from wardian.build.plan import Plan
    from wardian.export.sbom import Format
    from wardian.export.source import Source
    from wardian.image.platform import Platform
    from wardian.lock.model import PlatformLock


def export_dockerfile(
    project: Project, folder: str | os.PathLike[str], *, simple: bool = False, base: str = ""
) -> tuple[Path, ...]:
    """Lock if need be, and write a build context; returns its files, those of the code left out.

    `base` is the image to stand on; left out, it is the spec's, by its digest where the store has that image
    and the Dockerfile is neither `simple` nor for several platforms. Raises what `Project.lock` and
    `write_dockerfile` raise; of a slim image also what `build` raises.
    """
    from wardian.export.dockerfile import write_dockerfile

    preparation = project._prepared()
    with preparation.workshop.store.use():
        return write_dockerfile(Path(folder), _source(preparation, base, pinned=not simple), simple=simple)


def export_requirements(project: Project, *, platform: str | None = None) -> str:
    """Lock if need be; the text of a requirements.txt for `platform` (`linux/arm64`), by default the host's.

    Raises what `Project.lock` raises, and SpecError for a platform that is not locked.
    """
    from wardian.export.requirements import requirements_text
    from wardian.image.platform import Platform

    wanted = Platform.parse(platform) if platform else None
    return requirements_text(_part(project._prepared(), wanted))


def export_sbom(project: Project, *, standard: Format = "spdx") -> str:
    """Lock and build if need be; the bill of materials as JSON. Raises what `Project.build` raises."""
    from wardian.build.plan import plan
    from wardian.export.sbom import sbom

    preparation = project._prepared()
    store = preparation.workshop.store
    with store.use():
        lock = preparation.current()
        # Byte code and what slim leaves out change no package.
        made = plan(lock, docs=preparation.detection.spec.image.docs)
        _build(preparation, lock, made)
        roots = [store.snapshot(layer.key) / "root" for layer in made.layers]
        return sbom(project.name, lock, roots, format=standard)


def _part(preparation: Preparation, platform: Platform | None) -> PlatformLock:
    if platform is None:
        return preparation.current()
    parts = {part.platform: part for part in _parts(preparation)}
    if platform not in parts:
        raise SpecError(
            f"{preparation.file.path} is not for {platform}", hint=f"run `wardian lock --platform {platform}`"
        )
    return parts[platform]


def _parts(preparation: Preparation) -> tuple[PlatformLock, ...]:
    """All platforms' parts of a lock that fits, this machine's first."""
    mine = preparation.current()
    lock = preparation.check_lock()
    return (mine, *(part for part in lock.platforms if part.platform != mine.platform))


def _source(preparation: Preparation, base: str, *, pinned: bool) -> Source:
    from wardian.export.base import pinned_base
    from wardian.export.interpreters import interpreter_addresses
    from wardian.export.source import Source
    from wardian.image.library import Library
    from wardian.project.code import code_entries, select_code
    from wardian.project.repository import image_annotations

    spec, folder, workshop = preparation.detection.spec, preparation.folder, preparation.workshop
    locks = _parts(preparation)
    if pinned and not base:
        base = pinned_base(Library(workshop.store), spec, [lock.platform for lock in locks])
    mirror = workshop.configuration.python_install_mirror
    selected = select_code(folder, spec.image)
    for note in selected.notes:
        workshop.progress.message(note)
    return Source(
        folder=folder,
        detection=preparation.detection,
        locks=locks,
        code=tuple(code_entries(selected)),
        annotations=image_annotations(spec, folder),
        interpreters=interpreter_addresses(workshop.uv, locks, mirror=mirror),
        dropped=_dropped(preparation, locks[0]) if spec.image.slim else (),
        base=base,
    )


def _dropped(preparation: Preparation, lock: PlatformLock) -> tuple[str, ...]:
    """What a slim image leaves out, which building it finds out."""
    from wardian.build.plan import plan
    from wardian.build.slim import SlimReport

    made = plan(lock, docs=preparation.detection.spec.image.docs, slim=True)
    _build(preparation, lock, made)
    report = SlimReport.read(preparation.workshop.store.snapshot(made.layers[-1].key))
    return tuple(sorted(path for package in report.packages for path in package.dropped))


def _build(preparation: Preparation, lock: PlatformLock, made: Plan) -> None:
    from wardian.build.execute import Builder

    Builder(workshop=preparation.workshop, lock=lock).build(made)
