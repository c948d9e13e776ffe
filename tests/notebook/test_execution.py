"""What a run gives when all goes well: by the driver itself, in a real environment."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import Bench, code, markdown

pytestmark = pytest.mark.network

# One transparent pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_FETCHED = re.compile(r"""(?:src|href)\s*=\s*["']?https?:|import\(["']?https?:|@import""")


def test_run(bench: Bench) -> None:
    notebook = bench.write(
        markdown("# Title"),
        "# Count\nfor number in range(3):\n    print(number, flush=True)",
        "6 * 7",
        "",
        code("never = 1", "skip-execution"),
        code("raise ValueError('expected')", "raises-exception"),
        "import sys\nprint('error', file=sys.stderr)\nprint('out')",
    )
    before = notebook.read_bytes()
    outcome = bench.run(notebook)
    result = outcome.success
    assert outcome.status == 0
    assert outcome.stderr == ""
    assert notebook.read_bytes() == before
    assert result.notebook == "analysis.ipynb"
    assert result.executed == bench.project / "runs/analysis.ipynb"
    assert result.page == bench.project / "runs/analysis.html"
    assert [(cell.number, cell.index, cell.title) for cell in result.cells] == [
        (1, 1, "Count"),
        (2, 2, "6 * 7"),
        (3, 5, "raise ValueError('expected')"),
        (4, 6, "import sys"),
    ]
    assert all(cell.succeeded and 0 <= cell.seconds < 60 for cell in result.cells)
    assert result.seconds > 0
    assert (result.warnings, result.fetched) == ((), ())
    cells = outcome.executed["cells"]
    assert [output["output_type"] for output in cells[1]["outputs"]] == ["stream"]
    assert outcome.text_of(1) == "0\n1\n2\n"
    assert outcome.text_of(2) == "42"
    assert [cell.get("execution_count") for cell in cells] == [None, 1, 2, None, None, 3, 4]
    assert outcome.executed["metadata"]["language_info"]["name"] == "python"
    assert sorted(path.name for path in (bench.project / "runs").iterdir()) == [
        "analysis.html",
        "analysis.ipynb",
    ]
    assert outcome.outputs == []  # nobody asked for them
    assert outcome.progress == [
        "step analysis.ipynb (cells)",
        "note starting Python",
        "total 4",
        "note cell 1 of 4: Count",
        "advance 1",
        "note cell 2 of 4: 6 * 7",
        "advance 1",
        "note cell 3 of 4: raise ValueError('expected')",
        "advance 1",
        "note cell 4 of 4: import sys",
        "advance 1",
        "end",
    ]


def test_page_stands_alone(bench: Bench) -> None:
    (bench.project / "pixel.png").write_bytes(PNG)
    notebook = bench.write(
        markdown("# Pixels for $5\n\n![one](pixel.png)"),
        "from IPython.display import Image, SVG, display\ndisplay(Image('pixel.png'))",
        'display(SVG(\'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\'))',
    )
    outcome = bench.run(notebook)
    assert outcome.success.fetched == ()
    assert outcome.page.count(base64.b64encode(PNG).decode()) == 2
    assert "<title>analysis</title>" in outcome.page
    assert "Pixels for $5" in outcome.page
    assert not _FETCHED.search(outcome.page)


@pytest.mark.parametrize(
    ("cell", "fetched"),
    [
        (markdown("Euler: $e^{i\\pi} = -1$"), ("mathjax",)),
        ("from IPython.display import Latex\nLatex('$x$')", ("mathjax",)),
        ("from IPython.display import HTML\nHTML('<script>require([\"x\"], f)</script>')", ("requirejs",)),
        (markdown("```mermaid\ngraph TD; A-->B\n```"), ("mermaid",)),
    ],
    ids=["markdown", "latex", "requirejs", "mermaid"],
)
def test_page_that_needs_a_script(bench: Bench, cell: str, fetched: tuple[str, ...]) -> None:
    outcome = bench.run(bench.write(cell, "1"))
    assert outcome.success.fetched == fetched
    assert _FETCHED.search(outcome.page)


def test_places_and_paths(bench: Bench) -> None:
    """The kernel is the project's Python in the notebook's folder; the workbench comes last."""
    (bench.project / "deep").mkdir()
    (bench.project / "deep/neighbour.py").write_text("name = 'beside'")
    # Modules of the project must not take the place of what the driver and the kernel import.
    for name in ("nbformat", "tornado", "json"):
        (bench.project / "deep" / f"{name}.py").write_text("raise SystemExit('imported')")
    notebook = bench.write(
        "import os, sys, neighbour, IPython\n"
        "site = [p for p in sys.path if p.endswith('site-packages')]\n"
        "[neighbour.name, os.getcwd(), sys.prefix, site, os.environ.get('JUPYTER_PATH'), IPython.__file__]",
        "repr(sys.stdin.read())",
        name="deep/places.ipynb",
    )
    outcome = bench.run(notebook)
    assert outcome.success.notebook == "deep/places.ipynb"
    name, folder, prefix, site, jupyter, ipython = eval(outcome.text_of(0))
    assert name == "beside"
    assert Path(folder) == bench.project / "deep"
    assert Path(prefix).resolve() == bench.installed.environment.resolve()
    assert [Path(path).parents[2].name for path in site] == ["venv", "workbench"]
    assert jupyter is None
    assert "/workbench/" in ipython
    assert outcome.plan.executed == bench.project / "runs/deep/places.ipynb"


def test_verbose(bench: Bench) -> None:
    outcome = bench.run(bench.write("print('one')", "print('x' * 200_000)", "3"), verbose=True)
    assert outcome.success
    told = [(output.number, output.stream, output.text) for output in outcome.outputs]
    assert told[0] == (1, "stdout", "one\n")
    assert "".join(text for number, _, text in told if number == 2) == "x" * 200_000 + "\n"
    assert told[-1] == (3, "result", "3\n")


def test_parameters(bench: Bench) -> None:
    notebook = bench.write(
        markdown("# Parameters"),
        code("year = 2020\nregion = 'north'", "parameters"),
        "print(year, region, extra)",
    )
    outcome = bench.run(notebook, parameters={"year": 2024, "extra": {"a": [1.5, None, float("inf")]}})
    assert outcome.success.warnings == ("the cell tagged 'parameters' sets no 'extra'",)
    assert "message analysis.ipynb: the cell tagged 'parameters' sets no 'extra'" in outcome.progress
    injected = outcome.executed["cells"][2]
    assert injected["metadata"]["tags"] == ["injected-parameters"]
    assert "".join(injected["source"]) == (
        "# Parameters\nyear = 2024\nextra = {'a': [1.5, None, float(\"inf\")]}"
    )
    assert outcome.text_of(3) == "2024 north {'a': [1.5, None, inf]}\n"

    # An executed notebook is run again: the earlier values make place.
    again = bench.project / "again.ipynb"
    again.write_bytes(outcome.plan.executed.read_bytes())
    outcome = bench.run(again, parameters={"year": 2025, "extra": 1, "yaer": 0})
    assert outcome.success.warnings[1] == "the cell tagged 'parameters' sets no 'yaer'; did you mean 'year'?"
    assert len(outcome.executed["cells"]) == 4
    assert outcome.text_of(3) == "2025 north 1\n"


def test_parameters_without_a_cell_for_them(bench: Bench) -> None:
    notebook = bench.write("print(x)")
    document = json.loads(notebook.read_text())
    document["nbformat_minor"] = 4  # cells had no ids
    del document["cells"][0]["id"]
    notebook.write_text(json.dumps(document))
    outcome = bench.run(notebook, parameters={"x": "it's"})
    assert outcome.success.warnings == (
        "the notebook has no cell tagged 'parameters': the values are set at its top",
    )
    assert "id" not in outcome.executed["cells"][0]
    assert outcome.text_of(1) == "it's\n"


def test_old_notebook_is_upgraded(bench: Bench) -> None:
    cell = {"cell_type": "code", "input": ["print('old')"], "language": "python", "outputs": []}
    old = {"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": [cell]}]}
    notebook = bench.project / "old.ipynb"
    notebook.write_text(json.dumps(old))
    outcome = bench.run(notebook)
    assert outcome.success
    assert outcome.executed["nbformat"] == 4
    assert outcome.text_of(0) == "old\n"


@pytest.mark.parametrize("kernel", [{"name": "my-env", "language": "python"}, {"name": "conda-env-x-py"}, {}])
def test_any_python_kernel_is_the_projects_own(bench: Bench, kernel: dict[str, str]) -> None:
    metadata: dict[str, Any] = {"kernelspec": {"display_name": "x", **kernel}} if kernel else {}
    assert bench.run(bench.write("1", **metadata)).success


def test_display_that_is_updated(bench: Bench) -> None:
    notebook = bench.write("handle = display('first', display_id=True)", "handle.update('second')")
    outcome = bench.run(notebook)
    assert outcome.success
    assert outcome.text_of(0) == "'second'"


def test_earlier_result_is_replaced(bench: Bench, tmp_path: Path) -> None:
    notebook = bench.write("print('new')")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/analysis.ipynb").write_text("earlier")
    outcome = bench.run(notebook, output=tmp_path / "out")
    assert outcome.success.executed == tmp_path / "out/analysis.ipynb"
    assert outcome.text_of(0) == "new\n"
