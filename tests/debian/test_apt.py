"""What apt says that is no word about packages."""

from __future__ import annotations

import pytest

from wardian.ecosystems.debian.apt import solve_with_apt
from wardian.ecosystems.debian.refresh import refresh
from wardian.errors import HostError, ResolveError
from wardian.toolbox.toolbox import Toolbox


@pytest.fixture
def end(world, tmp_path, store, fetcher, archives, platform, certificates, now):
    """Solve with an apt-get that is a script, of shell built-ins alone."""
    index = refresh(store, fetcher, archives, platform, certificates=certificates, now=now)
    program = tmp_path / "toolbox/bin/apt-get"
    program.parent.mkdir(parents=True)

    def run(script: str) -> None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        solve_with_apt(store, Toolbox(root=program.parent.parent), index, wanted=["hello"], pins={})

    return run


@pytest.mark.parametrize(
    "said",
    [
        "IO Error saving source cache",
        "Write error - write (28: No space left on device)",
        "Couldn't make mmap of 25165824 bytes - mmap (12: Cannot allocate memory)",
        "The package lists or status file could not be parsed or opened.",
    ],
)
def test_a_disk_or_a_memory_that_is_full_is_no_conflict(end, said):
    with pytest.raises(HostError) as caught:
        end(f'echo "W: something" >&2; echo "E: {said}" >&2; exit 100')
    assert caught.value.message == f"apt-get failed: {said}"


def test_an_apt_that_is_killed_is_no_conflict(end):
    with pytest.raises(HostError) as caught:
        end("kill -9 $$")
    assert caught.value.message == "apt-get was killed by signal 9"


def test_a_conflict_is_one(end):
    with pytest.raises(ResolveError, match="write-error Depends absent"):
        end('echo "W: no lock - open (30: Read-only file system)" >&2\n'
            'echo "E: Unable to satisfy dependencies. Reached two conflicting assignments:\n'
            '   1. write-error Depends absent (>= 1:2.0)" >&2; exit 100')  # fmt: skip
