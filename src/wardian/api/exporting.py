"""What makes a project's image, in others' formats: Dockerfile, requirements, bill of materials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wardian.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path

    from wardian.api.preparation import Preparation
    from wardian.api.project import Project
    from wardian.export.sbom import Format
    from wardian.export.source import Source
    from wardian.image.platform import Platform
    from wardian.lock.model import PlatformLock


def export_dockerfile(project: Project, folder: Path, *, simple: bool = False) -> tuple[Path, ...]:
    """Lock if need be, and write a build context; returns its files, those of the code left out.

    Raises what `Project.lock` and `write_dockerfile` raise.
    """
    from wardian.export.dockerfile import write_dockerfile

    return write_dockerfile(folder, _source(project._prepared()), simple=simple)


def export_requirements(project: Project, *, platform: Platform | None = None, hashes: bool = True) -> str:
    """Lock if need be; the text of a requirements.txt. Raises what `Project.lock` raises."""
    from wardian.export.requirements import requirements_text

    preparation = project._prepared()
    return requirements_text(_part(preparation, platform), hashes=hashes)


def export_sbom(project: Project, *, standard: Format = "spdx") -> str:
    """Lock and build if need be; the bill of materials as JSON. Raises what `Project.build` raises."""
    from wardian.build.execute import Builder
    from wardian.build.plan import plan
    from wardian.export.sbom import sbom

    preparation = project._prepared()
    store = preparation.workshop.store
    with store.use():
        lock = preparation.current()
        wish = preparation.detection.spec.image
        made = plan(lock, docs=wish.docs, bytecode=wish.bytecode)
        Builder(workshop=preparation.workshop, lock=lock).build(made)
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


def _source(preparation: Preparation) -> Source:
    from wardian.export.source import Source
    from wardian.project.code import code_entries, select_code
    from wardian.project.repository import image_annotations

    spec, folder = preparation.detection.spec, preparation.folder
    selected = select_code(folder, spec.image)
    return Source(
        folder=folder,
        detection=preparation.detection,
        locks=_parts(preparation),
        code=tuple(code_entries(selected)),
        annotations=image_annotations(spec, folder),
    )
