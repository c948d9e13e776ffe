"""What to run in the container for a notebook: values for whoever starts containers. Starts nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path

from wardian.errors import RunError
from wardian.runtime.launch import BYTECODE
from wardian.runtime.notebook.parameters import Value

_PYTHON = "/opt/venv/bin/python"
_PROJECT = "/work"
_WORKBENCH = "/opt/workbench"
_DRIVER = "/opt/wardian/notebook_driver"
_OUTPUT = "/opt/wardian/output"

# Isolated (-I), so that neither the project's modules nor PYTHONPATH take the place of what the driver
# imports; the kernel, which the driver starts, is not.
_START = (
    "import sys; sys.path.append('/opt/wardian'); "
    "from notebook_driver.main import main; sys.exit(main(sys.argv[1:]))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A folder of the host and where the container sees it."""

    source: Path
    destination: str
    read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookRun:
    """A notebook's execution, ready to be started.

    `argv` runs with the project at /work, needs no terminal and no input, and writes events to the
    descriptor `events`, and nothing else to it; the working directory is of no importance.
    `executed` and `page` are the files that it will write, on the host.
    """

    name: str
    argv: tuple[str, ...]
    binds: tuple[Bind, ...]
    events: int
    executed: Path
    page: Path


def plan_notebook(
    *,
    project: Path,
    notebook: Path,
    workbench: Path,
    python_version: str,
    output: Path | None = None,
    parameters: Mapping[str, Value] | None = None,
    timeout: float | None = None,
    verbose: bool = False,
    events: int = 1,
) -> NotebookRun:
    """How to execute `notebook`, which lies in `project`.

    `workbench` is the folder to be mounted at /opt/workbench, `python_version` the environment's
    (`3.13` or `3.13.5`), `output` the folder for results instead of `runs`, `timeout` the seconds that
    one cell may take, `verbose` whether events tell what cells print. Makes the output folder. Raises
    RunError.
    """
    relative = locate_notebook(project, notebook)
    executed = choose_output(project, relative, output)
    _make_folder(executed.parent)
    page = executed.with_suffix(".html")
    # Isolated, Python does not see where byte code is kept, unless it is told.
    argv = [_PYTHON, "-I", "-X", f"pycache_prefix={BYTECODE}", "-c", _START]
    argv += [f"{_PROJECT}/{relative}", f"--name={relative}"]
    argv += [f"--output={_OUTPUT}/{executed.name}", f"--html={_OUTPUT}/{page.name}"]
    argv += [f"--workbench={_site_packages(python_version)}", f"--events={events}"]
    argv += [f"--parameters={json.dumps(dict(parameters))}"] if parameters else []
    argv += [f"--timeout={timeout}"] if timeout is not None else []
    argv += ["--verbose"] if verbose else []
    binds = (
        Bind(source=workbench, destination=_WORKBENCH),
        Bind(source=Path(__file__).parent / "driver", destination=_DRIVER),
        Bind(source=executed.parent, destination=_OUTPUT, read_only=False),
    )
    return NotebookRun(
        name=str(relative), argv=tuple(argv), binds=binds, events=events, executed=executed, page=page
    )


def locate_notebook(project: Path, notebook: Path) -> Path:
    """The notebook's path relative to the project; raises RunError when it is not in there."""
    if not notebook.exists():
        raise RunError(f"the notebook {notebook} does not exist", hint="look at the path and its spelling")
    if not notebook.is_file():
        raise RunError(f"{notebook} is no file, so it cannot be executed as a notebook")
    try:
        return notebook.resolve().relative_to(project.resolve())
    except ValueError as error:
        message = f"the notebook {notebook} lies outside the project {project}"
        raise RunError(message, hint=f"run it with -C {notebook.parent}") from error


def choose_output(project: Path, relative: Path, output: Path | None) -> Path:
    """Where the executed notebook goes: `runs` mirrors the project, a folder that was named does not.

    A later run takes the place of an earlier one. Raises RunError when it would replace the notebook, or
    when `runs` leads out of the project, which may come from anybody.
    """
    folder = project / "runs" / relative.parent if output is None else output
    if output is None and not Path(realpath(folder)).is_relative_to(realpath(project)):
        message = f"{folder}, where results go, leads out of the project, to {realpath(folder)}"
        raise RunError(message, hint="name a folder with --output")
    executed = folder / relative.with_suffix(".ipynb").name
    if realpath(executed) == realpath(project / relative):
        message = f"the executed notebook would replace the notebook {relative} itself"
        raise RunError(message, hint="choose another folder with --output")
    return executed


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make the folder {folder} for results: {error.strerror}"
        raise RunError(message, hint="choose another folder with --output") from error


def _site_packages(python_version: str) -> str:
    major, minor = python_version.split(".")[:2]
    return f"{_WORKBENCH}/lib/python{major}.{minor}/site-packages"
