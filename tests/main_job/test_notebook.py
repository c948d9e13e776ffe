"""Notebooks from the command line: failures that are shown, parameters, what is saved."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from .conftest import Bench
from .machine import expect, refused


def _write(bench: Bench, name: str, *cells: str | tuple[str, str]) -> Path:
    """A notebook of code cells; a tuple is a source and its tag."""
    made = []
    for number, cell in enumerate(cells):
        source, tags = (cell, []) if isinstance(cell, str) else (cell[0], [cell[1]])
        made.append(
            {
                "cell_type": "code", "id": f"c{number}", "metadata": {"tags": tags}, "outputs": [],
                "execution_count": None, "source": source,
            }
        )  # fmt: skip
    path = bench.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}
    path.write_text(json.dumps(content))
    bench.account.own(path)
    return path


def test_a_notebook_runs_and_is_saved(bench: Bench) -> None:
    _write(bench, "fine.ipynb", "import six; x = 6 * 7", "print(x)")
    expect(bench.wardian("run", "fine.ipynb"))
    executed = json.loads((bench.folder / "runs/fine.ipynb").read_text())
    assert executed["cells"][1]["outputs"][0]["text"] in ("42\n", ["42\n"])
    assert (bench.folder / "runs/fine.html").exists()
    assert (bench.folder / "runs/fine.html").stat().st_uid == bench.account.uid


def test_a_failing_cell_is_shown_and_what_ran_is_saved(bench: Bench) -> None:
    _write(bench, "bad.ipynb", "x = 1", "def divide():\n    return x / 0\n\ndivide()", "print('never')")
    result = bench.wardian("run", "bad.ipynb")
    assert result.returncode == 1
    said = result.stderr
    assert "cell 2 of 3:" in said
    assert "return x / 0" in said
    assert "ZeroDivisionError" in said
    assert "division by zero" in said
    assert said.index("cell 2 of 3:") < said.index("error: bad.ipynb")
    assert "\x1b[" not in said
    assert "saved as far as it ran: " in said
    executed = json.loads((bench.folder / "runs/bad.ipynb").read_text())
    assert executed["cells"][1]["outputs"][0]["ename"] == "ZeroDivisionError"
    assert executed["cells"][2]["execution_count"] is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_saves_what_was_executed(bench: Bench, number: signal.Signals) -> None:
    _write(bench, "long.ipynb", "print('first')", "open('ready', 'w').close()\nimport time; time.sleep(90)")
    ready = bench.folder / "ready"
    ready.unlink(missing_ok=True)
    process = bench.account.start("run", "long.ipynb", cwd=bench.folder)
    while not ready.exists() and process.poll() is None:
        time.sleep(0.05)  # the cell makes a file, which nothing tells us of
    process.send_signal(number)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 128 + number, said
    assert f"the notebook was interrupted in cell 2 of 2 ({number.name})" in said
    cells = json.loads((bench.folder / "runs/long.ipynb").read_text())["cells"]
    assert "first" in str(cells[0]["outputs"])
    assert cells[1]["outputs"][0]["ename"] == "KeyboardInterrupt"


def test_parameters_take_the_place_of_defaults(plain_bench: Bench) -> None:
    _write(plain_bench, "given.ipynb", ("size = 1\nname = 'a'", "parameters"), "print(size * 2, name)")
    expect(plain_bench.wardian("run", "-p", "size=21", "-p", "name=b c", "given.ipynb"))
    executed = (plain_bench.folder / "runs/given.ipynb").read_text()
    assert "42 b c" in executed


def test_results_go_where_they_are_asked_for(plain_bench: Bench) -> None:
    _write(plain_bench, "deep/inner.ipynb", "print('here')")
    expect(plain_bench.wardian("run", "deep/inner.ipynb"))
    assert (plain_bench.folder / "runs/deep/inner.ipynb").exists()
    expect(plain_bench.wardian("run", "--output", "elsewhere/place", "deep/inner.ipynb"))
    assert (plain_bench.folder / "elsewhere/place/inner.html").exists()


def test_a_module_that_is_missing_is_hinted_at(plain_bench: Bench) -> None:
    _write(plain_bench, "needs.ipynb", "import toolz")
    said = plain_bench.wardian("run", "needs.ipynb")
    assert said.returncode == 1
    assert "hint: add the package that has it, for example: wardian add toolz" in said.stderr


def test_what_is_no_notebook(plain_bench: Bench) -> None:
    (plain_bench.folder / "not.ipynb").write_text("this is no notebook")
    said = refused(plain_bench.wardian("run", "not.ipynb"))
    assert "not.ipynb" in said


def test_a_notebook_that_does_not_exist(plain_bench: Bench) -> None:
    said = refused(plain_bench.wardian("run", "absent.ipynb"))
    assert "absent.ipynb does not exist" in said


def test_the_workbench_is_no_part_of_the_image(plain_bench: Bench) -> None:
    _write(plain_bench, "fine.ipynb", "1")
    expect(plain_bench.wardian("run", "fine.ipynb"))
    image = plain_bench.account.build(plain_bench.folder)
    assert [part["name"] for part in image["reused"]] == ["base", "python"]
    said = plain_bench.wardian("run", "--", "python", "-c", "import nbclient").stderr
    assert "No module named 'nbclient'" in said
