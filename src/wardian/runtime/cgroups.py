"""Limits on memory and processors, set on a cgroup of the host's around the whole container.

Works where the caller may make a cgroup: as root, or under a delegated subtree of cgroup v2 (as systemd
gives to user sessions). Elsewhere a warning says so and the run goes on without the limit.
"""

from __future__ import annotations

import contextlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROOT = "/sys/fs/cgroup"
_PERIOD = 100_000  # microseconds, the kernel's own default (admin-guide/cgroup-v2, cpu.max)


@contextlib.contextmanager
def limited(memory: int | None, cpus: float | None, warn: Callable[[str], None]) -> Iterator[None]:
    """Have what is started in this block limited to `memory` bytes and `cpus` processors.

    This process moves into the new cgroups, so that its children start in them, and back at the end.
    `warn` is told of a limit that cannot be set.
    """
    with contextlib.ExitStack() as stack:
        for wanted, controller, what in ((memory, "memory", "--memory"), (cpus, "cpu", "--cpus")):
            if wanted is not None:
                try:
                    stack.enter_context(_joined(controller, _settings(controller, wanted)))
                except OSError as error:
                    warn(f"{what} has no effect: cgroups cannot be set here ({error.strerror})")
        yield


def _settings(controller: str, wanted: float) -> dict[str, str]:
    """The files to write, of either version; those that the cgroup has are written."""
    if controller == "memory":
        amount = str(int(wanted))
        return {
            "memory.max": amount,
            "memory.swap.max": "0",
            "memory.limit_in_bytes": amount,
            "memory.memsw.limit_in_bytes": amount,
        }
    quota = str(max(1000, int(wanted * _PERIOD)))
    return {"cpu.max": f"{quota} {_PERIOD}", "cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": quota}


@contextlib.contextmanager
def _joined(controller: str, settings: dict[str, str]) -> Iterator[None]:
    parent = _own_cgroup(controller)
    child = f"{parent}/wardian-{os.getpid()}"
    os.mkdir(child)
    try:
        written = [_write(f"{child}/{name}", value) for name, value in settings.items()]
        if not any(written):
            raise FileNotFoundError(2, f"the {controller} controller is not enabled in {parent}")
        _write(f"{child}/cgroup.procs", str(os.getpid()))
        yield
    finally:
        with contextlib.suppress(OSError):
            _write(f"{parent}/cgroup.procs", str(os.getpid()))
            os.rmdir(child)


def _write(path: str, value: str) -> bool:
    if not os.path.exists(path):
        return False
    with open(path, "w") as file:
        file.write(value)
    return True


def _own_cgroup(controller: str) -> str:
    """This process's cgroup folder for a controller (cgroups(7), /proc/PID/cgroup)."""
    with open("/proc/self/cgroup") as file:
        lines = [line.rstrip("\n").split(":", 2) for line in file]
    for _, controllers, path in lines:
        if controller in controllers.split(","):
            return f"{_ROOT}/{controllers}{path}".rstrip("/")
    for number, _, path in lines:
        if number == "0" and os.path.exists(f"{_ROOT}/cgroup.controllers"):
            # A cgroup of version 2 that holds processes cannot hand controllers down, save the topmost.
            return _ROOT if os.geteuid() == 0 else f"{_ROOT}{path}".rstrip("/")
    raise FileNotFoundError(2, f"there is no {controller} controller")
