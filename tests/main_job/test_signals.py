"""Signals reach the program; however a run ends, no process and no mount of it remains."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Bench
from .machine import Account


def _processes(mark: str) -> list[str]:
    """The command lines of processes, of whichever namespace, in which `mark` stands; save our own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in line and int(path.parent.name) != os.getpid():
            found.append(f"{path.parent.name} {line}")
    return found


def _mounts(mark: str) -> list[str]:
    """Processes in whose mounts `mark` stands."""
    found = []
    for path in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            if mark in path.read_text(errors="replace"):
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def _wait_until(condition: Callable[[], bool], seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)  # the kernel ends a namespace's processes in its own time
    return condition()


def _started(bench: Bench, *words: str) -> subprocess.Popen[str]:
    """A run that has said that it is ready."""
    process = bench.account.start("run", *words, cwd=bench.folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def _left(account: Account) -> list[str]:
    """Folders in the account's store of runs that are over: nobody holds their lock."""
    found = []
    for path in (account.store / "run").glob("*.lock"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():  # it was not just about to go
                found.append(path.name)
    return found


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_program_and_gives_its_status(
    bench: Bench, number: signal.Signals, status: int
) -> None:
    process = _started(bench, "--", "sh", "-c", "echo ready; exec sleep 71.5")
    process.send_signal(number)
    process.communicate(timeout=15)
    assert process.returncode == status


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "USR1", "USR2", "QUIT"])
def test_a_program_that_handles_a_signal_decides_how_it_ends(plain_bench: Bench, name: str) -> None:
    script = (
        "import os, signal, sys, time\n"
        f"signal.signal(signal.SIG{name}, lambda *_: (os.write(1, b'heard\\n'), sys.exit(9)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    process = _started(plain_bench, "--", "python", "-c", script)
    process.send_signal(getattr(signal, f"SIG{name}"))
    out, err = process.communicate(timeout=15)
    assert (out, err, process.returncode) == ("heard\n", "", 9)


def test_a_signal_that_the_program_ignores_ends_nothing(plain_bench: Bench) -> None:
    script = "trap '' TERM; echo ready; sleep 1; echo still; exit 4"
    process = _started(plain_bench, "--", "sh", "-c", script)
    process.terminate()
    assert process.communicate(timeout=15)[0] == "still\n"
    assert process.returncode == 4


def test_nohup_shields_the_program_as_well(bench: Bench) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = _started(bench, "--", "sh", "-c", "echo ready; sleep 1; echo still; exec sleep 73.5")
    finally:
        signal.signal(signal.SIGHUP, before)
    os.killpg(process.pid, signal.SIGHUP)  # as a terminal that is closed
    assert process.stdout is not None
    assert process.stdout.readline() == "still\n"
    process.terminate()
    process.communicate(timeout=15)
    assert process.returncode == 143


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_remains_after_a_signal(bench: Bench, number: signal.Signals) -> None:
    mark = f"{time.time_ns() % 10**9 + 10**9}.25"
    # exec: a shell waits for its foreground program before it heeds SIGINT.
    script = f"sleep {mark} & setsid sleep {mark} & echo ready; exec sleep {mark}"
    process = _started(bench, "--", "sh", "-c", script)
    assert len(_processes(f"sleep {mark}")) >= 3
    process.send_signal(number)
    process.communicate(timeout=15)
    assert _wait_until(lambda: not _processes(mark)), _processes(mark)


def test_nothing_remains_after_wardian_is_killed(bench: Bench) -> None:
    mark = f"{time.time_ns() % 10**9 + 10**9}.75"
    process = _started(
        bench, "--", "sh", "-c", f"sleep {mark} & setsid sleep {mark} & echo ready; sleep {mark}"
    )
    inside = _processes(f"sleep {mark}")[-1].split()[0]
    mounted = re.search(r"/run/([0-9a-f]{16})/", Path(f"/proc/{inside}/mountinfo").read_text())
    assert mounted
    process.kill()
    assert process.wait(timeout=15) == -signal.SIGKILL
    assert _wait_until(lambda: not _processes(mark)), _processes(mark)
    assert _wait_until(lambda: not _mounts(f"/run/{mounted[1]}/"))
    process.communicate()
    bench.run("--", "true")  # which sweeps what the killed one left on the disk
    assert not (bench.account.store / "run" / mounted[1]).exists()


def test_a_run_leaves_no_folder(bench: Bench) -> None:
    bench.run("--", "true")
    bench.wardian("run", "--", "false")
    bench.wardian("run", "--", "no-such-command")
    assert _wait_until(lambda: not _left(bench.account)), _left(bench.account)


def test_a_killed_notebook_leaves_nothing(plain_bench: Bench) -> None:
    mark = f"mark{time.time_ns()}"
    cell = f'"import time\\n", "open(\'ready-{mark}\', \'w\')\\n", "time.sleep(90)"'
    (plain_bench.folder / f"{mark}.ipynb").write_text(
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code", "id": "a", '
        f'"metadata": {{}}, "outputs": [], "execution_count": null, "source": [{cell}]}}]}}'
    )
    plain_bench.account.own(plain_bench.folder / f"{mark}.ipynb")
    process = plain_bench.account.start("run", f"{mark}.ipynb", cwd=plain_bench.folder)
    try:
        assert _wait_until((plain_bench.folder / f"ready-{mark}").exists, 120), process.communicate(timeout=5)
        process.kill()
        process.communicate(timeout=15)
        assert _wait_until(lambda: not _processes(mark)), _processes(mark)
        assert _wait_until(lambda: not _processes("ipykernel_launcher")), _processes("ipykernel_launcher")
    finally:
        process.kill()
