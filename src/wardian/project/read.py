"""Finds and reads an explicit spec: `wardian.toml`, or `[tool.wardian]` in `pyproject.toml`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from wardian.errors import SpecError
from wardian.project import grammar
from wardian.project.document import Document, parse_toml
from wardian.project.kinds import Place, Table
from wardian.project.spec import Spec

SPEC_FILE = "wardian.toml"
PROJECT_FILE = "pyproject.toml"
_TOOL_TABLE = ("tool", "wardian")


def find_spec(folder: Path) -> Document | None:
    """Return the document that holds the folder's explicit spec, None where there is none.

    Raises SpecError for a folder that cannot be read, and where both files hold a spec.
    """
    check_folder(folder)
    own = folder / SPEC_FILE
    document = Document.read(own) if _exists(own) else None
    inside = _tool_table(folder / PROJECT_FILE, quiet=document is not None)
    if document and inside:
        raise inside.error(
            (),
            f"[tool.wardian] stands here, and there is {own} too",
            hint="keep one of the two and remove the other",
        )
    return document or inside


def check_folder(folder: Path) -> None:
    """Raise SpecError unless `folder` is a folder that can be listed."""
    import os

    try:
        if not folder.is_dir():
            what = "it is no folder" if folder.exists() else "there is no such folder"
            raise SpecError(f"cannot read the project folder {folder}: {what}")
        with os.scandir(folder):
            pass
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpecError(
            f"cannot read the project folder {folder}: {reason}", hint="check its owner and permissions"
        ) from error


def _exists(path: Path) -> bool:
    import os

    return os.path.lexists(path)


def _tool_table(path: Path, *, quiet: bool) -> Document | None:
    if not _exists(path):
        return None
    try:
        document = Document.read(path, prefix=_TOOL_TABLE)
        # The word is sought first: parsing a pyproject.toml that says nothing of wardian is for detection.
        if not re.search("wardian|\\\\", document.text) or document.table() is None:
            return None
    except SpecError:
        if quiet:  # wardian.toml is there, and says nothing that this file could break
            return None
        raise
    return document


def read_document(document: Document) -> Spec:
    """Validate a document; raises SpecError with file, line, key and what was expected."""
    value = document.table()
    place = Place(document=document, root=Spec)
    spec = Table(model=Spec).read(value if value is not None else {}, place)
    assert isinstance(spec, Spec)
    if isinstance(value, dict) and "name" in value:
        return spec
    name = project_name(document) if document.prefix else ""
    return replace(spec, name=grammar.name_from(name or document.path.absolute().parent.name))


def project_name(document: Document) -> str:
    """The name in `[project]` (PEP 621) of a pyproject.toml, empty where it has none; raises SpecError."""
    table = replace(document, prefix=("project",)).table()
    name = table.get("name") if isinstance(table, dict) else None
    return name if isinstance(name, str) else ""


def read_spec_text(text: str, path: Path, *, prefix: tuple[str, ...] = ()) -> Spec:
    """Read a spec from a text that is, or is about to be, the content of `path`; raises SpecError."""
    parse_toml(text, str(path))
    return read_document(Document(path=path, text=text, prefix=prefix))
