"""A real environment and a real workbench, installed by uv, and notebooks that the driver executes there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from wardian.ecosystems.python.configured import read_indexes
from wardian.ecosystems.python.indexes import uv_environment
from wardian.project.configuration import read_configuration
from wardian.runtime.notebook.events import CellOutput, Follower, NotebookError, NotebookResult
from wardian.runtime.notebook.parameters import Value
from wardian.runtime.notebook.plan import NotebookRun, plan_notebook
from wardian.system.progress import Step

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(frozen=True)
class Installed:
    """The environment's and the workbench's folders."""

    environment: Path
    workbench: Path


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    indexes = read_indexes(read_configuration(os.environ), os.environ, prefix=Path(sys.prefix))
    environment = uv_environment(indexes, os.environ, str(folder / "cache"))

    def uv(*arguments: str | Path) -> None:
        program = Path(sys.executable).parent / "uv"
        result = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr

    here = Installed(environment=folder / "venv", workbench=folder / "workbench")
    uv("venv", "--python", sys.executable, here.environment)
    python = here.environment / "bin/python"
    needed = ("ipykernel", "nbclient", "nbconvert")
    uv("pip", "install", *indexes.arguments(), "--python", python, "--prefix", here.workbench, *needed)
    return here


class Recorder:
    """A Progress and a Step that keep what they were told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, title: str, *, total: int | None = None, unit: str = "") -> Step:
        self.lines.append(f"step {title} ({unit})")
        return self

    def message(self, text: str) -> None:
        self.lines.append(f"message {text}")

    def advance(self, amount: int = 1) -> None:
        self.lines.append(f"advance {amount}")

    def total(self, amount: int) -> None:
        self.lines.append(f"total {amount}")

    def note(self, text: str) -> None:
        self.lines.append(f"note {text}")

    def __enter__(self) -> Step:
        return self

    def __exit__(self, *exception: object) -> None:
        self.lines.append("end")


@dataclass
class Outcome:
    """What one run gave."""

    plan: NotebookRun
    status: int
    result: NotebookResult | None
    error: NotebookError | None
    progress: list[str]
    outputs: list[CellOutput] = field(default_factory=list)
    stderr: str = ""

    @property
    def failure(self) -> NotebookError:
        assert self.error is not None, self.result
        return self.error

    @property
    def success(self) -> NotebookResult:
        assert self.result is not None, (self.error, self.stderr)
        return self.result

    @property
    def executed(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.plan.executed.read_text())
        return document

    @property
    def page(self) -> str:
        return self.plan.page.read_text()

    def text_of(self, index: int) -> str:
        """Everything that the cell at `index` of the executed notebook printed or displayed as text."""
        texts = []
        for output in self.executed["cells"][index]["outputs"]:
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            texts.append("".join(text))
        return "".join(texts)


class Bench:
    """A project folder, and runs of its notebooks in a stand-in for the container."""

    def __init__(self, installed: Installed, folder: Path) -> None:
        self.installed = installed
        self.project = folder / "project"
        self.project.mkdir()
        self.home = folder / "root"
        (self.home / "opt/wardian").mkdir(parents=True)

    def write(self, *cells: str | dict[str, Any], name: str = "analysis.ipynb", **metadata: Any) -> Path:
        """Write a notebook; a text is a code cell."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document(cells, metadata)))
        return path

    def run(
        self,
        notebook: Path,
        *,
        parameters: dict[str, Value] | None = None,
        timeout: float | None = None,
        verbose: bool = False,
        output: Path | None = None,
        workbench: Path | None = None,
        signals: Sequence[tuple[str, int]] = (),
        after_plan: Callable[[NotebookRun], None] = lambda plan: None,
    ) -> Outcome:
        """Execute a notebook. `signals` are pairs of a text that a cell prints and what is sent then."""
        plan = plan_notebook(
            project=self.project,
            notebook=notebook,
            workbench=workbench or self.installed.workbench,
            python_version=VERSION,
            output=output,
            parameters=parameters,
            timeout=timeout,
            verbose=verbose or bool(signals),
        )
        after_plan(plan)
        return self._execute(plan, dict(signals))

    def _execute(self, plan: NotebookRun, signals: dict[str, int]) -> Outcome:
        progress, outputs = Recorder(), []
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "JUPYTER", "COV"))}
        environment["HOME"] = str(self.home)
        driver = subprocess.Popen(
            self._argv(plan), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, process_group=0
        )
        errors: list[bytes] = []
        assert driver.stderr is not None
        reader = threading.Thread(target=lambda stream: errors.append(stream.read()), args=[driver.stderr])
        reader.start()

        def heard(output: CellOutput) -> None:
            outputs.append(output)
            for text in [text for text in signals if text in output.text]:
                driver.send_signal(signals.pop(text))

        follower = Follower(plan, progress=progress, heard=heard)
        assert driver.stdout is not None
        follower.follow(driver.stdout)
        status = driver.wait(timeout=60)
        driver.stdout.close()
        reader.join()
        driver.stderr.close()
        result, error = None, None
        try:
            result = follower.conclude(status)
        except NotebookError as raised:
            error = raised
        return Outcome(plan, status, result, error, progress.lines, outputs, b"".join(errors).decode())

    def _argv(self, plan: NotebookRun) -> list[str]:
        """The plan's command, with the container's paths where this stand-in has them."""
        places = {"/opt/venv": self.installed.environment, "/work": self.project}
        for target, source in [*places.items(), *((bind.destination, bind.source) for bind in plan.binds)]:
            link = self.home / target.lstrip("/")
            link.unlink(missing_ok=True)
            link.symlink_to(source, target_is_directory=True)
        argv = [word.replace("/opt/", f"{self.home}/opt/") for word in plan.argv]
        return [word.replace("/work/", f"{self.home}/work/") for word in argv]


def document(cells: Sequence[str | dict[str, Any]], metadata: dict[str, Any]) -> dict[str, Any]:
    """A notebook of format 4.5."""
    full = [code(cell) if isinstance(cell, str) else cell for cell in cells]
    numbered = [{**cell, "id": f"cell-{number}"} for number, cell in enumerate(full)]
    return {"cells": numbered, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def code(source: str, *tags: str) -> dict[str, Any]:
    """A code cell with tags."""
    metadata = {"tags": list(tags)} if tags else {}
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": metadata,
        "outputs": [],
        "source": source,
    }


def markdown(source: str) -> dict[str, Any]:
    """A Markdown cell."""
    return {"cell_type": "markdown", "metadata": {}, "source": source}


@pytest.fixture
def bench(installed: Installed, tmp_path: Path) -> Bench:
    return Bench(installed, tmp_path)


INTERRUPT, TERMINATE, KILL = signal.SIGINT, signal.SIGTERM, signal.SIGKILL
