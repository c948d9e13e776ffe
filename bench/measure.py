"""Taking figures: wall-clock and CPU seconds of a command, peak memory of a tree of processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

# A sample reads one small file for each process: 20 in a second cost a hundredth of a core.
_INTERVAL = 0.05


class BenchError(Exception):
    """What is measured failed, or cannot be measured here; the message is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One command's run: seconds of wall clock and of CPU (its own and its waited-for children's)."""

    seconds: float
    cpu: float
    output: str


def median(samples: Sequence[float]) -> float | None:
    """The median, or None where nothing was measured."""
    return statistics.median(samples) if samples else None


def run(command: Sequence[str], *, environment: Mapping[str, str], folder: Path | None = None) -> Timing:
    """Run a command to its end and time the whole process; raises BenchError when it fails."""
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=told
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        output.seek(0)
        text = output.read().decode(errors="replace")
        if status:
            end = "\n".join((text + told.read().decode(errors="replace")).splitlines()[-25:])
            raise BenchError(f"{' '.join(command)}: status {process.returncode}\n{end}")
    return Timing(seconds=seconds, cpu=usage.ru_utime + usage.ru_stime, output=text)


class PeakMemory:
    """Samples the memory of trees of processes while it is entered; `bytes` is the largest sum seen.

    Memory is PSS (/proc/PID/smaps_rollup): pages that processes share are counted once. `programs` names
    executables that are left out with all that they start; of `launchers`, which start what runs inside
    containers, only the children are left out.
    """

    def __init__(
        self, roots: Collection[int], *, programs: Collection[str], launchers: Collection[str]
    ) -> None:
        self._roots = frozenset(roots)
        self._programs = frozenset(programs)
        self._launchers = frozenset(launchers)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.bytes = 0

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._end.wait(_INTERVAL):
            self.bytes = max(self.bytes, sum(map(_pss, self._processes())))

    def _processes(self) -> list[int]:
        children = _children()
        found: list[int] = []
        pending = list(self._roots)
        while pending:
            process = pending.pop()
            name = _program(process)
            if name in self._programs:
                continue
            found.append(process)
            if name not in self._launchers:
                pending += children.get(process, [])
        return found


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                # proc(5): the second field, in parentheses, may hold anything; the fourth is the parent.
                parent = Path("/proc", name, "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
            except (OSError, IndexError):  # it ended meanwhile
                continue
            found.setdefault(int(parent), []).append(int(name))
    return found


def _program(process: int) -> str:
    try:
        return os.path.basename(os.readlink(f"/proc/{process}/exe"))
    except OSError:
        return ""


def _pss(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    line = next((line for line in text.splitlines() if line.startswith("Pss:")), "Pss: 0 kB")
    return int(line.split()[1]) * 1024
