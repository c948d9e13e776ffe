"""Files written whole, and folders removed whatever is in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wardian.errors import HostError
from wardian.system import files


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "a"
    files.write_atomic(path, "one")
    path.chmod(0o640)
    files.write_atomic(path, b"two", durable=True)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(HostError, match="cannot write"):
        files.write_atomic(tmp_path / "absent/a", "x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "a").write_text("one")
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write_atomic(tmp_path / "a", "two", durable=True)
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("a", "one")]


def test_a_closed_tree_is_removed(tmp_path: Path):
    folder = tmp_path / "tree"
    (folder / "closed/inner").mkdir(parents=True)
    (folder / "closed/inner/file").touch()
    (folder / "link").symlink_to(tmp_path)
    (folder / "closed/inner").chmod(0)
    (folder / "closed").chmod(0o500)
    files.remove_tree(folder)
    assert list(tmp_path.iterdir()) == []
    files.remove_tree(folder)  # which is not there any more


def test_a_tree_deeper_than_any_path_is_removed(tmp_path: Path):
    top = tmp_path / "deep"
    top.mkdir()
    descriptor = os.open(top, os.O_RDONLY)
    for _ in range(1200):  # 60 000 characters; Python recurses 1000 times
        os.mkdir("d" * 50, dir_fd=descriptor)
        inner = os.open("d" * 50, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    assert files.tree_bytes(top) == 0
    files.remove_tree(top)
    assert not top.exists()


def test_bytes_count_each_inode_once(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x" * 100)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/c").write_bytes(b"y" * 10)
    assert files.tree_bytes(tmp_path) == 110
