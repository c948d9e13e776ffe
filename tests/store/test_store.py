"""The store: whose it is, what it says of its version, who holds it, what half of a snapshot is worth."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from wardian.errors import StoreError
from wardian.store import snapshots, usage
from wardian.store.snapshots import Snapshot
from wardian.store.store import Store

SNAPSHOT = Snapshot(name="base", key="ab" * 20, bytes=3, seconds=0.5)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def test_a_new_store_is_its_owners_alone(tmp_path: Path) -> None:
    Store.open(tmp_path / "a/new")
    assert (tmp_path / "a/new").stat().st_mode & 0o777 == 0o700
    (tmp_path / "there").mkdir(mode=0o755)
    Store.open(tmp_path / "there")
    assert (tmp_path / "there").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("text", [b"one\n", b"\xff\xfe", b"-1", "²".encode(), b"9" * 5000, b"1.5"])
def test_a_version_that_is_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "version").write_bytes(text)
    with pytest.raises(StoreError, match="is damaged: its file `version` holds no number"):
        Store.open(tmp_path)
    assert (tmp_path / "version").read_bytes() == text


def test_a_version_that_is_newer(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("02\n")
    with pytest.raises(StoreError, match=r"written by a newer wardian \(layout 2, this one knows 1\)"):
        Store.open(tmp_path)
    assert os.listdir(tmp_path) == ["version"]


def test_folders(store: Store) -> None:
    assert store.content("abcd").is_relative_to(store.contents())
    assert store.image("x").parent == store.images()
    assert store.contents().is_dir()
    assert store.images().is_dir()


def test_many_use_a_store_and_one_has_it_alone(store: Store) -> None:
    refusal = pytest.raises(StoreError, match="is in use: a build or a run is under way")
    with store.use(), store.use(), refusal, store.exclusive():
        pass
    with store.exclusive():
        with pytest.raises(StoreError, match="is in use"), store.exclusive():
            pass
        waited, entered = threading.Event(), threading.Event()

        def use() -> None:
            with store.use(waiting=waited.set):
                entered.set()

        thread = threading.Thread(target=use)
        thread.start()
        assert waited.wait(10)
        assert not entered.is_set()
    thread.join(10)
    assert entered.is_set()


def test_use_ends_with_the_process(store: Store) -> None:
    program = (
        "import os, sys\nfrom wardian.store import usage\n"
        "usage.shared(sys.argv[1])\nprint('held', flush=True)\nsys.stdin.read()\nos.kill(os.getpid(), 9)\n"
    )
    with store.use():
        pass  # there is a store
    command = [sys.executable, "-c", program, str(store.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(StoreError), store.exclusive():
            pass
    with store.exclusive():
        assert process.returncode == -9


def test_there_is_no_use_of_no_store(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        usage.shared(str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_a_lock_whose_file_is_taken_away_is_made_anew(store: Store) -> None:
    path = store.root / "locks/name"
    seen: list[bool] = []
    with store.lock("name"):
        taken = threading.Event()

        def wait() -> None:
            with store.lock("name", waiting=taken.set):
                seen.append(path.exists())

        thread = threading.Thread(target=wait)
        thread.start()
        assert taken.wait(10)
        path.unlink()
    thread.join(10)
    assert seen == [True]


def test_a_snapshot_is_found_when_it_is_whole(store: Store) -> None:
    assert snapshots.find(store, SNAPSHOT.key) is None
    with store.temporary() as folder:
        (folder / "new/root").mkdir(parents=True)
        snapshots.commit(store, folder / "new", SNAPSHOT)
    assert snapshots.find(store, SNAPSHOT.key) == SNAPSHOT


@pytest.mark.parametrize("record", [None, b"", b"{", b"[]", b"\xff", b'{"name": "base"}', b'{"other": 1}'])
def test_half_a_snapshot_is_built_again(store: Store, record: bytes | None) -> None:
    """As a loss of power leaves it: the folder is there, what was in it is not."""
    target = store.snapshot(SNAPSHOT.key)
    (target / "root/closed").mkdir(parents=True)
    (target / "root/old").touch()
    (target / "root/closed").chmod(0)
    if record is not None:
        (target / "snapshot.json").write_bytes(record)
    assert snapshots.find(store, SNAPSHOT.key) is None
    with store.temporary() as folder:
        (folder / "new/root").mkdir(parents=True)
        (folder / "new/root/file").touch()
        snapshots.commit(store, folder / "new", SNAPSHOT)
    assert snapshots.find(store, SNAPSHOT.key) == SNAPSHOT
    assert os.listdir(target / "root") == ["file"]
    assert not os.listdir(store.root / "temporary")
