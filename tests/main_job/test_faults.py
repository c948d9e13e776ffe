"""Bad input and bad hosts: a clear error, exit 1, nothing lost and nothing half-written."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import socket
import stat
import struct
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import SIX, Bench
from .machine import Account, expect, refused
from .servers import serving


@pytest.fixture
def empty(plain: Account, folder_name: str, project: Callable[..., Path]) -> Iterator[Account]:
    """The plain user with a new store, which has what was fetched already: the base, at least."""
    plain.build(project({"wardian.toml": SIX}, more="-fetched"))
    other = plain.having(WARDIAN_HOME=str(plain.home / folder_name))
    plain.share(other, copied=True)
    yield other
    shutil.rmtree(other.store)


# --- the disk ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_full_disk(account: Account, folder_name: str) -> None:
    """In a mount namespace of its own, so that nothing has to be unmounted."""
    folder = account.project(folder_name, {"wardian.toml": SIX})
    script = f"""
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p small && mount -t tmpfs -o size=60m,mode=755 none small || exit 99
export WARDIAN_HOME=$PWD/small/store
wardian={account.program}
$wardian build --json > first.out 2> first.err; echo first $?
mount -i -o remount,size=3g,mode=755,rw none small || exit 98
$wardian build --json > second.out 2> second.err; echo second $?
$wardian run -- dpkg --verify; echo third $?
$wardian build --json > fourth.out 2>&1; echo fourth $?
"""
    unshare = ["/usr/bin/unshare", "-m"] if account.uid == 0 else ["/usr/bin/unshare", "-Urm"]
    result = account.execute([*unshare, "/bin/sh", "-c", script], cwd=folder)
    said = {name: (folder / f"{name}.err").read_text() for name in ("first", "second")}
    assert result.stdout.split("\n")[:-1] == ["first 1", "second 0", "third 0", "fourth 0"], (result, said)
    assert "No space left on device" in said["first"] or "disk is full" in said["first"], said["first"]
    assert "hint: " in said["first"]
    assert "Traceback" not in said["first"]
    assert "bug in wardian" not in said["first"]
    assert '"built": []' in (folder / "fourth.out").read_text()


def test_a_store_that_cannot_be_written(plain: Account, project: Callable[..., Path]) -> None:
    folder = project({"wardian.toml": SIX})
    said = refused(plain.wardian("build", cwd=folder, env={"WARDIAN_HOME": "/proc/store"}))
    assert "cannot use the store /proc/store" in said
    assert "hint: set WARDIAN_HOME to a folder that you can write" in said


def test_a_store_whose_path_has_a_colon(plain: Account, project: Callable[..., Path]) -> None:
    folder = project({"wardian.toml": SIX})
    said = refused(plain.wardian("build", cwd=folder, env={"WARDIAN_HOME": str(plain.home / "a:b")}))
    assert "its path has a colon" in said


@pytest.mark.parametrize("words", [["build"], ["run", "--", "true"], ["ls"], ["prune"], ["lock"]])
def test_a_store_of_a_newer_version_is_left_alone(
    plain: Account, project: Callable[..., Path], folder_name: str, words: list[str]
) -> None:
    folder = project({"wardian.toml": SIX})
    store = plain.home / f"{folder_name}-newer"
    shutil.rmtree(store, ignore_errors=True)
    plain.own_folder(store)
    (store / "version").write_text("99\n")
    said = refused(plain.wardian(*words, cwd=folder, env={"WARDIAN_HOME": str(store)}))
    assert "was written by a newer wardian (layout 99, this one knows 1)" in said
    assert [path.name for path in store.iterdir()] == ["version"]


def test_a_damaged_download_in_the_store_is_not_used(empty: Account, project: Callable[..., Path]) -> None:
    """Bytes that rot between a fetch and its use; the next build heals it, or says what to do."""
    folder = project({"wardian.toml": SIX})
    expect(empty.wardian("lock", cwd=folder))
    packages = tomllib.loads((folder / "wardian.lock").read_text())["platform"]["linux/amd64"]["debian"][
        "packages"
    ]
    package = next(package for package in packages if package["name"] == "tzdata")
    path = empty.store / "content/sha256" / package["sha256"][:2] / package["sha256"]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(data)
    result = empty.wardian("build", "--json", cwd=folder)
    if result.returncode:
        said = refused(result)
        assert "tzdata" in said
        expect(empty.wardian("build", cwd=folder))
    assert expect(empty.wardian("run", "--", "dpkg", "--verify", cwd=folder)).stdout == ""


# --- mirrors and indexes ----------------------------------------------------------------------------


def test_a_mirror_that_serves_something_else(empty: Account, project: Callable[..., Path]) -> None:
    folder = project({"wardian.toml": '[system]\npackages = ["tree"]\n'})
    expect(empty.wardian("lock", cwd=folder))
    lock = tomllib.loads((folder / "wardian.lock").read_text())
    tree = next(
        package
        for package in lock["platform"]["linux/amd64"]["debian"]["packages"]
        if package["name"] == "tree"
    )
    path = empty.store / "content/sha256" / tree["sha256"][:2] / tree["sha256"]
    path.unlink(missing_ok=True)
    with serving(lambda _: (200, {}, b"x" * tree["size"])) as server:
        every = {
            "WARDIAN_DEBIAN_ARCHIVE": f"{server.address}/debian",
            "WARDIAN_DEBIAN_SECURITY": f"{server.address}/security",
            "WARDIAN_DEBIAN_SNAPSHOT": f"{server.address}/snapshot/{{archive}}/{{time}}",
        }
        said = refused(empty.wardian("build", "--locked", cwd=folder, env=every))
    assert "tree_" in said
    assert tree["sha256"] in said
    assert "SHA-256" in said
    assert not path.exists()
    expect(empty.wardian("build", "--locked", cwd=folder))


def test_a_mirror_that_is_overloaded(plain: Account, project: Callable[..., Path], folder_name: str) -> None:
    folder = project({"wardian.toml": SIX})
    store = plain.home / f"{folder_name}-new"
    with serving(lambda _: (503, {}, b"")) as server:
        variables = {
            "WARDIAN_HOME": str(store),
            "WARDIAN_DEBIAN_ARCHIVE": f"{server.address}/debian",
            "WARDIAN_DEBIAN_SECURITY": f"{server.address}/security",
        }
        start = time.monotonic()
        said = refused(plain.wardian("build", cwd=folder, env=variables))
        assert time.monotonic() - start < 60
        assert f"{server.address}/" in said
        assert "503" in said
        assert "attempts" in said
        tries = [path for path in server.requests if path == "/debian/dists/trixie/InRelease"]
        assert 2 <= len(tries) <= 10
    assert not (folder / "wardian.lock").exists()
    shutil.rmtree(store)


def test_a_mirror_that_recovers(plain: Account, project: Callable[..., Path]) -> None:
    """The first answers to each path fail; the configured mirror is behind the rest."""
    from datetime import UTC, datetime

    from wardian.ecosystems.debian.archives import find_archives
    from wardian.project.configuration import read_configuration

    real = find_archives(read_configuration(os.environ), suite="trixie", now=datetime.now(UTC))
    seen: set[str] = set()

    def answer(path: str) -> tuple[int, dict[str, str], bytes]:
        if path not in seen:
            seen.add(path)
            return 503, {"Retry-After": "0"}, b""
        archive, _, rest = path.removeprefix("/").partition("/")
        base = real.main[0] if archive == "debian" else real.security[0]
        return 302, {"Location": base + rest}, b""

    folder = project({"wardian.toml": '[system]\npackages = ["tree"]\n'})
    with serving(answer) as server:
        variables = {
            "WARDIAN_DEBIAN_ARCHIVE": f"{server.address}/debian",
            "WARDIAN_DEBIAN_SECURITY": f"{server.address}/debian-security",
        }
        expect(plain.wardian("lock", cwd=folder, env=variables))
    assert server.address not in (folder / "wardian.lock").read_text()
    assert "://" not in (folder / "wardian.lock").read_text()


def test_an_index_that_is_overloaded(plain: Account, project: Callable[..., Path]) -> None:
    folder = project({"wardian.toml": '[python]\npackages = ["not-fetched-before"]\n'})
    with serving(lambda _: (503, {}, b"")) as server:
        variables = {"WARDIAN_PYTHON_INDEX": f"{server.address}/simple", "UV_HTTP_RETRIES": "1"}
        said = refused(plain.wardian("lock", cwd=folder, env=variables))
    assert server.address in said
    assert "503" in said
    assert not (folder / "wardian.lock").exists()


def test_an_index_that_hangs(plain: Account, project: Callable[..., Path]) -> None:
    folder = project({"wardian.toml": '[python]\npackages = ["not-fetched-before"]\n'})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        variables = {
            "WARDIAN_PYTHON_INDEX": f"{address}/simple",
            "UV_HTTP_RETRIES": "0",
            "UV_HTTP_TIMEOUT": "2",
        }
        start = time.monotonic()
        said = refused(plain.wardian("lock", cwd=folder, env=variables))
        assert time.monotonic() - start < 40
    assert address in said
    assert "timed out" in said or "time" in said


def test_a_host_that_has_no_address(plain: Account, project: Callable[..., Path], folder_name: str) -> None:
    folder = project({"wardian.toml": '[system]\npackages = ["tree"]\n'})
    store = plain.home / f"{folder_name}-new"
    variables = {
        "WARDIAN_HOME": str(store),
        "WARDIAN_DEBIAN_ARCHIVE": "http://mirror.invalid/debian",
        "WARDIAN_DEBIAN_SECURITY": "http://mirror.invalid/security",
        "http_proxy": None,
        "HTTP_PROXY": None,
    }
    said = refused(plain.wardian("build", cwd=folder, env=variables))
    assert "http://mirror.invalid/" in said
    shutil.rmtree(store)


def test_offline_with_nothing_fetched(plain: Account, project: Callable[..., Path], folder_name: str) -> None:
    folder = project({"wardian.toml": SIX})
    store = plain.home / f"{folder_name}-new"
    said = refused(plain.wardian("build", "--offline", cwd=folder, env={"WARDIAN_HOME": str(store)}))
    assert "offline" in said
    shutil.rmtree(store)


def test_a_dated_lock_comes_from_the_snapshot_archive(plain: Account, project: Callable[..., Path]) -> None:
    """A small archive in the snapshot's layout leads to the configured mirror: as if dated today."""
    from datetime import UTC, datetime

    from wardian.ecosystems.debian.archives import find_archives
    from wardian.project.configuration import read_configuration

    now = datetime.now(UTC)
    real = find_archives(read_configuration(os.environ), suite="trixie", now=now)

    def answer(path: str) -> tuple[int, dict[str, str], bytes]:
        _, archive, moment, rest = path.removeprefix("/").split("/", 3)
        assert moment == now.strftime("%Y%m%dT%H%M%SZ")
        base = real.main[0] if archive == "debian" else real.security[0]
        return 302, {"Location": base + rest}, b""

    folder = project({"wardian.toml": '[system]\npackages = ["tree"]\n'})
    with serving(answer) as server:
        variables = {
            "WARDIAN_DEBIAN_SNAPSHOT": f"{server.address}/archive/{{archive}}/{{time}}/",
            "WARDIAN_DEBIAN_ARCHIVE": "http://mirror.invalid/debian",
            "WARDIAN_DEBIAN_SECURITY": "http://mirror.invalid/debian-security",
        }
        moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        expect(plain.wardian("lock", "--as-of", moment, cwd=folder, env=variables))
        asked = [path for path in server.requests if path.endswith("/InRelease")]
        assert len(asked) == 3
    assert 'name = "tree"' in (folder / "wardian.lock").read_text()


# --- the kernel -------------------------------------------------------------------------------------


def test_user_namespaces_that_are_used_up(bench: Bench, project: Callable[..., Path]) -> None:
    """A limit of 0 in a user namespace of the test's own; the host's stays as it is."""
    script = f"echo 0 > /proc/sys/user/max_user_namespaces; exec {bench.account.program} run -- true"
    result = bench.account.execute(["/usr/bin/unshare", "-Ur", "/bin/sh", "-c", script], cwd=bench.folder)
    said = refused(result)
    assert "cannot make a user namespace: No space left on device" in said
    assert "hint: run `wardian doctor`" in said


def _forbid_user_namespaces() -> None:
    """Have unshare(2) answered with EPERM in this process and its children (seccomp(2))."""
    number = {"x86_64": 272, "aarch64": 97}[platform.machine()]
    load, equals, give = 0x20, 0x15, 0x06
    refuse, allow = 0x00050000 | 1, 0x7FFF0000
    program = b"".join(
        struct.pack("HBBI", *each)
        for each in ((load, 0, 0, 0), (equals, 0, 1, number), (give, 0, 0, refuse), (give, 0, 0, allow))
    )
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, header, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


@pytest.mark.parametrize("words", [["run", "--", "true"], ["run", "some.ipynb"]])
def test_user_namespaces_that_are_forbidden(bench: Bench, words: list[str]) -> None:
    (bench.folder / "some.ipynb").write_text(
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}'
    )
    if words[1].endswith(".ipynb"):
        bench.wardian(*words)  # which builds what notebooks need
    process = bench.account.start(*words, cwd=bench.folder, preexec_fn=_forbid_user_namespaces)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "error: cannot make a user namespace: Operation not permitted" in said
    assert "hint: run `wardian doctor`" in said
    assert "Traceback" not in said


def test_doctor_finds_this_host_fit(account: Account, project: Callable[..., Path]) -> None:
    folder = project(user=account)
    result = account.wardian("doctor", "--json", cwd=folder)
    report = expect(result, json_output=True)
    assert report["ok"] is True
    assert not [check for check in report["checks"] if check["ok"] is False]


def test_doctor_says_what_forbids_user_namespaces(plain_bench: Bench) -> None:
    process = plain_bench.account.start("doctor", cwd=plain_bench.folder, preexec_fn=_forbid_user_namespaces)
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "failed" in shown
    assert "user namespace" in shown
    assert "hint: " in shown


# --- the project ------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_read(plain: Account, project: Callable[..., Path]) -> None:
    folder = project({"wardian.toml": SIX, "inner/wardian.toml": SIX})
    (folder / "inner").chmod(0)
    try:
        said = refused(plain.wardian("-C", "inner", "lock", cwd=folder))
        assert "inner" in said
    finally:
        (folder / "inner").chmod(0o755)


def test_a_folder_that_is_not_there(plain: Account, project: Callable[..., Path]) -> None:
    said = refused(plain.wardian("-C", "nowhere", "build", cwd=project()))
    assert "nowhere" in said


def test_a_spec_that_cannot_be_read(plain: Account, project: Callable[..., Path]) -> None:
    folder = project({"wardian.toml": SIX})
    (folder / "wardian.toml").chmod(0)
    said = refused(plain.wardian("lock", cwd=folder))
    assert "wardian.toml" in said
    assert "Permission denied" in said


def test_a_folder_that_cannot_be_written(plain: Account, project: Callable[..., Path]) -> None:
    folder = project({"wardian.toml": SIX})
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        said = refused(plain.wardian("lock", cwd=folder))
        assert "cannot write " in said
        assert "wardian.lock: Permission denied" in said
    finally:
        folder.chmod(0o755)


def test_threads_are_not_left_waiting(plain: Account, project: Callable[..., Path]) -> None:
    """A failure in one part ends the command, while others are still under way."""
    folder = project(
        {"wardian.toml": '[python]\npackages = ["no-such-package-x1"]\n[system]\npackages = ["nosuch-y1"]\n'}
    )
    start = time.monotonic()
    refused(plain.wardian("lock", cwd=folder))
    assert time.monotonic() - start < 60
    assert threading.active_count() < 10
