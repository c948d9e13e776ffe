"""Which folder is the project, what a script declares, and what a reading takes note of."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardian import Project, RunRequest
from wardian.api import declaration, targets, warm
from wardian.errors import FetchError, RunError, SpecError, StoreError
from wardian.project.declarations import _script_blocks
from wardian.project.detect import Detection, detect
from wardian.store.store import Store

from .conftest import SPEC

_ROOT = os.geteuid() == 0
_OTHER_USER = 65534


def test_the_nearest_spec_upwards(folder: Path) -> None:
    (folder / "a/b").mkdir(parents=True)
    assert Project.open(folder / "a/b").folder == folder
    (folder / "a/pyproject.toml").write_text("[tool.other]\n")
    assert Project.open(folder / "a/b").folder == folder
    (folder / "a/pyproject.toml").write_text("[tool.wardian]\n")
    assert Project.open(folder / "a/b").folder == folder / "a"


def test_a_project_here_is_none_above(folder: Path) -> None:
    (folder / "a").mkdir()
    project = Project.open(folder / "a", here=True)
    assert project.folder == folder / "a"
    assert project.initialize() == folder / "a/wardian.toml"
    assert Project.open(folder / "a").folder == folder / "a"
    assert (folder / "wardian.toml").read_text() == SPEC


@pytest.mark.skipif(not _ROOT, reason="optional: only root can give a file away")
@pytest.mark.parametrize("name", ["wardian.toml", "pyproject.toml"])
def test_another_users_spec_above_is_refused(folder: Path, name: str) -> None:
    below = folder / "a/b"
    below.mkdir(parents=True)
    (folder / "wardian.toml").unlink()
    (folder / name).write_text("[tool.wardian]\n" if name == "pyproject.toml" else "")
    os.chown(folder / name, _OTHER_USER, _OTHER_USER)
    with pytest.raises(SpecError) as caught:
        Project.open(below)
    assert caught.value.message == f"{folder}/{name}, above {below}, belongs to another user (id 65534)"
    assert caught.value.hint == f"write `wardian -C {folder}` if you trust it, else run `wardian init` here"
    assert Project.open(below, here=True).initialize() == below / "wardian.toml"
    (below / "wardian.toml").unlink()
    assert Project.open(folder).folder == folder  # who names the folder has asked for it
    (below / "wardian.toml").touch()
    assert Project.open(below).folder == below


@pytest.mark.skipif(not _ROOT, reason="optional: only root can give a file away")
def test_another_users_link_to_ones_own_spec_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "wardian.toml").symlink_to(folder / "wardian.toml")
    os.chown(tmp_path / "wardian.toml", _OTHER_USER, _OTHER_USER, follow_symlinks=False)
    (tmp_path / "mine").mkdir()
    with pytest.raises(SpecError, match="belongs to another user"):
        Project.open(tmp_path / "mine")


def test_a_pipe_above_is_no_spec(folder: Path) -> None:
    (folder / "wardian.toml").unlink()
    os.mkfifo(folder / "pyproject.toml")
    (folder / "a").mkdir()
    assert Project.open(folder / "a").folder == folder / "a"


# --- edits that cannot be locked ----------------------------------------------------------------------


def test_a_failed_edit_is_undone_to_the_byte(folder: Path, opened: Callable[..., Project]) -> None:
    text = b"\xef\xbb\xbf" + SPEC.replace("\n", "\r\n").encode()
    (folder / "wardian.toml").write_bytes(text)
    project = opened()
    before = project.spec
    with pytest.raises(FetchError):
        project.add(system=["file"])
    assert (folder / "wardian.toml").read_bytes() == text
    assert project.spec == before


@pytest.mark.parametrize("package", ["file", "tree"])  # an edit, and one that changes nothing
def test_what_others_write_meanwhile_stays(
    folder: Path, opened: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    def lock(self: object, **options: object) -> None:
        (folder / "wardian.toml").write_text("# theirs\n")
        raise FetchError("the archive is away")

    monkeypatch.setattr("wardian.api.preparation.Preparation.lock", lock)
    with pytest.raises(FetchError):
        opened().add(system=[package])
    assert (folder / "wardian.toml").read_text() == "# theirs\n"


def test_a_first_spec_that_cannot_be_locked_goes(
    folder: Path, opened: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "wardian.toml").unlink()
    project = opened()
    assert project.detection.document is None
    with pytest.raises(FetchError):
        project.add(system=["file"])
    assert not (folder / "wardian.toml").exists()
    (folder / "wardian.toml").write_text(SPEC)  # after it was read
    with pytest.raises(FetchError):
        project.add(system=["file"])
    assert (folder / "wardian.toml").read_text() == SPEC


# --- targets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "target", "hint"),
    [
        ("n.ipynb", "x.py", "for a command write"),  # their suffixes are alike, and no more
        ("n.py", "x.py", "for a command write"),
        ("analysis.ipynb", "analysis.py", "did you mean analysis.ipynb?"),
        ("train.py", "train", "did you mean train.py?"),
        ("training.py", "trainin.py", "did you mean training.py?"),
    ],
)
def test_what_a_target_may_have_meant(folder: Path, there: str, target: str, hint: str) -> None:
    (folder / there).touch()
    with pytest.raises(RunError) as caught:
        targets.resolve(targets.preview(str(folder), detect(folder).spec), RunRequest(target=target))
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)


# --- scripts with an environment of their own ---------------------------------------------------------

_LINES = st.sampled_from(
    ["# /// script", "# ///", "#", "# dependencies = []", "#x", "", " # ///", "# /// script ", "print()"]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(_LINES, max_size=8), end=st.sampled_from(["\n", "\r\n"]), mark=st.booleans())
def test_a_script_declares_what_the_reading_finds(
    tmp_path: Path, lines: list[str], end: str, mark: bool
) -> None:
    text = end.join(lines)
    (tmp_path / "a.py").write_bytes(text.encode("utf-8-sig" if mark else "utf-8"))
    found = targets.own_environment(str(tmp_path), RunRequest(target="a.py"))
    assert (found is not None) == bool(list(_script_blocks(text)))


@pytest.mark.parametrize(
    ("kind", "source", "declares"),
    [
        ("code", "# /// script\n# dependencies = []\n# ///\n", True),
        ("code", "# /// script\n# dependencies = []\n", False),
        ("markdown", "# /// script\n# ///\n", False),
        ("code", "text = '# /// script'\n", False),
        ("code", "# /// script\n# dependencies = [\n# ///\n", True),  # wrong, which detection says
    ],
)
def test_a_notebook_declares_in_its_code(tmp_path: Path, kind: str, source: str, declares: bool) -> None:
    cell = {"cell_type": kind, "metadata": {}, "source": source, "outputs": [], "execution_count": None}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    (tmp_path / "a.ipynb").write_text(json.dumps(notebook))
    found = targets.own_environment(str(tmp_path), RunRequest(target="a.ipynb"))
    assert (found is not None) is declares


# --- what is noted ------------------------------------------------------------------------------------


def test_a_folder_that_never_rests_is_read_a_few_times(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def restless(path: Path, script: Path | None) -> Detection:
        nonlocal count
        count += 1
        found = detect(path, script)
        (folder / "wardian.toml").write_text(f'name = "n{count}"\n')
        return found

    monkeypatch.setattr(declaration, "detect", restless)
    found, noted = declaration._detect(folder, None)
    assert count <= 4
    assert found.spec.name == f"n{count - 1}"
    path = str(folder / "wardian.toml")
    assert noted[path] != warm.state(path)  # so that the next run reads it again


def test_addresses_are_noted(folder: Path, opened: Callable[..., Project], tmp_path: Path) -> None:
    inputs = opened()._prepared().inputs
    configuration = tmp_path / ".config/wardian/config.toml"
    assert inputs[str(configuration)] is None
    assert "/etc/apt/sources.list.d" in inputs
    assert str(folder / "wardian.toml") in inputs
    configuration.parent.mkdir(parents=True)
    configuration.write_text("")
    assert opened()._prepared().inputs[str(configuration)] is not None


def test_a_run_keeps_prune_away(
    folder: Path, opened: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path / "store")

    def run(*_: object) -> int:
        with pytest.raises(StoreError, match="is in use"), store.exclusive():
            pass
        return 7

    monkeypatch.setattr(warm, "recall", lambda *_: {"folder": str(folder)})
    monkeypatch.setattr("wardian.api.running.run", run)
    assert opened().run(RunRequest(target=None, arguments=("true",))) == 7
    with store.exclusive():
        pass


def test_a_folder_whose_path_is_not_utf8_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"non\xffutf")
    folder.mkdir()
    for here in (False, True):
        with pytest.raises(SpecError) as caught:
            Project.open(folder, here=here)
        assert caught.value.message == (
            f"the path of the project folder {tmp_path}/non\\xffutf is not in UTF-8, "
            "so it cannot be handed to a container"
        )


def test_the_project_above_such_a_folder_is_opened(folder: Path) -> None:
    inner = folder / os.fsdecode(b"non\xffutf")
    inner.mkdir()
    assert Project.open(inner).folder == folder


def test_every_path_has_an_identity() -> None:
    names = ["/a", "/ä", os.fsdecode(b"/\xff"), os.fsdecode(b"/\xfe")]
    assert len({warm.identify(name) for name in names}) == 4
    assert warm.identify("/ä") == hashlib.sha256("/ä\0".encode()).hexdigest()[:24]
