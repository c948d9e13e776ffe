"""Overlays of more layers than the options of a mount have room for paths."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wardian.errors import HostError
from wardian.runtime import overlay

PROGRAM = """
import json, os, sys
from wardian.runtime import overlay
from wardian.system import namespace
folder, *lowers = json.loads(sys.stdin.read())
user, group = os.getuid(), os.getgid()
namespace.unshare(namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS)
namespace.map_only(user, group)
for name in ("upper", "work", "root"):
    os.mkdir(f"{folder}/{name}")
before = os.getcwd()
overlay.mount(lowers, f"{folder}/upper", f"{folder}/work", f"{folder}/root", volatile=True)
assert os.getcwd() == before
root = f"{folder}/root"
open(f"{root}/common", "a").write(" and changed")
found = {name: open(f"{root}/{name}").read() for name in sorted(os.listdir(root))}
print(json.dumps(found))
"""


def mount(folder: Path, lowers: list[Path], cwd: Path) -> dict[str, str]:
    """What a process sees that has mounted an overlay in `folder`."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([str(folder), *map(str, lowers)]),
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def make_layers(parent: Path, count: int) -> list[Path]:
    layers = []
    for number in range(count):
        layers.append(parent / f"{number:040}" / "root")
        layers[-1].mkdir(parents=True)
        (layers[-1] / f"file-{number}").write_text(str(number))
        (layers[-1] / "common").write_text(f"of {number}")
    return layers


@pytest.mark.namespaces
@pytest.mark.parametrize("count", [1, 30, 127, overlay.MOST_LAYERS])
def test_every_layer_is_there(tmp_path: Path, count: int) -> None:
    parent = tmp_path / "a:rather,long\\folder-of-snapshots"
    layers = make_layers(parent, count)
    found = mount(tmp_path / "mounted", layers, tmp_path)
    assert found.pop("common") == f"of {count - 1} and changed"
    assert found == {f"file-{number}": str(number) for number in range(count)}
    assert (tmp_path / "mounted/upper/common").read_text() == f"of {count - 1} and changed"
    assert (layers[-1] / "common").read_text() == f"of {count - 1}"


@pytest.mark.namespaces
def test_few_layers_need_no_names(tmp_path: Path) -> None:
    mount(tmp_path / "mounted", make_layers(tmp_path / "layers", 4), tmp_path)
    assert not (tmp_path / "mounted/work.names").exists()


@pytest.mark.namespaces
def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    """Whoever starts a run may stand in a folder that was removed."""
    layers = make_layers(tmp_path / "layers" / ("x" * 100), 60)
    program = f"import os; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n{PROGRAM}".replace(
        "before = os.getcwd()", ""
    ).replace("assert os.getcwd() == before", "")
    (tmp_path / "mounted").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps([str(tmp_path / "mounted"), *map(str, layers)]),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 61


def test_more_than_the_kernel_takes() -> None:
    with pytest.raises(HostError, match="has 501 layers") as failure:
        overlay.check([os.devnull] * 501)
    assert failure.value.hint
