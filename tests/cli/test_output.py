"""Files that verbs write: whole or not at all, and in nobody's place."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from wardian.cli import output
from wardian.cli.session import Session
from wardian.errors import HostError


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(folder=str(tmp_path), environment={}, quiet=False, verbose=False)


def told(session: Session, path: Path, capsys: pytest.CaptureFixture[str]) -> bool:
    session.tell_of_output(str(path))
    return "lies in the project: the next image has it too" in capsys.readouterr().err


def test_what_is_written_into_a_project_is_told(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "inner").mkdir()
    inner = Session(folder=f"{tmp_path}/inner", environment={}, quiet=False, verbose=False)
    assert not told(inner, tmp_path / "x", capsys)  # nothing says that this is a project
    (tmp_path / "wardian.toml").touch()
    assert told(inner, tmp_path / "x", capsys)
    assert told(inner, tmp_path / "inner/x", capsys)
    assert not told(inner, tmp_path.parent / "x", capsys)
    (tmp_path / "wardian.toml").unlink()
    session.project()
    assert told(session, tmp_path / "inner/x", capsys)


def write(session: Session, *, force: bool = False, come: Path | None = None) -> None:
    with output.binary("x", session, force=force) as file:
        file.write(b"ours")
        if come:
            come.write_text("theirs")


def refuse(*words: object, **options: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_that_comes_meanwhile_stays(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        monkeypatch.setattr(os, "link", refuse)
    write(session)
    assert (tmp_path / "x").read_text() == "ours"
    (tmp_path / "x").unlink()
    with pytest.raises(HostError, match="x is there already"):
        write(session, come=tmp_path / "x")
    assert (tmp_path / "x").read_text() == "theirs"
    write(session, force=True, come=tmp_path / "x")
    assert (tmp_path / "x").read_text() == "ours"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_one_that_comes_at_the_last_moment_stays(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def come_then_link(*words: str, **options: bool) -> None:
        (tmp_path / "x").write_text("theirs")
        link(*words, **options)

    monkeypatch.setattr(os, "link", come_then_link)
    with pytest.raises(HostError, match="x is there already"):
        write(session)
    assert (tmp_path / "x").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("words", [("save",), ("export", "oci"), ("export", "requirements")])
def test_the_empty_name_is_not_standard_output(invoke, tmp_path: Path, words: tuple[str, ...]) -> None:
    outcome = invoke("-C", str(tmp_path), *words, "-o", "")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith(f"error: wardian {words[0]}: -o/--output: the empty name is no file's\n")
