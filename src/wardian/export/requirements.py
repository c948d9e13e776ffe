"""The Python packages of a lock, as pip's requirements file says them. Without any index's address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wardian.project.requirements import EXPORTED

if TYPE_CHECKING:
    from wardian.lock.model import PlatformLock


def requirements_text(lock: PlatformLock, *, hashes: bool = True) -> str:
    """The text of a requirements.txt that installs exactly the lock's files on its platform.

    pip takes it with `--require-hashes --no-deps`. Without `hashes` it names versions alone. Of a lock
    without Python there is the header.
    """
    python = lock.python
    version = f", Python {python.interpreter.version}" if python else ""
    options = "--no-deps --require-hashes" if hashes else "--no-deps"
    lines = [
        f"{EXPORTED}, for {lock.platform}{version}.",
        f"# pip install {options} -r requirements.txt",
    ]
    for package in python.packages if python else ():
        pinned = f"{package.name}=={package.version}"
        lines += [f"{pinned} \\", f"    --hash=sha256:{package.sha256}"] if hashes else [pinned]
    return "\n".join(lines) + "\n"
