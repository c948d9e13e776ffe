"""What prune takes, what it leaves, and when it does nothing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from wardian.api.pruning import prune
from wardian.build import image as images
from wardian.errors import StoreError
from wardian.store import snapshots
from wardian.store.snapshots import Snapshot
from wardian.store.store import Store

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def add_snapshot(store: Store, key: str) -> Path:
    with store.temporary() as folder:
        (folder / "new/root").mkdir(parents=True)
        (folder / "new/root/file").write_text("text")
        snapshots.commit(store, folder / "new", Snapshot(name="base", key=key, bytes=4, seconds=1.0))
    return store.snapshot(key)


def add_image(store: Store, project: Path, identity: str, *layers: str, age: float = 0.0) -> Path:
    for key in layers:
        add_snapshot(store, key)
    record = images.Record(
        key="k",
        name=identity,
        platform="linux/amd64",
        layers=layers,
        beside=(),
        project=str(project),
        identity=identity,
        created=images.now(),
    )
    images.write_record(store, record)
    launch = store.project(identity) / "launch.json"
    launch.write_text("{}")
    os.utime(launch, (time.time() - age, time.time() - age))
    return store.image(identity)


def keep_root(store: Store, identity: str, name: str, *layers: str) -> Path:
    folder = store.kept(identity, name)
    (folder / "upper").mkdir(parents=True)
    (folder / "upper/work").write_text("of a week")
    (folder / "layers.json").write_text(json.dumps([str(store.snapshot(key) / "root") for key in layers]))
    return folder


def names(store: Store) -> set[str]:
    return {path.name for path in (store.root / "snapshots").iterdir()}


def test_images_of_projects_that_are_gone_go(store: Store, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    there = add_image(store, tmp_path / "there", "there", "shared", "mine")
    gone = add_image(store, tmp_path / "gone", "gone", "shared", "other")
    dry = prune(store.root, dry_run=True)
    assert (there.exists(), gone.exists(), names(store)) == (True, True, {"shared", "mine", "other"})
    assert prune(store.root) == dry
    assert {item.name for item in dry.removed} == {
        f"image gone of {tmp_path}/gone",
        "byte code and settings of gone",
        "part other",
    }
    assert (there.exists(), gone.exists(), names(store)) == (True, False, {"shared", "mine"})
    assert not (store.root / "projects/gone").exists()
    assert not os.listdir(store.root / "temporary")


def test_nothing_is_pruned_while_something_is_in_use(store: Store, tmp_path: Path) -> None:
    gone = add_image(store, tmp_path / "gone", "gone", "a")
    with store.use():
        with pytest.raises(StoreError, match="a build or a run is under way") as caught:
            prune(store.root, everything=True)
        assert caught.value.exit_status == 1
        assert caught.value.hint
        assert prune(store.root, everything=True, dry_run=True).removed
    assert gone.exists()
    assert names(store) == {"a"}


@pytest.mark.parametrize(
    ("exists", "age", "options", "kept"),
    [
        (True, 40 * DAY, {}, True),
        (True, 40 * DAY, {"older_than": 30 * DAY}, True),
        (True, 0.0, {"everything": True}, False),
        (False, 40 * DAY, {}, True),
        (False, 40 * DAY, {"older_than": 30 * DAY}, False),
        (False, 0.0, {"older_than": 30 * DAY}, True),
        (False, 0.0, {"everything": True}, False),
    ],
)
def test_kept_roots_are_peoples_work(
    store: Store, tmp_path: Path, exists: bool, age: float, options: dict[str, float], kept: bool
) -> None:
    project = tmp_path / "project"
    if exists:
        project.mkdir()
    add_image(store, project, "p", "now", age=age)
    add_snapshot(store, "then")
    root = keep_root(store, "p", "trial", "then")
    prune(store.root, **options)  # type: ignore[arg-type]
    assert (root / "upper/work").exists() is kept
    assert store.snapshot("then").exists() is kept  # it stands on that
    prune(store.root)
    assert (root / "upper/work").exists() is kept


def test_kept_roots_of_which_nothing_is_known_stay(store: Store) -> None:
    add_snapshot(store, "then")
    root = keep_root(store, "unknown", "trial", "then")
    (store.root / "kept/unknown/other").mkdir()
    (store.root / "kept/unknown/other/layers.json").write_text("")
    prune(store.root, older_than=0)
    assert (root / "upper/work").exists()
    assert names(store) == {"then"}
    prune(store.root, everything=True)
    assert not root.exists()


@pytest.mark.parametrize("text", ["", '["/a', "null"])
def test_what_a_damaged_kept_root_may_stand_on_stays(store: Store, text: str) -> None:
    add_snapshot(store, "then")
    (keep_root(store, "p", "trial", "then") / "layers.json").write_text(text)
    prune(store.root, older_than=0)
    assert names(store) == {"then"}


@pytest.mark.skipif(os.geteuid() == 0, reason="optional: root may look everywhere")
def test_a_project_that_cannot_be_looked_at_is_not_gone(store: Store, tmp_path: Path) -> None:
    (tmp_path / "closed/project").mkdir(parents=True)
    (tmp_path / "closed").chmod(0)
    record = add_image(store, tmp_path / "closed/project", "p", "a")
    prune(store.root)
    (tmp_path / "closed").chmod(0o755)
    assert record.exists()


@pytest.mark.parametrize("text", ["", "{", '{"layers": []}', '{"of": "a newer version"}'])
def test_what_an_unreadable_record_may_need_stays(store: Store, tmp_path: Path, text: str) -> None:
    record = add_image(store, tmp_path / "project", "p", "a")
    record.write_text(text)
    root = keep_root(store, "p", "trial", "a")
    (store.contents() / "ab").mkdir()
    assert prune(store.root, older_than=0).removed == ()
    assert (store.root / "projects/p/launch.json").exists()
    prune(store.root, everything=True)
    assert not record.exists()
    assert not root.exists()
    assert names(store) == set()


def test_locks_of_what_is_no_more_go(store: Store, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    add_image(store, tmp_path / "there", "there", "mine")
    for name in ("mine", "other", "toolbox-x"):
        with store.lock(name):
            pass
    with store.lock("held"):
        prune(store.root)
        assert set(os.listdir(store.root / "locks")) == {"use", "mine", "held"}
