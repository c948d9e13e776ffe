"""The toolbox: made once, from verified packages, and usable without the host's libraries."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wardian.errors import BuildError, FetchError, InternalError, VerificationError
from wardian.store.store import Store
from wardian.toolbox import patch
from wardian.toolbox.toolbox import PACKAGES, Toolbox

# A real program of this machine stands for those of the packages: patchelf needs an ELF file.
PROGRAM = Path(os.path.realpath(shutil.which("true") or "/bin/true")).read_bytes()
FILES: dict[str, bytes | str] = {
    "./usr/bin/apt-get": PROGRAM,
    "./usr/bin/crun": PROGRAM,
    "./usr/bin/other": PROGRAM,
    "./usr/lib/apt/methods/file": PROGRAM,
    "./usr/lib/x86_64-linux-gnu/libx.so.1.2": b"library",
    "./usr/lib/x86_64-linux-gnu/libx.so.1": "libx.so.1.2",
    "./usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": b"loader",
    "./usr/lib64/ld-linux-x86-64.so.2": "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "./usr/lib/x86_64-linux-gnu/gconv/UTF-16.so": b"plug-in",
    "./usr/share/containers/seccomp.json": b"{}",
}


def pack(path: Path, files: dict[str, bytes | str]) -> Path:
    """A tar archive of files, and of links where the content is text."""
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


@contextlib.contextmanager
def opened(path: Path):
    with tarfile.open(path) as archive:
        yield archive


@pytest.fixture
def ensure(store, host, tmp_path):
    def run(files: dict[str, bytes | str]) -> Toolbox:
        asked: list[list[str]] = []

        def debs(names):
            asked.append(list(names))
            return [pack(tmp_path / "all.tar", files)]

        toolbox = Toolbox.ensure(store, host, debs=debs, data=opened)
        assert all(names == list(PACKAGES) for names in asked)
        return toolbox

    return run


def test_what_is_taken_and_where_it_lies(ensure):
    toolbox = ensure(FILES)
    found = sorted(
        str(path.relative_to(toolbox.root)) for path in toolbox.root.rglob("*") if not path.is_dir()
    )
    assert found == [
        "bin/apt-get",
        "bin/crun",
        "complete",
        "lib/ld-linux-x86-64.so.2",
        "lib/libx.so.1",
        "lib/libx.so.1.2",
        "methods/file",
        "share/seccomp.json",
    ]
    assert os.readlink(toolbox.root / "lib/libx.so.1") == "libx.so.1.2"
    assert toolbox.file("seccomp.json").read_bytes() == b"{}"
    with pytest.raises(InternalError, match="the toolbox has no bash"):
        toolbox.program("bash")


def test_programs_use_the_toolboxs_own_libraries(ensure):
    toolbox = ensure(FILES)
    asked = [str(patch.find_patchelf()), "--print-interpreter", str(toolbox.program("crun"))]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    assert said == str(toolbox.root / "lib/ld-linux-x86-64.so.2")


def test_it_is_made_once(ensure, store, host):
    first = ensure(FILES)
    assert ensure({}) == first
    assert Toolbox.find(store, host) == first
    assert list((store.root / "temporary").iterdir()) == []


def test_the_way_to_the_store_may_go(tmp_path, store, host):
    """The key is that of the real path, and so must be what the programs hold."""
    way = tmp_path / "way"
    way.symlink_to(store.root)
    packed = pack(tmp_path / "all.tar", FILES)
    toolbox = Toolbox.ensure(Store(way), host, debs=lambda names: [packed], data=opened)
    asked = [str(patch.find_patchelf()), "--print-interpreter", str(toolbox.program("crun"))]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    found = Toolbox.find(store, host)
    assert found is not None
    assert said == str(found.root / "lib/ld-linux-x86-64.so.2")


def test_one_without_its_marker_is_made_again(ensure, store, host):
    toolbox = ensure(FILES)
    (toolbox.root / "complete").unlink()
    (toolbox.root / "bin/crun").write_bytes(b"")
    assert Toolbox.find(store, host) is None
    assert ensure(FILES) == toolbox
    assert toolbox.program("crun").stat().st_size > 0
    assert list((store.root / "temporary").iterdir()) == []


def test_one_of_another_recipe_stays_for_the_runs_that_know_it(
    ensure, store, host, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as earlier:
        earlier.setattr("wardian.toolbox.toolbox._RECIPE", "1")
        old = ensure(FILES)
    (old.root / "complete").unlink()  # such had none
    assert Toolbox.find(store, host) is None
    assert ensure(FILES) != old
    assert old.program("crun").exists()


def test_several_at_once_make_one(store, host, tmp_path):
    made = []

    def debs(names):
        made.append(names)
        return [pack(tmp_path / f"{len(made)}.tar", FILES)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: Toolbox.ensure(store, host, debs=debs, data=opened), range(4)))
    assert len(set(found)) == 1
    assert len(made) == 1


def test_a_failure_leaves_nothing(store, host):
    def debs(names):
        raise FetchError("away")

    with pytest.raises(FetchError):
        Toolbox.ensure(store, host, debs=debs, data=opened)
    assert Toolbox.find(store, host) is None
    assert list(store.toolbox().iterdir()) == []
    assert list((store.root / "temporary").iterdir()) == []


def test_packages_without_the_programs(ensure):
    with pytest.raises(VerificationError) as caught:
        ensure({"./usr/bin/crun": PROGRAM})
    assert caught.value.message == "the packages for the toolbox hold no apt-get, file, seccomp.json"


def test_a_program_that_is_none(ensure):
    with pytest.raises(BuildError, match="ended with 1: patchelf"):
        ensure({**FILES, "./usr/bin/crun": b"#!/bin/sh\n"})


@pytest.mark.parametrize(
    "files",
    [
        {"../../../escaped.so": b"x"},
        {"/tmp/escaped.so": b"x"},
        {"./usr/lib/../../escaped.so": b"x"},
        {"./usr/lib/escaped.so": "/etc/passwd", "./lib/escaped.so": b"x"},
        {"./usr/lib/a.so": "..", "./usr/lib/a.so/escaped.so": b"x"},
    ],
)
def test_no_member_leaves_the_toolbox(ensure, store, files):
    toolbox = ensure({**FILES, **files})
    inside = set(toolbox.root.rglob("*"))
    outside = [path for path in store.root.parent.rglob("*escaped*") if path not in inside]
    assert outside == []
    assert not Path("/tmp/escaped.so").exists()
    for path in inside:
        assert path.resolve().is_relative_to(toolbox.root) or path.is_symlink()
        if path.is_symlink():
            assert "/" not in os.readlink(path)


@pytest.mark.network
def test_the_real_one_runs_with_an_empty_environment(tmp_path, store, host):
    from wardian.ecosystems.debian.tools import ensure_toolbox
    from wardian.project.configuration import read_configuration
    from wardian.system.http import Fetcher

    with Fetcher(environment=os.environ) as fetcher:
        toolbox = ensure_toolbox(store, fetcher, read_configuration(os.environ), host)
    for name in ("apt-get", "crun"):
        ended = subprocess.run([toolbox.program(name), "--version"], env={}, capture_output=True, check=True)
        assert ended.stdout.startswith(name.removesuffix("-get").encode())
        loader = next((toolbox.root / "lib").glob("ld*.so.*"))
        libraries = subprocess.run(
            [loader, "--list", toolbox.program(name)], env={}, capture_output=True, text=True, check=True
        ).stdout
        used = [line.split(" => ")[1] for line in libraries.splitlines() if " => " in line]
        assert all(path.startswith(str(toolbox.root)) for path in used), libraries
    assert json.loads(toolbox.file("seccomp.json").read_text())["defaultAction"]
