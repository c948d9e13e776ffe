"""Builds the environment /opt/venv: uv in a sandbox, with the image's own Python, out of uv's cache.

Hard links do not cross mounts, not even two mounts of one file system. So one folder, which holds the
cache and the work, is mounted at ROOT; the environment is made at /opt/venv by the image's Python,
moved below ROOT while it is nearly empty, and /opt/venv becomes a link to it: uv and the scripts that
it writes go by the name /opt/venv, and the files are linked, not copied. The sandbox's root takes that
link: it must be one that is thrown away.

The tree depends on the lock alone: nothing in it tells of this machine, of uv, or of the time.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.ecosystems.python import errors, sources
from wardian.ecosystems.python.indexes import without_credentials
from wardian.ecosystems.python.prefetch import check_refused, prefetch, requirement
from wardian.ecosystems.python.sandbox import ROOT, UV, Mount, Sandbox
from wardian.errors import BuildError, HostError, VerificationError
from wardian.system.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wardian.ecosystems.python.model import Interpreter, PythonPackage
    from wardian.ecosystems.python.program import Uv
    from wardian.ecosystems.python.pylock import Target
    from wardian.system.progress import Progress

ENVIRONMENT = "/opt/venv"

# venv refuses an environment's folder that is a link, hence the move. Run by the image's Python with
# the tree's place and uv's command line; it becomes uv.
_PROGRAM = """
import os, shutil, sys, venv
os.umask(0o022)
place, tree, *command = sys.argv[1:]
if os.path.islink(place):
    os.unlink(place)
venv.create(place, symlinks=True)
shutil.move(place, tree)
os.symlink(tree, place)
if command:
    os.execv(command[0], command)
"""
# What uv and venv leave in an environment for themselves.
_LEFT = (".lock", ".gitignore", "CACHEDIR.TAG")
_UNCACHED = re.compile(r"not found in the cache|[Nn]etwork connectivity is disabled|network was disabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A command for the sandbox."""

    arguments: tuple[str, ...]
    mounts: tuple[Mount, ...]
    environment: Mapping[str, str]


def install(
    uv: Uv,
    packages: Sequence[PythonPackage],
    *,
    interpreter: Interpreter,
    target: Target,
    sandbox: Sandbox,
    into: Path,
    place: str = ENVIRONMENT,
    offline: bool = False,
    progress: Progress | None = None,
) -> None:
    """Make the environment of `packages` and move it to `into`, which must not exist.

    `place` is where the image will have it: its scripts name the Python there. `into` is on the store's
    file system; it appears whole or not at all. What is not in uv's cache is fetched, unless `offline`.
    Raises BuildError, VerificationError, FetchError, HostError.
    """
    progress = progress or Silent()
    check_refused(uv, packages)
    status, told = _attempt(uv, packages, interpreter, target, sandbox, into, place, offline, progress)
    if status and _UNCACHED.search(told) and not offline:
        prefetch(uv, packages, target=target, progress=progress)
        status, told = _attempt(uv, packages, interpreter, target, sandbox, into, place, offline, progress)
    if status:
        raise _error(told, offline)


def _attempt(
    uv: Uv,
    packages: Sequence[PythonPackage],
    interpreter: Interpreter,
    target: Target,
    sandbox: Sandbox,
    into: Path,
    place: str,
    offline: bool,
    progress: Progress,
) -> tuple[int, str]:
    with uv.work() as folder:
        ready = sources.build_all(
            uv,
            packages,
            folder / "wheels",
            interpreter=interpreter,
            target=target,
            sandbox=sandbox,
            offline=offline,
            progress=progress,
        )
        (folder / "requirements.txt").write_text("".join(map(requirement, ready)))
        made = plan(uv, folder, place=place, has_packages=bool(ready), interpreter=interpreter)
        status, told = sandbox.run(
            made.arguments, mounts=made.mounts, environment=made.environment, network=False
        )
        if not status:
            finish(folder / "venv", interpreter)
            into.parent.mkdir(parents=True, exist_ok=True)
            os.rename(folder / "venv", into)
        return status, told


def plan(uv: Uv, folder: Path, *, place: str, has_packages: bool, interpreter: Interpreter) -> Plan:
    """The command that makes `folder`/venv from `folder`/requirements.txt and `folder`/wheels."""
    inside = f"{ROOT}/{folder.relative_to(uv.folder)}"
    command = [
        *(UV, "pip", "install", "--python", f"{place}/bin/python"),
        *("--no-deps", "--require-hashes", "--no-build", "--link-mode", "hardlink", "--offline"),
        *("-r", f"{inside}/requirements.txt", *uv.indexes.arguments()),
    ]
    program = [sources.python(interpreter), "-I", "-c", _PROGRAM, place, f"{inside}/venv"]
    return Plan(
        arguments=(*program, *(command if has_packages else [])),
        mounts=((uv.folder, ROOT, False), *sources.tools(uv)),
        environment=_variables(uv, f"{inside}/wheels"),
    )


def _variables(uv: Uv, wheels: str) -> dict[str, str]:
    """uv's environment inside: the same indexes, for they are the cache's keys, but no password."""
    shown = uv.indexes.variables()
    names: tuple[str, ...] = ("UV_DEFAULT_INDEX", "UV_INDEX")
    found = {name: without_credentials(shown[name]) for name in names if name in shown}
    return {
        **found,
        "UV_FIND_LINKS": ",".join(filter(None, (shown.get("UV_FIND_LINKS"), f"file://{wheels}"))),
        "UV_CACHE_DIR": f"{ROOT}/cache",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        # INSTALLER, REQUESTED, direct_url.json, uv_cache.json: who installed, from where and when.
        "UV_NO_INSTALLER_METADATA": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/root",
    }


def recorded_bytes(root: Path) -> int:
    """The bytes of all installed files below `root`, as the distributions' RECORDs list them.

    Each line is path, hash and size (recording installed projects, "The RECORD file").
    """
    total = 0
    for record in root.glob("opt/*/lib/python3.*/site-packages/*.dist-info/RECORD"):
        sizes = (line.rpartition(",")[2] for line in record.read_text(errors="replace").splitlines())
        total += sum(int(size) for size in sizes if size.isdigit())
    return total


def finish(tree: Path, interpreter: Interpreter) -> None:
    """Take from an environment what tells of how it was made, and write its pyvenv.cfg (PEP 405)."""
    for name in _LEFT:
        (tree / name).unlink(missing_ok=True)
    configuration = tree / "pyvenv.cfg"
    configuration.unlink()  # never write through: the file might be linked elsewhere
    home = sources.python(interpreter).rpartition("/")[0]
    configuration.write_text(
        f"home = {home}\ninclude-system-site-packages = false\nversion = {interpreter.version}\n"
    )
    configuration.chmod(0o644)


def _error(told: str, offline: bool) -> Exception:
    """uv's answer when no network is needed: a package is bad, or the host is."""
    error = errors.explain(told, doing="cannot install the Python packages", offline=offline)
    if isinstance(error, VerificationError | HostError) or (offline and _UNCACHED.search(told)):
        return error
    return BuildError(f"cannot install the Python packages:\n  {errors.shorten(told)}", hint=error.hint)
