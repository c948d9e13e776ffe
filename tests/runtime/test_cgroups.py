"""Limits by cgroups: version 1 for real where this machine has it, version 2 on folders made up."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from wardian.runtime.cgroups import find_places, limited

_UNIT = "user.slice/user@1000.service"


def make_host(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


def unified(*handing: tuple[str, str], own: str, writable: tuple[str, ...]) -> dict[str, str]:
    """A version 2 tree. A folder is as good as closed where its cgroup.procs is missing."""
    return {
        "proc/self/cgroup": f"0::/{own}\n",
        "sys/fs/cgroup/cgroup.controllers": "cpu memory pids",
        **{f"sys/fs/cgroup/{folder}/cgroup.subtree_control": names for folder, names in handing},
        **{f"sys/fs/cgroup/{folder}/cgroup.procs": "" for folder in writable},
    }


def test_the_nearest_cgroup_that_hands_all_controllers_down(tmp_path: Path) -> None:
    tree = unified(
        ("", "cpu memory"),
        (_UNIT, "cpu memory pids"),
        (f"{_UNIT}/app.slice", "memory"),
        (f"{_UNIT}/app.slice/a.scope", ""),
        own=f"{_UNIT}/app.slice/a.scope",
        writable=("", _UNIT, f"{_UNIT}/app.slice", f"{_UNIT}/app.slice/a.scope"),
    )
    host = make_host(tmp_path, tree)
    top = f"{host}/sys/fs/cgroup/{_UNIT}"
    for wanted, parent in ((("memory", "cpu"), top), (("memory",), f"{top}/app.slice"), (("cpu",), top)):
        (place,), refused = find_places(wanted, host)
        assert (place.version, place.parent, place.controllers) == (2, parent, wanted)
        assert place.own == f"{top}/app.slice/a.scope"
        assert not refused


@pytest.mark.parametrize(
    ("writable", "possible"),
    [
        ((), ()),
        (("a.slice/b.scope",), ()),
        (("a.slice",), ()),
        (("a.slice", "a.slice/b.scope"), ("memory",)),
    ],
)
def test_what_no_writable_cgroup_hands_down_is_refused(
    tmp_path: Path, writable: tuple[str, ...], possible: tuple[str, ...]
) -> None:
    tree = unified(("", "cpu memory"), ("a.slice", "memory"), own="a.slice/b.scope", writable=writable)
    (tmp_path / "sys/fs/cgroup/a.slice/b.scope").mkdir(parents=True)
    places, refused = find_places(("memory", "cpu"), make_host(tmp_path, tree))
    assert tuple(name for place in places for name in place.controllers) == possible
    assert set(refused) == {"memory", "cpu"} - {*possible}


def test_controllers_of_one_hierarchy_share_a_place(tmp_path: Path) -> None:
    host = make_host(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,memory:/a\n1:name=systemd:/\n0::/\n",
            "sys/fs/cgroup/cpu,memory/a/cgroup.procs": "",
        },
    )
    (place,), refused = find_places(("memory", "cpu"), host)
    assert (place.version, place.controllers, refused) == (1, ("memory", "cpu"), {})


def test_both_limits_of_version_2_go_to_one_cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's part, which fills a new folder with files, is played here."""
    host = make_host(
        tmp_path,
        unified(("", "cpu memory"), ("a.scope", ""), own="a.scope", writable=("", "a.scope")),
    )
    made: list[Path] = []
    make = os.mkdir

    def mkdir(path: str) -> None:
        make(path)
        made.append(Path(path))
        for name in ("cgroup.procs", "memory.max", "memory.swap.max", "cpu.max"):
            (Path(path) / name).touch()

    monkeypatch.setattr(os, "mkdir", mkdir)
    warnings: list[str] = []
    with limited(1 << 30, 1.5, warnings.append, host):
        (child,) = made
        assert {path.name: path.read_text() for path in child.iterdir()} == {
            "cgroup.procs": str(os.getpid()),
            "memory.max": str(1 << 30),
            "memory.swap.max": "0",
            "cpu.max": "150000 100000",
        }
    assert child.parent == Path(host, "sys/fs/cgroup")
    assert Path(host, "sys/fs/cgroup/a.scope/cgroup.procs").read_text() == str(os.getpid())
    assert not warnings


def test_a_limit_that_cannot_be_set_is_told(tmp_path: Path) -> None:
    warnings: list[str] = []
    with limited(1 << 30, 1.0, warnings.append, str(tmp_path)):
        pass
    assert warnings == [
        f"{option} has no effect: cgroups cannot be set here (No such file or directory)"
        for option in ("--memory", "--cpus")
    ]


def test_a_cgroup_that_takes_no_limit_is_left(tmp_path: Path) -> None:
    """No kernel fills the new folder here, so that the first write fails."""
    tree = unified(("", "cpu memory"), ("a.scope", ""), own="a.scope", writable=("", "a.scope"))
    host = make_host(tmp_path, tree)
    warnings: list[str] = []
    with limited(1 << 30, None, warnings.append, host):
        pass
    assert [warning.partition(":")[0] for warning in warnings] == ["--memory has no effect"]
    assert sorted(path.name for path in Path(host, "sys/fs/cgroup").iterdir() if path.is_dir()) == ["a.scope"]


def test_what_killed_runs_left_goes(tmp_path: Path) -> None:
    tree = unified(("", "cpu memory"), ("a.scope", ""), own="a.scope", writable=("", "a.scope"))
    host = make_host(tmp_path, tree)
    top = Path(host, "sys/fs/cgroup")
    over = subprocess.Popen(["true"])
    over.wait()
    names = [f"wardian-{over.pid}-00", f"wardian-{over.pid}-busy", f"wardian-{os.getpid()}-00", "wardian-x"]
    for name in names:
        (top / name).mkdir()
    (top / names[1] / "cgroup.procs").touch()  # which keeps it here as processes do in a real one
    with limited(1 << 30, None, [].append, host):
        pass
    assert {path.name for path in top.glob("wardian-*")} == set(names[1:])


def test_limits_of_this_machine() -> None:
    places, refused = find_places(("memory", "cpu"))
    if refused:
        pytest.skip(f"optional: cgroups cannot be set here: {refused}")
    before = Path("/proc/self/cgroup").read_text()
    warnings: list[str] = []
    with limited(256 << 20, 0.5, warnings.append):
        assert Path("/proc/self/cgroup").read_text().count(f"/wardian-{os.getpid()}-") == len(places)
        for place in places:
            (child,) = Path(place.parent).glob(f"wardian-{os.getpid()}-*")
            texts = {path.name: path.read_text().strip() for path in child.glob("[mc]*.*_us")}
            texts |= {path.name: path.read_text().strip() for path in child.glob("memory.*max")}
            texts |= {path.name: path.read_text().strip() for path in child.glob("*limit_in_bytes")}
            if "memory" in place.controllers:
                assert str(256 << 20) in (texts.get("memory.limit_in_bytes"), texts.get("memory.max"))
            if place.version == 1 and "cpu" in place.controllers:
                assert (texts["cpu.cfs_quota_us"], texts["cpu.cfs_period_us"]) == ("50000", "100000")
    assert Path("/proc/self/cgroup").read_text() == before
    assert not [path for place in places for path in Path(place.parent).glob(f"wardian-{os.getpid()}-*")]
    assert not warnings
