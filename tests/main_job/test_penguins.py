"""The example, as its README and ours tell users to run it: as root, and as a user with nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from .machine import REPOSITORY, Account, expect, locked

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def executed(account: Account, session_root: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The example's folder after its first command, and what that said; once for all workers."""
    folder = account.home / "projects/penguins"
    told = session_root / f"penguins-{account.name}.json"
    with locked(session_root / f"penguins-{account.name}.lock"):
        if not told.exists():
            account.project("penguins")
            for name in ("penguins.ipynb", "predict.py", "wardian.toml"):
                shutil.copyfile(REPOSITORY / "examples/penguins" / name, folder / name)
            account.own(folder)
            result = expect(account.wardian("run", "penguins.ipynb", cwd=folder))
            told.write_text(json.dumps([result.args, result.returncode, result.stdout, result.stderr]))
    return folder, subprocess.CompletedProcess(*json.loads(told.read_text()))


def test_the_classifier_is_accurate(executed: tuple[Path, object]) -> None:
    metrics = json.loads((executed[0] / "results/metrics.json").read_text())
    assert metrics["penguins"] == 342
    assert 0.9 <= metrics["accuracy"] <= 1


def test_the_tree_is_a_picture_with_its_nodes(executed: tuple[Path, object]) -> None:
    picture = ElementTree.parse(executed[0] / "results/tree.svg").getroot()
    svg = "{http://www.w3.org/2000/svg}"
    assert picture.tag == f"{svg}svg"
    nodes = [group for group in picture.iter(f"{svg}g") if group.get("class") == "node"]
    leaves = json.loads((executed[0] / "results/metrics.json").read_text())["leaves"]
    assert len(nodes) == 2 * leaves - 1  # a binary tree's
    labels = "".join(text.text or "" for text in picture.iter(f"{svg}text"))
    assert all(species in labels for species in ("Adelie", "Chinstrap", "Gentoo"))


@pytest.mark.parametrize("name", ["bills.png", "confusion.png"])
def test_the_plots_are_pictures(executed: tuple[Path, object], name: str) -> None:
    data = (executed[0] / "results" / name).read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(data) > 5_000


def test_the_executed_notebook_and_its_page_are_saved(executed: tuple[Path, object]) -> None:
    folder = executed[0]
    notebook = json.loads((folder / "runs/penguins.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and cell["source"]]
    assert code
    assert all(cell["execution_count"] for cell in code)
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    page = (folder / "runs/penguins.html").read_text()
    assert "<html" in page
    assert "data:image/png;base64," in page
    original = json.loads((REPOSITORY / "examples/penguins/penguins.ipynb").read_text())
    assert json.loads((folder / "penguins.ipynb").read_text()) == original


def test_all_that_was_made_belongs_to_the_invoking_user(
    account: Account, executed: tuple[Path, object]
) -> None:
    made = list(executed[0].rglob("*"))
    assert len(made) > 10
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in made} == {(account.uid, account.gid)}


def test_progress_is_told_without_a_terminal(
    executed: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    result = executed[1]
    assert result.stdout == ""
    assert "penguins.ipynb: done in" in result.stderr
    assert "saved " in result.stderr
    assert "\x1b[" not in result.stderr


def test_the_tasks_work_on_what_the_notebook_left(account: Account, executed: tuple[Path, object]) -> None:
    folder = executed[0]
    words = ["--bill-length", "39", "--bill-depth", "18", "--flipper-length", "190", "--body-mass", "3700"]
    assert expect(account.wardian("run", "predict", *words, cwd=folder)).stdout.startswith("Adelie (")
    shown = json.loads(expect(account.wardian("run", "metrics", cwd=folder)).stdout)
    assert shown["penguins"] == 342


def test_a_parameter_changes_the_result(
    account: Account, executed: tuple[Path, object], folder_name: str
) -> None:
    folder = account.project(f"{folder_name}-{account.name}")
    for name in ("penguins.ipynb", "wardian.toml", "wardian.lock"):
        shutil.copyfile(executed[0] / name, folder / name)
    account.own(folder)
    words = ["-p", "max_depth=1", "--output", "shallow", "penguins.ipynb"]
    expect(account.wardian("run", *words, cwd=folder))
    assert json.loads((folder / "results/metrics.json").read_text())["leaves"] == 2
    assert (folder / "shallow/penguins.ipynb").exists()
    assert not (folder / "runs").exists()


def test_building_again_does_nothing(account: Account, executed: tuple[Path, object]) -> None:
    image = account.build(executed[0])
    assert image["built"] == []
    assert [part["name"] for part in image["reused"]] == ["base", "system", "python"]
