"""Builds the environment /opt/venv: uv in a sandbox, with the image's own Python, out of uv's cache.

Hard links do not cross mounts, not even two mounts of one file system. So one folder, which holds the
cache and the work, is mounted at ROOT; the environment is made at /opt/venv by the image's Python,
moved below ROOT while it is nearly empty, and /opt/venv becomes a link to it: uv and the scripts that
it writes go by the name /opt/venv, and the files are linked, not copied. The sandbox's root takes that
link: it must be one that is thrown away.

The tree depends on the lock alone, but for what sources are built into (sources.py): nothing in it tells
of this machine or of the time. Scripts and RECORDs are as the one version of uv writes them. uv installs
packages side by side, so which of two gives a path that both ship is chance; where that happens, those
packages are installed one after another.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.ecosystems.python import errors, records, sources
from wardian.ecosystems.python.indexes import without_credentials
from wardian.ecosystems.python.launcher import add_pip
from wardian.ecosystems.python.prefetch import check_refused, prefetch, requirement
from wardian.ecosystems.python.sandbox import ROOT, UV, Mount, Sandbox
from wardian.errors import BuildError, HostError, VerificationError
from wardian.system import files
from wardian.system.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wardian.ecosystems.python.model import Interpreter, PythonPackage
    from wardian.ecosystems.python.program import Uv
    from wardian.ecosystems.python.pylock import Target
    from wardian.system.progress import Progress

ENVIRONMENT = "/opt/venv"

# venv refuses an environment's folder that is a link, hence the move. Run by the image's Python with
# the tree's place, a folder of requirements and uv's command line, which is run for each file of them.
_PROGRAM = """
import os, shutil, sys, venv
os.umask(0o022)
place, tree, requirements, *command = sys.argv[1:]
if os.path.islink(place):
    os.unlink(place)
venv.create(place, symlinks=True)
shutil.move(place, tree)
os.symlink(tree, place)
for name in sorted(os.listdir(requirements)):
    status = os.spawnv(os.P_WAIT, command[0], [*command, "-r", os.path.join(requirements, name)])
    if status:
        sys.exit(abs(status))
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
    below: Sequence[str],
    place: str = ENVIRONMENT,
    offline: bool = False,
    progress: Progress | None = None,
) -> None:
    """Make the environment of `packages` and move it to `into`, which must not exist.

    `place` is where the image will have it: its scripts name the Python there. `into` is on the store's
    file system; it appears whole or not at all. `below` are the keys of the layers that the sandbox's root is
    made of: what is compiled depends on them. What is not in uv's cache is fetched, unless `offline`.
    Raises BuildError, VerificationError, FetchError, HostError.
    """
    progress = progress or Silent()
    check_refused(uv, packages)
    installation = Installation(
        uv=uv,
        packages=packages,
        interpreter=interpreter,
        target=target,
        sandbox=sandbox,
        place=place,
        below=below,
        offline=offline,
        progress=progress,
    )
    status, told = installation.attempt(into)
    if status and _UNCACHED.search(told) and not offline:
        prefetch(uv, packages, target=target, progress=progress)
        status, told = installation.attempt(into)
    if status:
        raise _error(told, offline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is installed with what, and where the image will have it."""

    uv: Uv
    packages: Sequence[PythonPackage]
    interpreter: Interpreter
    target: Target
    sandbox: Sandbox
    place: str
    below: Sequence[str]
    offline: bool
    progress: Progress

    def attempt(self, into: Path) -> tuple[int, str]:
        """Make the environment; the exit status and output of the command that made it, or failed to."""
        with self.uv.work() as folder:
            ready = self._ready(folder)
            status, told = self._make(folder, [ready])
            installed = {package.name for package in ready}
            if not status and (names := records.read(folder / "venv", installed).conflicting()):
                files.remove_tree(folder / "venv")
                status, told = self._make(folder, _in_turn(ready, names))
            if not status:
                finish(folder / "venv", self.interpreter)
                if self.place == ENVIRONMENT:
                    add_pip(folder / "venv", self.place)
                into.parent.mkdir(parents=True, exist_ok=True)
                os.rename(folder / "venv", into)
            return status, told

    def _ready(self, folder: Path) -> list[PythonPackage]:
        return sources.build_all(
            self.uv,
            self.packages,
            folder / "wheels",
            interpreter=self.interpreter,
            target=self.target,
            below=self.below,
            sandbox=self.sandbox,
            offline=self.offline,
            progress=self.progress,
        )

    def _make(self, folder: Path, groups: Sequence[Sequence[PythonPackage]]) -> tuple[int, str]:
        """Install groups of packages one after another into a new environment, `folder`/venv."""
        requirements = folder / "requirements"
        requirements.mkdir(exist_ok=True)
        for number, group in enumerate(group for group in groups if group):
            (requirements / f"{number:06}.txt").write_text("".join(map(requirement, group)))
        made = plan(self.uv, folder, place=self.place, interpreter=self.interpreter)
        return self.sandbox.run(
            made.arguments, mounts=made.mounts, environment=made.environment, network=False
        )


def _in_turn(packages: Sequence[PythonPackage], names: Sequence[str]) -> list[list[PythonPackage]]:
    """Those of `names` by themselves, in name order, after all others: so the last of them wins."""
    others = [package for package in packages if package.name not in names]
    return [others, *([package] for name in names for package in packages if package.name == name)]


def plan(uv: Uv, folder: Path, *, place: str, interpreter: Interpreter) -> Plan:
    """The command that makes `folder`/venv from `folder`/requirements and `folder`/wheels."""
    inside = f"{ROOT}/{folder.relative_to(uv.folder)}"
    command = [
        *(UV, "pip", "install", "--python", f"{place}/bin/python"),
        *("--no-deps", "--require-hashes", "--no-build", "--link-mode", "hardlink", "--offline"),
        *uv.indexes.arguments(),
    ]
    program = [sources.python(interpreter), "-I", "-c", _PROGRAM]
    return Plan(
        arguments=(*program, place, f"{inside}/venv", f"{inside}/requirements", *command),
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
