from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wardian.project.read import find_spec, read_document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wardian.project.spec import Spec


def read_spec(folder: Path) -> Spec | None:
    """The folder's written spec, None where it has none."""
    document = find_spec(folder)
    return None if document is None else read_document(document)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write files, named relative to a new project folder, and return the folder."""

    def write_files(files: dict[str, str | bytes]) -> Path:
        folder = tmp_path / "My Project"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return write_files
