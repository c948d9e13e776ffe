"""What a run's words mean: a notebook, a script, a task or a command. Runs nothing.

On the start-up path of every run.
"""

from __future__ import annotations

import os

from wardian.errors import RunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wardian.api.request import RunRequest
    from wardian.project.spec import Spec

_METADATA = b"# /// script"  # the first line of inline metadata (PEP 723)
_END = b"# ///"


def is_notebook(request: RunRequest) -> bool:
    """Whether the target is a notebook."""
    return bool(request.target and request.target.endswith(".ipynb"))


def own_environment(folder: str, request: RunRequest) -> str | None:
    """The script's path, absolute, if the target is one that declares an environment of its own."""
    if not request.target or not request.target.endswith((".py", ".ipynb")):
        return None
    path = os.path.join(request.directory or folder, request.target)
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError:
        return None
    if _METADATA not in text:
        return None
    return path if (_notebook_declares(path) if is_notebook(request) else _declares(text)) else None


def _declares(text: bytes) -> bool:
    """Whether a script has a whole block, as project/declarations.py reads it, which costs 20 ms to load."""
    is_open = False
    for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        line = line.removesuffix(b"\r")
        if is_open and line == _END:
            return True
        is_open = line == _METADATA or (is_open and (line == b"#" or line.startswith(b"# ")))
    return False


def _notebook_declares(path: str) -> bool:
    from pathlib import Path

    from wardian.errors import SpecError
    from wardian.project.declarations import read_script_metadata
    from wardian.project.notebooks import read_notebook

    try:
        return read_script_metadata(Path(path), read_notebook(Path(path)).cells) is not None
    except SpecError:
        return True  # who prepares that environment says what is wrong


def preview(folder: str, spec: Spec) -> dict[str, Any]:
    """What of a launch record says whether a target exists, before there is a record."""
    tasks: dict[str, Any] = {name: {"plain": (), "more": (), "env": {}} for name in spec.tasks}
    return {"folder": folder, "tasks": tasks, "python": spec.python is not None}


def resolve(record: Mapping[str, Any], request: RunRequest) -> tuple[list[str], dict[str, str]]:
    """The arguments to execute and the variables that a task sets; raises RunError for an unknown target."""
    target, arguments = request.target, list(request.arguments)
    if request.parameters:
        raise RunError(
            "only notebooks take parameters (-p)", hint="give a script its arguments behind its name"
        )
    if target is None:
        return arguments, {}
    if task := record["tasks"].get(target):
        # Where a command line places further arguments is the spec's affair (Task.argv).
        return ([*task["more"], *arguments] if arguments else task["plain"]), task["env"]
    path = os.path.join(request.directory or record["folder"], target)
    if target.endswith(".py"):
        if not os.path.isfile(path):
            raise RunError(f"the script {target} does not exist", hint=_near(record, request, target))
        if not record["python"]:
            raise RunError(
                f"{target} needs Python, which this project does not have", hint="add a [python] table"
            )
        return ["python", inside(record, path), *arguments], {}
    if os.path.isfile(path) and os.access(path, os.X_OK):
        return [inside(record, path), *arguments], {}
    raise RunError(f"there is no task, script or notebook {target!r}", hint=_near(record, request, target))


def inside(record: Mapping[str, Any], path: str) -> str:
    """Where a file or folder of the project is inside; raises RunError for one outside of it."""
    # The folder's own path has no links; what is named by one that has is the same file.
    folder, name = os.path.split(os.path.abspath(path))
    relative = os.path.relpath(os.path.join(os.path.realpath(folder), name), record["folder"])
    if relative == os.curdir:
        return "/work"
    if relative.split(os.sep, 1)[0] == os.pardir:
        raise RunError(
            f"{path} lies outside the project {record['folder']}",
            hint="mount its folder with -v, and run it by `--`",
        )
    return f"/work/{relative}"


def _near(record: Mapping[str, Any], request: RunRequest, target: str) -> str:
    from difflib import SequenceMatcher

    def likeness(name: str) -> float:
        return SequenceMatcher(None, _stem(target), _stem(name)).ratio()

    folder = request.directory or record["folder"]
    known = [*record["tasks"], *(name for name in os.listdir(folder) if name.endswith((".py", ".ipynb")))]
    if near := sorted((name for name in known if likeness(name) >= 0.6), key=likeness, reverse=True)[:3]:
        return f"did you mean {' or '.join(near)}?"
    return f"for a command write `wardian run -- {target} …`; for a task add it to [tasks]"


def _stem(name: str) -> str:
    """A name by which files are likened: suffixes alone make x.py and n.py alike."""
    return name.removesuffix(".py").removesuffix(".ipynb")
