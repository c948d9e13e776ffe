"""Runs uv: where its binary is, where its cache lies, with which environment. It reads no answers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.ecosystems.python.configured import read_indexes
from wardian.ecosystems.python.indexes import Indexes, uv_environment
from wardian.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wardian.project.configuration import Configuration
    from wardian.store.store import Store
    from wardian.system.http import Fetcher

# uv writes scripts and RECORDs that are in layers: pyproject.toml asks for exactly this version, and it is in
# the keys of what it installs.
VERSION = "0.13.9"
# No Python starts with this home, so no code of a source distribution runs on the host: uv asks the
# interpreter about itself in isolated mode (-I), which ignores the variable; a build does not.
NO_BUILDS = {"PYTHONHOME": os.devnull}


@dataclass(frozen=True, slots=True, kw_only=True)
class Uv:
    """uv, ready to run. `folder` holds its cache and all work that hard-links out of that cache."""

    program: Path
    folder: Path
    indexes: Indexes
    environment: Mapping[str, str]
    fetcher: Fetcher

    @property
    def cache(self) -> Path:
        """uv's cache. Files in it are linked into environments: nothing may ever write to one."""
        return self.folder / "cache"

    @contextlib.contextmanager
    def work(self) -> Iterator[Path]:
        """A new folder on the cache's file system and under its mount; removed at the end."""
        from wardian.store import claims

        with claims.claimed(self.folder / "work") as folder:
            yield Path(folder)

    def variables(self, **more: str) -> dict[str, str]:
        """The environment of a uv process on the host, which can build nothing."""
        return {**uv_environment(self.indexes, self.environment, str(self.cache)), **NO_BUILDS, **more}

    def start(self, arguments: Sequence[str], *, folder: Path, **more: str) -> subprocess.Popen[str]:
        """Start uv in `folder`; what it tells goes to the process' `stderr`."""
        return subprocess.Popen(
            [str(self.program), *arguments],
            cwd=folder,
            env=self.variables(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # What uv unpacks is linked into images: its modes must not be the user's mask.
            umask=0o022,
        )

    def run(self, arguments: Sequence[str], *, folder: Path, **more: str) -> tuple[int, str]:
        """Run uv to its end; its exit status, and what it told."""
        process = self.start(arguments, folder=folder, **more)
        _, told = process.communicate()
        return process.returncode, told

    def output(self, arguments: Sequence[str], *, folder: Path, **more: str) -> tuple[int, str, str]:
        """Run uv for what it prints: exit status, standard output, and what it told."""
        result = subprocess.run(
            [str(self.program), *arguments],
            cwd=folder,
            env=self.variables(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return result.returncode, result.stdout, result.stderr


def open_uv(
    store: Store, configuration: Configuration, *, environment: Mapping[str, str], fetcher: Fetcher
) -> Uv:
    """Find uv and what it is configured for. Raises HostError when it is not installed, SpecError."""
    import uv

    try:
        program = Path(uv.find_uv_bin())
    except FileNotFoundError as error:
        raise HostError(
            "uv's program is missing, though its package is installed",
            hint="run `pip install --force-reinstall uv`",
        ) from error
    folder = store.cache("uv")
    (folder / "cache").mkdir(exist_ok=True)
    indexes = read_indexes(configuration, environment, prefix=Path(sys.prefix))
    return Uv(program=program, folder=folder, indexes=indexes, environment=environment, fetcher=fetcher)
