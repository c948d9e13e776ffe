"""The command line, called in this process and in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from wardian.cli.entry import run


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    status: int
    out: str
    err: str


Invoke = Callable[..., Outcome]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Invoke:
    """`invoke("lock", "--check")` in this process, with a home of the test's own."""

    def call(*words: str, **environment: str) -> Outcome:
        capsys.readouterr()
        status = run(words, {"WARDIAN_HOME": str(tmp_path / "home"), **environment})
        captured = capsys.readouterr()
        return Outcome(status=status, out=captured.out, err=captured.err)

    return call


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """The words that start wardian as a process of its own."""
    return [sys.executable, "-m", "wardian"]


@pytest.fixture
def spawn(command: list[str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`spawn("ls", stdin=...)` as a process of its own."""

    def call(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *words],
            env={**os.environ, "WARDIAN_HOME": str(tmp_path / "home"), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call
