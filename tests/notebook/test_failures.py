"""What a run gives when something is wrong: the message, the exit status, and what is saved."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from wardian.runtime.notebook.plan import NotebookRun

from .conftest import INTERRUPT, KILL, TERMINATE, VERSION, Bench, code, markdown

pytestmark = pytest.mark.network

STUBBORN = """
import time
print('ready', flush=True)
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        pass
"""


def test_failing_cell(bench: Bench) -> None:
    outcome = bench.run(
        bench.write("x = 0", markdown("# Now"), "def half():\n    return 1 / x\nhalf()", "print(1)")
    )
    error = outcome.failure
    assert outcome.status == 1
    assert error.exit_status == 1
    assert error.kind == "cell"
    assert error.message == "analysis.ipynb: cell 2 of 3 failed: ZeroDivisionError: division by zero"
    assert error.hint is None
    assert error.cell is not None
    assert (error.cell.number, error.cell.index, error.cell.count) == (2, 2, 3)
    assert error.cell.source == "def half():\n    return 1 / x\nhalf()"
    assert (error.cell.ename, error.cell.evalue) == ("ZeroDivisionError", "division by zero")
    assert "\x1b[" in error.cell.traceback
    assert "half" in error.cell.traceback
    assert error.executed == bench.project / "runs/analysis.ipynb"
    assert error.page == bench.project / "runs/analysis.html"
    cells = outcome.executed["cells"]
    assert cells[2]["outputs"][0]["output_type"] == "error"
    assert cells[3]["outputs"] == []
    assert "ZeroDivisionError" in outcome.page
    assert outcome.progress[-3:] == ["note cell 2 of 3: def half():", "advance 1", "end"]


def test_the_message_has_the_first_line_of_a_long_text(bench: Bench) -> None:
    error = bench.run(bench.write("raise ValueError('a table:\\n' + 'x' * 1_000_000)")).failure
    assert error.message.endswith("cell 1 of 1 failed: ValueError: a table: …")
    assert error.cell is not None
    assert len(error.cell.evalue) > 1_000_000
    error = bench.run(bench.write("raise ValueError('x' * 1_000_000)")).failure
    assert error.message.endswith(f"ValueError: {'x' * 300} …")


def test_an_exception_without_a_text(bench: Bench) -> None:
    """The kernel fails where it answers: no answer comes, and the run may not wait for it."""
    source = "class E(Exception):\n    def __str__(self): raise E()\nraise E()"
    outcome = bench.run(bench.write("print('before')", source, "print('after')"))
    error = outcome.failure
    assert (outcome.status, error.kind) == (1, "no-answer")
    assert error.message == "analysis.ipynb: the kernel gave no answer to cell 2 of 3"
    assert error.hint == "look at what the cell raises: making its text must not fail"
    assert "in __str__" in error.detail
    assert outcome.text_of(0) == "before\n"


def test_missing_module(bench: Bench) -> None:
    error = bench.run(bench.write("import no_such_module.deep")).failure
    assert error.message.endswith("ModuleNotFoundError: No module named 'no_such_module'")
    assert error.hint == "add the package that has it, for example: wardian add no_such_module"


def test_question(bench: Bench) -> None:
    error = bench.run(bench.write("input('Name? ')")).failure
    assert error.cell is not None
    assert error.cell.ename == "StdinNotImplementedError"
    assert error.hint == "give the value as a parameter (-p NAME=VALUE)"


def test_time_out(bench: Bench) -> None:
    outcome = bench.run(bench.write("print('begun', flush=True)\nimport time\ntime.sleep(60)"), timeout=1)
    error = outcome.failure
    assert (outcome.status, error.kind) == (1, "timeout")
    assert error.message == "analysis.ipynb: cell 1 of 1 took longer than 1 s"
    assert error.hint == "allow more with a longer time-out, or make the cell do less"
    assert error.cell is not None
    assert error.cell.ename == "KeyboardInterrupt"
    assert "sleep" in error.cell.traceback
    assert outcome.text_of(0).startswith("begun\n")


def test_time_out_of_a_cell_that_does_not_heed_it(bench: Bench) -> None:
    outcome = bench.run(bench.write(STUBBORN), timeout=1)
    assert outcome.failure.kind == "timeout"
    assert outcome.text_of(0) == "ready\n"


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        (
            "import os; os.kill(os.getpid(), 9)",
            "the kernel was killed in cell 2 of 3",
            "memory ran out, most likely: allow more, or load less data at once",
        ),
        (
            "import os; os.kill(os.getpid(), 11)",
            "the kernel crashed (SIGSEGV) in cell 2 of 3",
            "a compiled package crashed: look at the code that the cell calls",
        ),
        (
            "import os; os._exit(7)",
            "the kernel died (exit status 7) in cell 2 of 3",
            "take calls of os._exit() out of the notebook",
        ),
        (
            "import os; os._exit(0)",
            "the kernel ended in cell 2 of 3",
            "take calls of exit() and quit() out of the notebook",
        ),
    ],
    ids=["killed", "crashed", "died", "ended"],
)
def test_kernel_that_dies(bench: Bench, source: str, message: str, hint: str) -> None:
    outcome = bench.run(bench.write("print('before')", source, "print('after')"))
    error = outcome.failure
    assert (outcome.status, error.kind) == (1, "kernel-died")
    assert error.message == f"analysis.ipynb: {message}"
    assert error.hint == hint
    assert outcome.text_of(0) == "before\n"
    assert error.page is not None


@pytest.mark.parametrize(("number", "name"), [(INTERRUPT, "SIGINT"), (TERMINATE, "SIGTERM")])
def test_signal(bench: Bench, number: int, name: str) -> None:
    source = "import os, time\nprint('process', os.getpid(), flush=True)\ntime.sleep(60)"
    outcome = bench.run(bench.write("1", source, "2"), signals=[("process", number)])
    error = outcome.failure
    assert outcome.status == error.exit_status == 128 + number
    assert error.kind == "interrupted"
    assert error.message == f"analysis.ipynb: the notebook was interrupted in cell 2 of 3 ({name})"
    assert error.cell is not None
    assert error.cell.ename == "KeyboardInterrupt"
    assert outcome.executed["cells"][1]["outputs"][-1]["ename"] == "KeyboardInterrupt"
    assert error.page is not None
    assert outcome.stderr == ""
    process = outcome.text_of(1).split()[1]
    assert not Path("/proc", process).exists()


def test_signal_to_a_cell_that_does_not_heed_it(bench: Bench) -> None:
    outcome = bench.run(bench.write("print('kept')", STUBBORN), signals=[("ready", INTERRUPT)])
    assert outcome.status == 130
    assert outcome.failure.kind == "interrupted"
    assert outcome.text_of(0) == "kept\n"


def test_signal_before_the_first_cell_keeps_an_earlier_result(bench: Bench) -> None:
    startup = bench.home / ".ipython/profile_default/startup/00.py"
    startup.parent.mkdir(parents=True)
    startup.write_text(f"import os, time\nos.kill(os.getppid(), {TERMINATE})\ntime.sleep(60)")
    results = [bench.project / "runs" / name for name in ("analysis.ipynb", "analysis.html")]
    results[0].parent.mkdir()
    for path in results:
        path.write_text("earlier")
    outcome = bench.run(bench.write("1"))
    assert outcome.status == 143
    assert outcome.failure.message == "analysis.ipynb: the notebook was interrupted (SIGTERM)"
    assert outcome.failure.executed is None
    assert [path.read_text() for path in results] == ["earlier", "earlier"]


def test_driver_that_is_killed(bench: Bench) -> None:
    """As when the whole container runs out of memory."""
    source = (
        "import os\nprint('process', os.getpid(), flush=True)\nos.read(0, 1)\nimport time\ntime.sleep(60)"
    )
    outcome = bench.run(bench.write(source), signals=[("process", KILL)])
    error = outcome.failure
    os.kill(int(outcome.outputs[0].text.split()[1]), KILL)  # the container would have taken it along
    assert error.kind == "lost"
    assert error.message == "analysis.ipynb: the run ended in cell 1 without a result (exit status -9)"
    assert error.hint == "memory ran out, most likely: allow more, or load less data at once"
    assert (error.executed, error.page) == (None, None)


VALID = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no notebook: the file is empty"),
        (b" \n", "no notebook: the file is empty"),
        (b"print('a script')\n", "no notebook: no JSON at line 1, column 1 (Expecting value)"),
        (b'{"cells": [', "no notebook: no JSON at line 1, column 12 (Expecting value)"),
        (b"[1, 2]", "no notebook: JSON without the key 'nbformat'"),
        (b'{"a": 1}', "no notebook: JSON without the key 'nbformat'"),
        (b'{"nbformat": true}', "no notebook: JSON without the key 'nbformat'"),
        (b'{"nbformat": 9}', "notebook format 9, and formats up to 4 are known"),
        (b"\xff\xfe{\x00}\x00", "no notebook: not UTF-8"),
        (b"[" * 200_000, "no notebook: its JSON is nested too deeply"),
        (b'{"nbformat": 4}', "no valid notebook: "),
        (b'{"nbformat": 3}', "no valid notebook: "),
        (json.dumps({**VALID, "cells": [{"cell_type": "cod"}]}).encode(), "no valid notebook: "),
        (json.dumps({**VALID, "cells": {"a": 1}}).encode(), "no valid notebook: "),
    ],
)
def test_what_is_no_notebook(bench: Bench, content: bytes, message: str) -> None:
    notebook = bench.project / "analysis.ipynb"
    notebook.write_bytes(content)
    outcome = bench.run(notebook)
    error = outcome.failure
    assert (outcome.status, error.kind) == (1, "invalid")
    assert error.message.startswith(f"analysis.ipynb: {message}")
    assert "\n" not in error.message
    assert error.hint == "open it in Jupyter and save it again as a notebook (.ipynb)"
    assert (error.cell, error.executed, error.page) == (None, None, None)
    assert list((bench.project / "runs").iterdir()) == []
    assert outcome.stderr == ""


@pytest.mark.parametrize(
    ("metadata", "foreign"),
    [
        ({"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}, "in R"),
        ({"language_info": {"name": "julia"}}, "in julia"),
        ({"kernelspec": {"name": "julia-1.11", "display_name": "Julia"}}, "for the kernel 'julia-1.11'"),
    ],
)
def test_other_languages(bench: Bench, metadata: dict[str, Any], foreign: str) -> None:
    error = bench.run(bench.write("x <- 1", **metadata)).failure
    assert error.kind == "language"
    assert error.message == f"analysis.ipynb: written {foreign}, and only Python notebooks can be executed"
    assert error.hint == "choose a Python kernel for the notebook in Jupyter and save it"


def test_nothing_to_execute(bench: Bench) -> None:
    error = bench.run(bench.write(markdown("# Words"), "  \n", code("1", "skip-execution"))).failure
    assert error.kind == "empty"
    assert error.message == "analysis.ipynb: no code cell to execute"
    assert error.hint == "save the notebook in your editor, then run it again"


def test_impossible_parameter(bench: Bench) -> None:
    error = bench.run(bench.write("1"), parameters={"import": 1}).failure
    assert error.kind == "parameters"
    assert error.message == "analysis.ipynb: the parameter name 'import' is no Python name"


def test_result_that_cannot_be_saved(bench: Bench) -> None:
    def obstruct(plan: NotebookRun) -> None:
        plan.executed.mkdir(parents=True)

    error = bench.run(bench.write("1"), after_plan=obstruct).failure
    assert error.kind == "output"
    assert error.message == "analysis.ipynb: cannot save the executed notebook: Is a directory"
    assert [path.name for path in (bench.project / "runs").iterdir()] == ["analysis.ipynb"]


def test_page_that_cannot_be_saved(bench: Bench) -> None:
    outcome = bench.run(bench.write("1"), after_plan=lambda plan: plan.page.mkdir(parents=True))
    assert outcome.success.page is None
    assert outcome.success.warnings[0].startswith("no HTML was written: IsADirectoryError")


@pytest.fixture
def partial(bench: Bench, tmp_path: Path) -> tuple[Path, Path]:
    """A workbench to be made incomplete: links to all that is in the real one."""
    packages = Path("lib", f"python{VERSION}", "site-packages")
    folder = tmp_path / "partial"
    (folder / packages).mkdir(parents=True)
    for entry in (bench.installed.workbench / packages).iterdir():
        (folder / packages / entry.name).symlink_to(entry)
    return folder, folder / packages


def test_workbench_without_nbclient(bench: Bench, partial: tuple[Path, Path]) -> None:
    (partial[1] / "nbclient").unlink()
    error = bench.run(bench.write("1"), workbench=partial[0]).failure
    assert error.kind == "workbench"
    assert error.message == "analysis.ipynb: the workbench lacks a module: No module named 'nbclient'"


def test_kernel_that_does_not_start(bench: Bench, partial: tuple[Path, Path]) -> None:
    (partial[1] / "ipykernel").unlink()
    outcome = bench.run(bench.write("1"), workbench=partial[0])
    error = outcome.failure
    assert (outcome.status, error.kind) == (1, "kernel-start")
    assert error.message.startswith("analysis.ipynb: the notebook's kernel does not start: ")
    assert error.detail.endswith("ModuleNotFoundError: No module named 'ipykernel'")
    assert (error.executed, error.page) == (None, None)
