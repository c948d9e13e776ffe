"""Runs notebooks headless: prepares the workbench, starts the driver, follows what it tells."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.errors import RunError
from wardian.runtime import launch, sandbox
from wardian.runtime.notebook.events import CellOutput, Follower
from wardian.runtime.notebook.parameters import parse_parameters
from wardian.runtime.notebook.plan import NotebookRun, locate_notebook, plan_notebook

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator

    from wardian.api.preparation import Preparation
    from wardian.api.request import RunRequest


def run_notebook(preparation: Preparation, request: RunRequest) -> int:
    """Execute the notebook that `request` names and save it beside an HTML page.

    Raises NotebookError with the failing cell, and RunError for a notebook that cannot be run at all.
    """
    notebook = Path(request.directory or preparation.folder, str(request.target))
    locate_notebook(preparation.folder, notebook)
    if request.arguments:
        raise RunError(
            f"{request.target} takes no arguments", hint="set its parameters with -p NAME=VALUE before it"
        )
    parameters = parse_parameters([f"{name}={value}" for name, value in request.parameters.items()])
    if preparation.detection.spec.python is None:
        raise RunError(
            f"{request.target} needs Python, which this project does not have",
            hint="add a [python] table to the spec",
        )
    preparation.build(workbench=True)
    lock = preparation.current(workbench=True)
    root = preparation.bench_root(lock)
    assert lock.python is not None
    assert root is not None
    planned = plan_notebook(
        project=preparation.folder,
        notebook=notebook,
        workbench=root,
        python_version=lock.python.interpreter.version,
        output=Path(request.output).absolute() if request.output else None,
        parameters=parameters,
        verbose=request.verbose,
    )
    return _execute(preparation, request, planned)


def _execute(preparation: Preparation, request: RunRequest, planned: NotebookRun) -> int:
    workshop, tell = preparation.workshop, preparation.workshop.progress.message
    record = preparation.record()
    binds = [(str(bind.source), bind.destination, bind.read_only) for bind in planned.binds]
    command = launch.Command(
        planned.argv,
        environment=request.environment,
        mounts=[*request.volumes, *binds],
        network=request.network == "host",
        root=request.root,
        keep=request.keep,
        memory=request.memory,
        cpus=request.cpus,
    )

    def heard(output: CellOutput) -> None:
        tell(output.text.rstrip("\n"))

    refusal: list[bytes] = []
    follower = Follower(planned, progress=workshop.progress, heard=heard)
    config = launch.configure(record, command, workshop.environment)
    with launch.prepared(str(workshop.store.root), record, command, tell) as (root, folder):
        with sandbox.start(record["runtime"], config, root, Path(folder)) as process, _passing_on(process):
            assert process.stdout is not None
            follower.follow(_events(process.stdout, refusal))
        sandbox.check_refusal(Path(folder), b"".join(refusal).decode(errors="replace"))
    result = follower.conclude(process.returncode)
    pages = [path for path in (result.executed, result.page) if path]
    tell(f"saved {' and '.join(map(str, pages))}")
    return 0


@contextlib.contextmanager
def _passing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Hand the signals that would end this process to the driver, which saves what there is and ends.

    It heeds a terminal's Ctrl-C once, which has reached it already. What is ignored stays so.
    """
    actions = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    actions = {number: action for number, action in actions.items() if action is not signal.SIG_IGN}
    for number in actions:
        signal.signal(number, lambda number, _: process.send_signal(number))
    try:
        yield
    finally:
        for number, action in actions.items():
            signal.signal(number, action)


def _events(lines: Iterable[bytes], others: list[bytes]) -> Iterator[bytes]:
    """Pass lines on; those that are no event, which tell why there is no container, go to `others` too."""
    for line in lines:
        if not line.startswith(b"{"):
            others.append(line)
        yield line
