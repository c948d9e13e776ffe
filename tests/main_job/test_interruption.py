"""Builds that are killed, and builds of the same thing at once: the store is right afterwards."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .machine import Account, expect
from .trees import assert_same_images

pytestmark = pytest.mark.slow

SPEC = '[python]\npackages = ["six"]\n[system]\npackages = ["file"]\n'


@pytest.fixture
def pair(plain: Account, folder_name: str) -> Iterator[tuple[Account, Path, dict[str, Path]]]:
    """An account with a new store, a project there, and what an undisturbed build of it gave."""
    folder = plain.project(folder_name, {"wardian.toml": SPEC})
    parts = plain.snapshots(plain.build(folder))
    other = plain.having(WARDIAN_HOME=str(plain.home / folder_name))
    plain.share(other)
    yield other, folder, parts
    shutil.rmtree(other.store)


def _quiet(account: Account, folder: Path) -> subprocess.Popen[str]:
    return account.start("build", "--json", cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_build_killed_at_any_instant_can_go_on(pair: tuple[Account, Path, dict[str, Path]]) -> None:
    account, folder, parts = pair
    (folder / "wardian.lock").unlink()
    chance = random.Random(20260501)
    # From the first look at the lists to past the end of a whole build on a quiet machine.
    for instant in [chance.uniform(0.1, 9) for _ in range(8)]:
        process = _quiet(account, folder)
        try:
            process.wait(timeout=instant)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=20)
    image = account.build(folder)
    assert_same_images(parts, account.snapshots(image))
    assert account.build(folder)["built"] == []
    assert expect(account.wardian("run", "--", "dpkg", "--verify", cwd=folder)).stdout == ""
    # A sweep may meet processes of a killed build that have not ended yet; a later one does not.
    expect(account.wardian("prune", cwd=folder))
    left = [path for name in ("temporary", "run") for path in (account.store / name).glob("*")]
    assert left == []


def test_a_build_that_is_interrupted_says_so_and_can_go_on(
    pair: tuple[Account, Path, dict[str, Path]],
) -> None:
    account, folder, parts = pair
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = account.start("build", cwd=folder)
        time.sleep(2.5)
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
        assert process.returncode in (status, -number), said
        assert "Traceback" not in said
    assert_same_images(parts, account.snapshots(account.build(folder)))


def test_two_builds_of_the_same_at_once_both_succeed(
    pair: tuple[Account, Path, dict[str, Path]],
) -> None:
    account, folder, parts = pair
    other = account.project(f"{folder.name}-second", {})
    for name in ("wardian.toml", "wardian.lock"):
        shutil.copyfile(folder / name, other / name)
    account.own(other)
    running = [account.start("build", "--json", cwd=place) for place in (folder, other, folder)]
    results = [
        subprocess.CompletedProcess(process.args, process.wait(timeout=200), *process.communicate())
        for process in running
    ]
    images = [expect(result, json_output=True) for result in results]
    built = [part["name"] for image in images for part in image["built"]]
    assert sorted(built) == ["base", "python", "system"]  # each once, by whichever came first
    for image in images:
        assert_same_images(parts, account.snapshots(image))
