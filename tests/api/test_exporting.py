"""What is exported from a project and its lock. The formats have tests of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.api.conftest import HOST, OTHER

from wardian import Project, export_dockerfile, export_requirements
from wardian.errors import SpecError, UserError
from wardian.system.progress import Silent


class _Told(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def test_requirements_of_a_platform(lock: Callable[..., str], opened: Callable[..., Project]) -> None:
    lock(HOST)
    assert str(HOST) in export_requirements(opened())
    with pytest.raises(SpecError, match=f"is not for {OTHER}") as caught:
        export_requirements(opened(), platform=str(OTHER))
    assert caught.value.hint == f"run `wardian lock --platform {OTHER}`"
    lock(HOST, OTHER)
    assert str(OTHER) in export_requirements(opened(), platform=str(OTHER))


def test_a_dockerfile_stands_on_what_is_named(
    folder: Path, lock: Callable[..., str], opened: Callable[..., Project]
) -> None:
    lock(HOST, OTHER)
    written = export_dockerfile(opened(), folder / "out", simple=True, base="registry.example/base:1")
    assert folder / "out/Dockerfile" in written
    assert "registry.example/base:1" in (folder / "out/Dockerfile").read_text()


def test_a_dockerfile_tells_what_stays_out(folder: Path, lock: Callable[..., str], tmp_path: Path) -> None:
    lock()
    (folder / ".env").write_text("TOKEN=1")
    told = _Told()
    project = Project.open(
        folder, home=tmp_path / "store", environment={"HOME": str(tmp_path)}, progress=told, offline=True
    )
    export_dockerfile(project, tmp_path / "out", base="registry.example/base:1", simple=True)
    assert [line for line in told.lines if line.startswith(".env stays out of the image, since ")]


def test_nothing_is_written_without_a_lock(folder: Path, opened: Callable[..., Project]) -> None:
    with pytest.raises(UserError):
        export_dockerfile(opened(locked=True), folder / "out")
    assert not (folder / "out").exists()
