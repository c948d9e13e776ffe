"""The verbs that need no network, through the whole of wardian."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def folder(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "a.py").write_text("import pandas\n", encoding="utf-8")
    return project


def test_init_writes_what_was_detected_once(invoke, folder):
    outcome = invoke("-C", str(folder), "init")
    assert outcome.status == 0
    assert outcome.out.endswith(f"\nwrote {folder}/wardian.toml\n")
    assert 'packages = ["pandas"]' in (folder / "wardian.toml").read_text(encoding="utf-8")
    again = invoke("-C", str(folder), "init")
    assert again.status == 1
    assert again.err == (
        f"error: {folder}/wardian.toml holds a spec already\n\nhint: edit it, or overwrite it with --force\n"
    )
    (folder / "wardian.toml").write_text("not = [toml", encoding="utf-8")  # it need not even be readable
    forced = invoke("-C", str(folder), "init", "--force")
    assert (forced.status, forced.out) == (0, outcome.out)


def test_init_writes_where_it_is_called(invoke, folder):
    invoke("-C", str(folder), "init")
    above = (folder / "wardian.toml").read_bytes()
    (folder / "sub").mkdir()
    for words in ((), ("--force",)):
        outcome = invoke("-C", f"{folder}/sub", "init", *words)
        assert (outcome.status, outcome.out.splitlines()[-1:]) == (0, [f"wrote {folder}/sub/wardian.toml"])
    assert (folder / "wardian.toml").read_bytes() == above


@pytest.mark.parametrize("words", [("build",), ("run", "x"), ("load", "x")])
def test_a_current_folder_that_is_gone(invoke, tmp_path, monkeypatch, words):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    outcome = invoke(*words)
    assert (outcome.status, outcome.err) == (
        1,
        "error: the current folder is no longer there\n\nhint: change to one that is\n",
    )


def test_a_missing_lock_is_stale(invoke, folder):
    outcome = invoke("lock", "--check", "--json", "-C", str(folder))
    assert outcome.status == 1
    assert json.loads(outcome.out)["error"] == {
        "kind": "StaleLockError",
        "message": f"there is no {folder}/wardian.lock",
        "hint": "run `wardian lock`",
    }


def test_a_wrong_spec_names_its_line(invoke, folder):
    (folder / "wardian.toml").write_text('name = "a"\npython = 3\n', encoding="utf-8")
    outcome = invoke("-C", str(folder), "build")
    assert outcome.status == 1
    assert outcome.err.startswith(f"error: {folder}/wardian.toml:2: ")
    assert outcome.out == ""


def test_a_folder_that_is_not_there(invoke, folder):
    outcome = invoke("-C", f"{folder}/nowhere", "build")
    assert outcome.status == 1
    assert f"{folder}/nowhere" in outcome.err
