"""Makes a spec of a project folder: the explicit one, else one of what the folder declares or imports.

Order, the first that speaks wins:

1. `wardian.toml` or `[tool.wardian]` is the spec; no other file is asked.
2. Else requirements.txt, unless wardian has exported it, and pyproject.toml's `[project]` dependencies,
   together.
3. Else what the folder's notebooks and scripts import, or install by `%pip`.
4. Else, in a folder without code, the data-science preset.

Without an explicit spec, apt.txt gives Debian packages and .python-version the Python. A script (or
notebook) with a PEP 723 block runs in an environment of its own: the block gives its Python part, all
else is as above. Nothing is written and nothing is executed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from wardian.errors import SpecError
from wardian.project import declarations, grammar, presets
from wardian.project.document import Document, read_text
from wardian.project.read import PROJECT_FILE, SPEC_FILE, find_spec, project_name, read_document
from wardian.project.requirements import is_exported, read_requirements
from wardian.project.spec import Declared, PythonSpec, Spec, SystemSpec

REQUIREMENTS_FILE = "requirements.txt"
APT_FILE = "apt.txt"
VERSION_FILE = ".python-version"
# Declarations of other tools, which are named so that nobody wonders.
_UNREAD = ("environment.yml", "environment.yaml", "Pipfile", "setup.py", "setup.cfg", "poetry.lock")
_POETRY = ("tool", "poetry", "dependencies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A spec and where it comes from.

    `declared` is what its requirement files say. `sources` are sentences for people: what was read and
    inferred. `inputs` are absolute paths of files and folders: while each has the same modification time
    (or is still absent), detection would give the same. `document` is the explicit spec's, None where
    there is none. `script` is set where its PEP 723 block makes the Python part its own.
    """

    spec: Spec
    declared: Declared
    sources: tuple[str, ...]
    inputs: tuple[Path, ...]
    document: Document | None = None
    script: Path | None = None

    @property
    def preset(self) -> bool:
        """Whether the packages are nobody's wish, but the preset of an empty folder."""
        python = self.spec.python
        return self.document is None and python is not None and python.packages == presets.DATA_SCIENCE

    @property
    def inferred(self) -> tuple[str, ...]:
        """The requirements that nobody has written down: the folder's code imports them."""
        if self.document or self.script or self.spec.python is None or self.preset:
            return ()
        return self.spec.python.packages

    @property
    def lock_digest(self) -> str:
        """The digest that a lock of this detection carries."""
        return self.spec.lock_digest(self.declared)


def detect(folder: Path, script: Path | None = None, *, written: bool = True) -> Detection:
    """Find or infer the spec of `folder`, for running `script` where one is given.

    Without `written` it is inferred as if none were written. `script` is a `.py` file or a notebook,
    relative to the working directory or absolute; any other file is not looked into. Raises SpecError.
    """
    folder = folder.absolute()
    document = find_spec(folder) if written else None
    metadata = None if script is None else _script_metadata(script.absolute())
    if document is not None:
        found = _explicit(folder, document, with_python=metadata is None)
    else:
        found = _declared(folder, with_python=metadata is None)
    if script is None or metadata is None:
        return found
    return _for_script(found, script.absolute(), metadata)


def _candidates(folder: Path) -> tuple[Path, ...]:
    return (folder / SPEC_FILE, folder / PROJECT_FILE)


def _explicit(folder: Path, document: Document, *, with_python: bool) -> Detection:
    spec = read_document(document)
    declared = Declared()
    if spec.python and with_python:
        try:
            declared = read_requirements(folder, spec.python.requirements)
        except SpecError as error:
            raise _placed(error, folder, spec.python, document) from error
    where = "[tool.wardian] in pyproject.toml" if document.prefix else document.path.name
    return Detection(
        spec=spec,
        declared=declared,
        sources=(f"The spec is {where}.", *declared.notes),
        inputs=tuple(dict.fromkeys((*_candidates(folder), *declared.inputs))),
        document=document,
    )


def _placed(error: SpecError, folder: Path, python: PythonSpec, document: Document) -> SpecError:
    """Say where the spec names a requirement file that is none; other errors carry their own place."""
    for index, name in enumerate(python.requirements):
        path = os.path.normpath(folder / name)
        if not os.path.isfile(path) and error.message.startswith(f"cannot read {path}:"):
            return document.error(
                ("python", "requirements", index), error.message, hint="correct or remove the path"
            )
    return error


def _for_script(found: Detection, script: Path, metadata: declarations.ProjectTable) -> Detection:
    python = PythonSpec(version=metadata.requires_python, packages=metadata.dependencies or ())
    sentence = f"{script.name} has an environment of its own: {_asks(metadata)} (PEP 723)."
    return replace(
        found,
        spec=replace(found.spec, python=python),
        declared=Declared(),
        sources=(*found.sources, sentence),
        inputs=tuple(dict.fromkeys((*found.inputs, script))),
        script=script,
    )


def _script_metadata(script: Path) -> declarations.ProjectTable | None:
    if script.suffix == ".ipynb":
        from wardian.project.notebooks import read_notebook

        return declarations.read_script_metadata(script, read_notebook(script).cells)
    if script.suffix != ".py":
        return None
    try:
        text = read_text(script)
    except SpecError:
        return None  # whether the script can be run at all is not for detection to say
    return declarations.read_script_metadata(script, (text,))


def _declared(folder: Path, *, with_python: bool) -> Detection:
    sources: list[str] = []
    inputs = [*_candidates(folder), *(folder / name for name in (REQUIREMENTS_FILE, APT_FILE, VERSION_FILE))]
    system = SystemSpec(packages=_system(folder, sources))
    declared = Declared()
    python = PythonSpec()
    if with_python:
        python, declared = _python(folder, sources, inputs)
    spec = Spec(name=grammar.name_from(_name(folder) or folder.name), python=python, system=system)
    return Detection(
        spec=spec,
        declared=declared,
        sources=(*sources, *declared.notes),
        inputs=tuple(dict.fromkeys((*inputs, *declared.inputs))),
    )


def _name(folder: Path) -> str:
    try:
        return project_name(Document.read(folder / PROJECT_FILE))
    except SpecError:  # there is none; of what is broken, reading its dependencies tells
        return ""


def _system(folder: Path, sources: list[str]) -> tuple[str, ...]:
    if not _is_there(folder / APT_FILE):
        return ()
    packages = declarations.read_apt(folder / APT_FILE)
    sources.append(f"{APT_FILE} asks for {_count(packages, 'Debian package')}.")
    return packages


def _python(folder: Path, sources: list[str], inputs: list[Path]) -> tuple[PythonSpec, Declared]:
    project = declarations.read_project(folder / PROJECT_FILE) if _is_there(folder / PROJECT_FILE) else None
    version = _version(folder, sources)
    files: list[str] = []
    if _is_there(folder / REQUIREMENTS_FILE):
        # Were an export read as a wish, it would pin the very lock that it was made from.
        if is_exported(folder / REQUIREMENTS_FILE):
            sources.append(f"{REQUIREMENTS_FILE} is not read: wardian has exported it from a lock.")
        else:
            files.append(REQUIREMENTS_FILE)
    if project is not None and project.dependencies is not None:
        files.append(PROJECT_FILE)
        sources.append(f"{PROJECT_FILE} asks for {_asks(project)}.")
    elif project is not None:
        sources += project.notes
        version = version or project.requires_python
    if not files:
        return _inferred(folder, version, sources, inputs), Declared()
    declared = read_requirements(folder, files)
    if REQUIREMENTS_FILE in files:
        asked = read_requirements(folder, files[:1]).requirements
        sources.insert(0, f"{REQUIREMENTS_FILE} asks for {_count(asked, 'Python package')}.")
    return PythonSpec(version=version, requirements=tuple(files)), declared


def _version(folder: Path, sources: list[str]) -> str:
    if not _is_there(folder / VERSION_FILE):
        return ""
    version = declarations.read_python_version(folder / VERSION_FILE)
    sources.append(f"{VERSION_FILE} asks for Python {version or 'of any version'}.")
    return version


def _inferred(folder: Path, version: str, sources: list[str], inputs: list[Path]) -> PythonSpec:
    from wardian.project.imports import infer
    from wardian.project.tree import walk_tree

    tree = walk_tree(folder)
    inputs += [*tree.folders, *tree.files]
    sources += [f"{name} is not read." for name in _UNREAD if _is_there(folder / name)]
    if _is_there(folder / PROJECT_FILE) and Document.read(folder / PROJECT_FILE, prefix=_POETRY).table():
        sources.append(f"[{'.'.join(_POETRY)}] in {PROJECT_FILE} is not read.")
    inferred = infer(tree)
    if inferred.empty:
        sources += inferred.notes
        sources.append(
            "The folder declares nothing and holds no Python code: it gets the data-science preset."
        )
        return PythonSpec(version=version, packages=presets.DATA_SCIENCE)
    asked = _count(inferred.requirements, "Python package")
    sources.append(f"No file declares Python packages; the folder's code needs {asked}.")
    sources += inferred.notes
    return PythonSpec(version=version, packages=inferred.requirements)


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _asks(project: declarations.ProjectTable) -> str:
    python = f" and Python {project.requires_python}" if project.requires_python else ""
    return _count(project.dependencies or (), "Python package") + python


def _count(items: tuple[str, ...], noun: str) -> str:
    if not items:
        return f"no {noun}"
    named = ", ".join(items) if len(items) <= 12 else f"{', '.join(items[:12])} …"
    return f"{len(items)} {noun}{'s' if len(items) > 1 else ''} ({named})"
