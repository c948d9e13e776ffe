"""Opening files below a folder: no path and no link leads out, by the one call or by many."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardian.system import confined

Open = Callable[[int, str], int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("confined")
    root = base / "root"
    (root / "a/b").mkdir(parents=True)
    (base / "secret").write_text("secret")
    (root / "file").write_text("file")
    (root / "a/b/file").write_text("inner")
    (root / "link").symlink_to("file")
    (root / "out").symlink_to("../secret")
    (root / "folder").symlink_to("a")
    (root / "absolute").symlink_to("/etc/passwd")
    (root / "a/up").symlink_to("../..")
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture
def root(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_PATH)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(params=[confined.open_beneath, confined._walk])
def opened(request: pytest.FixtureRequest) -> Open:
    """Either way: kernels and sandboxes without openat2 have the second."""
    found: Open = request.param
    return found


def read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


def test_files(root: int, opened: Open) -> None:
    assert read(opened(root, "file")) == b"file"
    assert read(opened(root, "a/b/file")) == b"inner"
    assert read(opened(root, "./a//b/file")) == b"inner"
    assert read(opened(root, "/file")) == b"file"


@pytest.mark.parametrize("path", ["link", "out", "absolute", "a/up"])
def test_links(root: int, opened: Open, path: str) -> None:
    with pytest.raises(OSError, match="symbolic links") as raised:
        opened(root, path)
    assert (raised.value.errno, raised.value.filename) == (errno.ELOOP, path)


@pytest.mark.parametrize("path", ["folder/b/file", "a/up/secret"])
def test_folders_that_are_links(root: int, opened: Open, path: str) -> None:
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        opened(root, path)


@pytest.mark.parametrize("path", ["../secret", "a/../../secret", "/../secret", "missing", "file/x", "a\0b"])
def test_what_is_not_there(root: int, opened: Open, path: str) -> None:
    with pytest.raises((OSError, ValueError)):
        opened(root, path)


def test_other_kinds_of_files_are_not_waited_for(root: int, opened: Open) -> None:
    descriptor = opened(root, "pipe")
    assert stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    os.close(descriptor)


def test_descriptors_are_not_leaked(root: int, opened: Open) -> None:
    before = os.listdir("/proc/self/fd")
    for path in ("a/b/file", "a/b/missing", "folder/b/file", "missing/x"):
        try:
            os.close(opened(root, path))
        except OSError:
            continue
    assert os.listdir("/proc/self/fd") == before


def test_a_kernel_without_the_call(root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined, "_OPENAT2", 9999)  # no kernel has it
    assert read(confined.open_beneath(root, "a/b/file")) == b"inner"


parts = st.sampled_from(
    ["a", "b", "..", ".", "", "file", "link", "out", "folder", "up", "secret", "absolute"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(parts, max_size=6).map("/".join))
def test_no_path_leads_out(root: int, opened: Open, path: str) -> None:
    try:
        descriptor = opened(root, path)
    except OSError:
        return
    assert os.readlink(f"/proc/self/fd/{descriptor}").startswith(os.readlink(f"/proc/self/fd/{root}"))
    os.close(descriptor)
