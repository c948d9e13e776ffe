"""What records hold is for their owner alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from wardian.api import recording
from wardian.ecosystems.workshop import Workshop
from wardian.project.spec import Spec
from wardian.store.store import Store
from wardian.system.progress import Silent

from .conftest import part


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    environment = {"HOME": str(tmp_path), "WARDIAN_DEBIAN_ARCHIVE": "http://me:secret@mirror.invalid/debian"}
    return Workshop(
        store=Store.open(tmp_path / "store"), environment=environment, progress=Silent(), offline=True
    )


def test_sources_with_passwords_are_private(workshop: Workshop, tmp_path: Path) -> None:
    project = recording.Project(identity="p", folder=tmp_path, spec=Spec(), lock=part())
    folder = workshop.store.project("p") / "apt"
    before = os.umask(0o022)
    try:
        for _ in range(2):
            assert recording._write_apt(workshop, project, folder) == folder
    finally:
        os.umask(before)
    sources = folder / "sources/wardian.list"
    assert "http://me:secret@mirror.invalid/debian" in sources.read_text()
    assert stat.S_IMODE(sources.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
