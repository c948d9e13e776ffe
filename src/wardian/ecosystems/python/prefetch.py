"""Fetches locked wheels into uv's cache on the host, before there is any image to install them in.

uv has no command that only fetches. So it is set to install into a folder that is thrown away, and
ended when it says that all is prepared: unpacked in its cache, hashes checked, nothing linked yet
(113 packages: 3.8 s; with the links thrown away afterwards 5.7 s, as symbolic links 7.7 s).
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from wardian.ecosystems.python import errors
from wardian.errors import VerificationError
from wardian.system.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from subprocess import Popen

    from wardian.ecosystems.python.model import PythonPackage
    from wardian.ecosystems.python.program import Uv
    from wardian.ecosystems.python.pylock import Target
    from wardian.system.progress import Progress, Step

_DOWNLOADED = re.compile(r"\s*Downloaded (\S+)")
_UNSAFE = re.compile(r"Skipping unsafe file name: (.*)")
# uv leaves members out that would leave their root, and says so at this level only.
_LOG = {"RUST_LOG": "uv_extract=warn"}


def requirement(package: PythonPackage) -> str:
    """The line for a requirements file that names this one file."""
    return f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n"


def is_wheel(package: PythonPackage) -> bool:
    """Whether it is installed as it is; else it is a source distribution."""
    return package.file.endswith(".whl")


def prefetch(
    uv: Uv, packages: Sequence[PythonPackage], *, target: Target, progress: Progress | None = None
) -> None:
    """Have every wheel of `packages` in uv's cache. It needs no image, and may run while one is made.

    Raises FetchError, VerificationError for a file that is not the locked one or whose members would
    leave their root, BuildError for one that is no wheel.
    """
    wheels = [package for package in packages if is_wheel(package)]
    check_refused(uv, wheels)
    if not wheels or _is_there(uv, wheels, target):
        return
    total = sum(package.size for package in wheels)
    with uv.work() as folder, (progress or Silent()).step("Python packages", total=total, unit="B") as step:
        told = _fetch(uv, wheels, target, folder, step)
        if unsafe := _UNSAFE.search(told):
            raise _refuse(uv, wheels, target, unsafe[1])


def _arguments(wheels: Iterable[PythonPackage], target: Target, folder: Path, uv: Uv) -> list[str]:
    import sys

    folder.mkdir(exist_ok=True)
    (folder / "requirements.txt").write_text("".join(map(requirement, wheels)))
    return [
        *("pip", "install", "--target", f"{folder}/target", "--python", sys.executable),
        *("--no-deps", "--require-hashes", "--no-build", "--link-mode", "hardlink"),
        *("-r", f"{folder}/requirements.txt", *target.arguments, *uv.indexes.arguments()),
    ]


def _is_there(uv: Uv, wheels: Sequence[PythonPackage], target: Target) -> bool:
    """Whether uv would install without the network; 0.1 s for 113 packages."""
    with uv.work() as folder:
        status, told = uv.run(
            [*_arguments(wheels, target, folder, uv), "--dry-run", "--offline"], folder=folder
        )
    return status == 0 and "Would download" not in told


def _fetch(uv: Uv, wheels: Sequence[PythonPackage], target: Target, folder: Path, step: Step) -> str:
    sizes = {package.name: package.size for package in wheels}
    lines: list[str] = []
    with uv.start(_arguments(wheels, target, folder, uv), folder=folder, **_LOG) as process:
        # Behind apt's solving and the Debian packages, which more waits for: 0.6 s of a first build. Who runs
        # us further behind than that may not be allowed to come forward.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpriority(os.PRIO_PROCESS, process.pid, 5)
        try:
            is_prepared = _follow(process, lines, sizes, step)
        finally:
            process.kill()
            process.wait()
    told = "".join(lines)
    if not is_prepared:
        raise errors.explain(told or "uv was killed", doing="cannot fetch the Python packages")
    step.advance(sum(sizes.values()))
    return told


def _follow(process: Popen[str], lines: list[str], sizes: dict[str, int], step: Step) -> bool:
    """Read what uv tells, until all is prepared or uv ends; whether it is prepared."""
    for line in process.stderr or ():
        lines.append(line)
        if line.startswith("Prepared "):
            # Only links into the throw-away folder would follow: the cache is complete.
            return True
        if found := _DOWNLOADED.match(line):
            step.advance(sizes.pop(found[1], 0))
    return process.wait() == 0


def _refuse(uv: Uv, wheels: Sequence[PythonPackage], target: Target, member: str) -> VerificationError:
    """Remember the bad wheel, for uv's cache holds what was left of it and would serve that."""
    package = _find(uv, wheels, target)
    _refused(uv).mkdir(exist_ok=True)
    (_refused(uv) / package.sha256).write_text(member)
    return _unsafe(package, member)


def _find(uv: Uv, wheels: Sequence[PythonPackage], target: Target) -> PythonPackage:
    """Which wheel uv meant, which it does not say: halves are fetched anew until one is left."""
    while len(wheels) > 1:
        half = wheels[: len(wheels) // 2]
        with uv.work() as folder:
            told = _fetch_into(uv, half, target, folder)
        wheels = half if _UNSAFE.search(told) else wheels[len(half) :]
    return wheels[0]


def _fetch_into(uv: Uv, wheels: Sequence[PythonPackage], target: Target, folder: Path) -> str:
    cache = {"UV_CACHE_DIR": f"{folder}/cache"}
    _, told = uv.run(_arguments(wheels, target, folder, uv), folder=folder, **_LOG, **cache)
    return told


def check_refused(uv: Uv, wheels: Iterable[PythonPackage]) -> None:
    """Raise VerificationError for a wheel that was found to be bad before."""
    for package in wheels:
        path = _refused(uv) / package.sha256
        if path.exists():
            raise _unsafe(package, path.read_text())


def _refused(uv: Uv) -> Path:
    return uv.folder / "refused"


def _unsafe(package: PythonPackage, member: str) -> VerificationError:
    return VerificationError(
        f"{package.file} holds a member that would leave its root: {member!r}",
        hint=f"do not use it: remove {package.name}, or ask for another version of it",
    )
