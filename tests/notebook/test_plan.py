from __future__ import annotations

import ast
from pathlib import Path

import pytest

import wardian.runtime.notebook.plan as module
from wardian.errors import RunError
from wardian.runtime.notebook.events import Follower, NotebookError
from wardian.runtime.notebook.plan import Bind, choose_output, locate_notebook, plan_notebook
from wardian.system.progress import Silent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.ipynb").touch()
    (folder / "deep/b c.ipynb").touch()
    return folder


def test_plan(project: Path, tmp_path: Path) -> None:
    plan = plan_notebook(
        project=project,
        notebook=project / "deep/b c.ipynb",
        workbench=tmp_path,
        python_version="3.13.5",
        parameters={"x": [1]},
        timeout=2,
        verbose=True,
        events=3,
    )
    assert plan.name == "deep/b c.ipynb"
    assert plan.executed == project / "runs/deep/b c.ipynb"
    assert plan.page == project / "runs/deep/b c.html"
    assert plan.executed.parent.is_dir()
    assert plan.argv[:5] == ("/opt/venv/bin/python", "-I", "-X", "pycache_prefix=/var/cache/pycache", "-c")
    assert plan.argv[6:] == (
        "/work/deep/b c.ipynb",
        "--name=deep/b c.ipynb",
        "--output=/opt/wardian/output/b c.ipynb",
        "--html=/opt/wardian/output/b c.html",
        "--workbench=/opt/workbench/lib/python3.13/site-packages",
        "--events=3",
        '--parameters={"x": [1]}',
        "--timeout=2",
        "--verbose",
    )
    driver = Path(module.__file__).parent / "driver"
    assert plan.binds == (
        Bind(source=tmp_path, destination="/opt/workbench"),
        Bind(source=driver, destination="/opt/wardian/notebook_driver"),
        Bind(source=project / "runs/deep", destination="/opt/wardian/output", read_only=False),
    )


def test_output_folder(project: Path, tmp_path: Path) -> None:
    assert choose_output(project, Path("deep/b.ipynb"), tmp_path / "out") == tmp_path / "out/b.ipynb"


def test_output_would_replace_the_notebook(project: Path) -> None:
    with pytest.raises(RunError) as caught:
        choose_output(project, Path("a.ipynb"), project / "deep/..")
    assert caught.value.message == "the executed notebook would replace the notebook a.ipynb itself"
    assert caught.value.hint == "choose another folder with --output"


def test_results_stay_in_the_project(project: Path, tmp_path: Path) -> None:
    (project / "runs").symlink_to("deep")
    assert choose_output(project, Path("a.ipynb"), None) == project / "runs/a.ipynb"
    for target in ("..", tmp_path, tmp_path / "nowhere"):
        (project / "runs").unlink()
        (project / "runs").symlink_to(target)
        with pytest.raises(
            RunError, match="/runs, where results go, leads out of the project, to "
        ) as caught:
            choose_output(project, Path("a.ipynb"), None)
        assert caught.value.hint == "name a folder with --output"
    assert not (tmp_path / "nowhere").exists()
    assert choose_output(project, Path("a.ipynb"), tmp_path / "out") == tmp_path / "out/a.ipynb"
    (project / "runs").unlink()
    (project / "runs").symlink_to("runs")
    assert choose_output(project, Path("a.ipynb"), None).name == "a.ipynb"  # the folder cannot be made


def test_output_is_a_file(project: Path, tmp_path: Path) -> None:
    (project / "runs").touch()
    with pytest.raises(RunError, match=r"cannot make the folder .*/runs for results: File exists"):
        plan_notebook(
            project=project, notebook=project / "a.ipynb", workbench=tmp_path, python_version="3.13"
        )


def test_notebook_does_not_exist(project: Path) -> None:
    with pytest.raises(RunError, match=r"the notebook .*/no\.ipynb does not exist"):
        locate_notebook(project, project / "no.ipynb")


def test_notebook_is_a_folder(project: Path) -> None:
    with pytest.raises(RunError, match=r"deep is no file, so it cannot be executed as a notebook"):
        locate_notebook(project, project / "deep")


def test_notebook_outside_the_project(project: Path, tmp_path: Path) -> None:
    (tmp_path / "c.ipynb").touch()
    with pytest.raises(RunError) as caught:
        locate_notebook(project, tmp_path / "c.ipynb")
    assert caught.value.message == f"the notebook {tmp_path}/c.ipynb lies outside the project {project}"
    assert caught.value.hint == f"run it with -C {tmp_path}"


def test_symbolic_link_out_of_the_project(project: Path, tmp_path: Path) -> None:
    (tmp_path / "c.ipynb").touch()
    (project / "link.ipynb").symlink_to(tmp_path / "c.ipynb")
    with pytest.raises(RunError, match="lies outside the project"):
        locate_notebook(project, project / "link.ipynb")


@pytest.mark.parametrize(
    "path", sorted((Path(module.__file__).parent / "driver").glob("*.py")), ids=lambda p: p.name
)
def test_driver_is_python_3_9(path: Path) -> None:
    """The image's Python may be that old, though wardian's own may not."""
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in imported if name.startswith("wardian")]


@pytest.mark.parametrize(
    ("status", "kind", "ends"), [(143, "interrupted", 143), (-2, "interrupted", 130), (137, "lost", 1)]
)
def test_a_run_that_a_signal_ends_before_it_says_anything(
    tmp_path: Path, status: int, kind: str, ends: int
) -> None:
    (tmp_path / "a.ipynb").touch()
    run = plan_notebook(
        project=tmp_path, notebook=tmp_path / "a.ipynb", workbench=tmp_path, python_version="3.13"
    )
    with pytest.raises(NotebookError) as caught:
        Follower(run, progress=Silent()).conclude(status)
    assert (caught.value.kind, caught.value.exit_status) == (kind, ends)
