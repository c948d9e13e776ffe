"""Our side: the command `wardian` on a project folder and a store of the bench's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench import measure, reference
from bench.measure import BenchError, PeakMemory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.registry import Registry

# Fetches the programs into a store, which a first run would do.
_TOOLBOX = """
import os, sys
from wardian.ecosystems.workshop import Workshop
from wardian.store.store import Store
from wardian.system.progress import Silent
Workshop(store=Store.open(sys.argv[1]), environment=os.environ, progress=Silent(), offline=False).toolbox()
"""
# Not wardian's own, as the issue counts memory: uv, apt, and what the OCI runtime starts.
_OTHERS = ("uv", "apt-get")
_RUNTIMES = ("crun", "runc")


class Ours:
    """Each method takes one figure; `first` and `memory` begin from nothing."""

    name = "ours"
    rows = frozenset(row.name for row in reference.ROWS)

    def __init__(self, work: Path, *, command: str | None) -> None:
        self._work = work
        work.mkdir(parents=True)
        self._command = command or _find()
        self._begun = 0
        self._sent = 0.0
        self._project = work
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("WARDIAN_HOME", "WARDIAN_OFFLINE")
        }

    def version(self) -> str:
        """What was measured."""
        return self._wardian("--version").output.strip()

    def first(self) -> float:
        """Toolbox, package lists, lock and build, with an empty store."""
        self._begin()
        return self._wardian("build").seconds

    def memory(self) -> float:
        """The same, watched: peak of the sum over its processes, in MB."""
        self._begin()
        process = subprocess.Popen(
            [self._command, "build"],
            env=self._environment,
            cwd=self._project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with PeakMemory([process.pid], programs=_OTHERS, launchers=_RUNTIMES) as peak:
            if process.wait():
                raise BenchError(f"wardian build ended with status {process.returncode}")
        return peak.bytes / 1e6

    def python(self) -> float:
        """Build after one more Python package was declared."""
        self._declare(reference.Contents(python=(*reference.PYTHON, reference.ADDED_PYTHON)))
        return self._wardian("build").seconds

    def system(self) -> float:
        """Build after one more system package was declared."""
        self._declare(reference.Contents(system=(*reference.SYSTEM, reference.ADDED_SYSTEM)))
        return self._wardian("build").seconds

    def reset(self) -> None:
        """Bring the project back to the reference runtime, built."""
        self._declare(reference.Contents())
        self._wardian("build")

    def nothing(self) -> float:
        """Build again."""
        return self._wardian("build").seconds

    def run(self) -> float:
        """Start `true` in a container."""
        return self._wardian("run", "--", "true").seconds

    def second_import(self) -> float:
        """Import pandas twice, each in a container of its own; the second one's seconds."""
        command = ("run", "--", "python", "-c", reference.IMPORT)
        self._wardian(*command)
        return float(self._wardian(*command).output)

    def push(self, registry: Registry) -> float:
        """Push what is built, for the first time: layers are packed within the time."""
        return self._wardian("push", f"{registry.host}/ours:1").seconds

    def repush(self, registry: Registry) -> float:
        """Push after one more Python package was built in."""
        self.python()
        before = registry.bytes()
        seconds = self.push(registry)
        self._sent = (registry.bytes() - before) / 1e6
        return seconds

    def sent(self) -> float:
        """What the last push after a change sent, in MB."""
        return self._sent

    def pull(self, registry: Registry) -> float:
        """Pull into an empty store, and start `true`. Programs are there, as an engine's are."""
        home = self._work / f"{self._begun}/pulled"
        environment = {**self._environment, "WARDIAN_HOME": str(home)}
        measure.run([sys.executable, "-c", _TOOLBOX, str(home)], environment=environment)
        command = [self._command, "run", "--image", f"{registry.host}/ours:1", "--", "true"]
        return measure.run(command, environment=environment, folder=self._project).seconds

    def slim(self, registry: Registry) -> None:
        """Push the project with `slim = true` as `ours:slim`."""
        path = self._project / "wardian.toml"
        path.write_text(path.read_text() + "\n[image]\nslim = true\n")
        self._wardian("push", f"{registry.host}/ours:slim")

    def _begin(self) -> None:
        """A new project and a new store; earlier ones stay until the end (README, "Nothing is deleted")."""
        self._begun += 1
        self._project = self._work / f"{self._begun}/project"
        self._project.mkdir(parents=True)
        self._environment["WARDIAN_HOME"] = str(self._work / f"{self._begun}/home")
        self._declare(reference.Contents())
        os.sync()

    def _declare(self, contents: reference.Contents) -> None:
        (self._project / "wardian.toml").write_text(
            'name = "reference"\n'
            f'base = "debian:{reference.SUITE}"\n\n'
            f"[python]\npackages = {_array(contents.python)}\n\n"
            f"[system]\npackages = {_array(contents.system)}\n"
        )

    def _wardian(self, *arguments: str) -> measure.Timing:
        return measure.run([self._command, *arguments], environment=self._environment, folder=self._project)


def _array(names: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _find() -> str:
    """The command that belongs to this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name("wardian")
    found = str(beside) if beside.exists() else shutil.which("wardian")
    if found is None:
        raise BenchError("wardian is not installed: run `pip install .`, or name it with --wardian")
    return found
