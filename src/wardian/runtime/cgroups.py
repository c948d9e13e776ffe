"""Limits on memory and processors, set on cgroups of the host's around the whole container.

With version 1 each controller has a hierarchy of its own, where only root may make a cgroup. With
version 2 there is one, and whoever may write to a part of it may: root, and users below what systemd
delegates to them (`user@UID.service`). There a cgroup with processes in it cannot hand controllers down
to others (admin-guide/cgroup-v2, "No Internal Process Constraint"), so the new one is made beside this
process's own, or further up. Elsewhere a warning says so and the run goes on without the limit.
"""

from __future__ import annotations

import contextlib
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PERIOD = 100_000  # microseconds, the kernel's own default (admin-guide/cgroup-v2, cpu.max)
_OPTIONS = {"memory": "--memory", "cpu": "--cpus"}


class Place:
    """Where a hierarchy takes a new cgroup: below `parent`, for a process that is in `own` now."""

    __slots__ = ("controllers", "own", "parent", "version")

    def __init__(self, *, version: int, own: str, parent: str, controllers: tuple[str, ...]) -> None:
        self.version = version
        self.own = own
        self.parent = parent
        self.controllers = controllers


@contextlib.contextmanager
def limited(
    memory: int | None, cpus: float | None, warn: Callable[[str], None], host: str = ""
) -> Iterator[None]:
    """Have what is started in this block limited to `memory` bytes and `cpus` processors.

    This process moves into the new cgroups, so that its children start in them, and at the end back to
    where it was. `warn` is told of a limit that cannot be set. `host` is in front of /proc and /sys.
    """
    limits = {"memory": memory, "cpu": cpus}
    wanted = {name: limit for name, limit in limits.items() if limit is not None}
    with contextlib.ExitStack() as stack:
        if wanted:
            places, refused = find_places(tuple(wanted), host)
            for place in places:
                try:
                    stack.enter_context(_joined(place, wanted))
                except OSError as error:
                    refused |= dict.fromkeys(place.controllers, error.strerror or str(error))
            for name, reason in refused.items():
                warn(f"{_OPTIONS[name]} has no effect: cgroups cannot be set here ({reason})")
        yield


def find_places(wanted: tuple[str, ...], host: str = "") -> tuple[list[Place], dict[str, str]]:
    """One place for each hierarchy that has any of the wanted controllers; for the others, why not."""
    places: dict[str, Place] = {}
    refused: dict[str, str] = {}
    unified = []
    try:
        entries = _entries(host)
    except OSError as error:
        return [], dict.fromkeys(wanted, error.strerror or str(error))
    for name in wanted:
        entry = next((entry for entry in entries if name in entry[0]), None)
        if entry is None:
            unified.append(name)
        elif not _is_writable(own := _version1(*entry, name, host)):
            refused[name] = f"no right to write to {own}" if os.path.isdir(own) else f"there is no {own}"
        elif own in places:
            places[own].controllers += (name,)
        else:
            places[own] = Place(version=1, own=own, parent=own, controllers=(name,))
    return [*places.values(), *_version2(unified, entries, host, refused)], refused


def _entries(host: str) -> list[tuple[tuple[str, ...], str]]:
    """The controllers of each hierarchy and this process's path there (cgroups(7), /proc/PID/cgroup)."""
    with open(f"{host}/proc/self/cgroup") as file:
        parts = [line.rstrip("\n").split(":", 2) for line in file]
    return [(tuple(names.split(",")) if names else (), path) for _, names, path in parts]


def _version1(controllers: tuple[str, ...], path: str, name: str, host: str) -> str:
    joint = f"{host}/sys/fs/cgroup/{','.join(controllers)}"
    return f"{joint if os.path.isdir(joint) else f'{host}/sys/fs/cgroup/{name}'}{path}".rstrip("/")


def _version2(
    wanted: list[str], entries: list[tuple[tuple[str, ...], str]], host: str, refused: dict[str, str]
) -> list[Place]:
    """The nearest cgroup from the process's own up that may be written and hands the controllers down."""
    found = [
        (f"{host}/sys/fs/cgroup{mount}", path)
        for names, path in entries
        for mount in ("", "/unified")
        if not names and os.path.exists(f"{host}/sys/fs/cgroup{mount}/cgroup.controllers")
    ]
    if not found:
        refused |= {name: f"there is no {name} controller" for name in wanted}
        return []
    top, path = found[0]
    own = f"{top}{path}".rstrip("/")
    offered = (
        {folder: _handed_down(folder) for folder in _upwards(own, top) if _is_writable(folder)}
        if _is_writable(own)
        else {}
    )
    possible = {name for names in offered.values() for name in names if name in wanted}
    # What a cgroup hands down it has been handed itself: the uppermost offers all that is offered below.
    parent = next((folder for folder, names in offered.items() if possible and possible <= names), None)
    controllers = tuple(name for name in wanted if parent and name in possible)
    refused |= {
        name: f"no cgroup around {own} hands the {name} controller down and may be written"
        for name in wanted
        if name not in controllers
    }
    return [Place(version=2, own=own, parent=parent, controllers=controllers)] if parent else []


def _upwards(folder: str, top: str) -> Iterator[str]:
    while folder != top and folder.startswith(f"{top}/"):
        yield folder
        folder = os.path.dirname(folder)
    yield top


def _handed_down(folder: str) -> set[str]:
    try:
        with open(f"{folder}/cgroup.subtree_control") as file:
            return set(file.read().split())
    except OSError:
        return set()


def _is_writable(folder: str) -> bool:
    """Whether a cgroup can be made there, and a process be moved to and from what is below it."""
    return os.access(folder, os.W_OK | os.X_OK) and os.access(f"{folder}/cgroup.procs", os.W_OK)


@contextlib.contextmanager
def _joined(place: Place, limits: dict[str, float]) -> Iterator[None]:
    _sweep(place.parent)
    # Another name each time: that of a process that was killed may be there still.
    child = f"{place.parent}/wardian-{os.getpid()}-{os.urandom(4).hex()}"
    os.mkdir(child)
    try:
        for name in place.controllers:
            _set(child, place.version, name, limits[name])
        _write(f"{child}/cgroup.procs", str(os.getpid()))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                _write(f"{place.own}/cgroup.procs", str(os.getpid()))
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(child)


def _sweep(parent: str) -> None:
    """Remove the cgroups that killed processes have left; the kernel keeps those that are in use."""
    with contextlib.suppress(OSError):
        for name in os.listdir(parent):
            process = name.removeprefix("wardian-").partition("-")[0]
            if name.startswith("wardian-") and process.isdecimal() and not os.path.exists(f"/proc/{process}"):
                with contextlib.suppress(OSError):
                    os.rmdir(f"{parent}/{name}")


def _set(folder: str, version: int, controller: str, limit: float) -> None:
    if controller == "memory":
        amount = str(int(limit))
        limiting, swapping = (
            (("memory.max", amount), ("memory.swap.max", "0"))
            if version == 2
            else (("memory.limit_in_bytes", amount), ("memory.memsw.limit_in_bytes", amount))
        )
        _write(f"{folder}/{limiting[0]}", limiting[1])
        if os.path.exists(f"{folder}/{swapping[0]}"):  # kernels without accounting of swap lack it
            _write(f"{folder}/{swapping[0]}", swapping[1])
        return
    quota = str(max(1000, int(limit * _PERIOD)))  # less than 1 ms is refused
    if version == 2:
        _write(f"{folder}/cpu.max", f"{quota} {_PERIOD}")
        return
    _write(f"{folder}/cpu.cfs_period_us", str(_PERIOD))
    _write(f"{folder}/cpu.cfs_quota_us", quota)


def _write(path: str, value: str) -> None:
    # Without O_CREAT: a file that the kernel does not have is an error.
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        if os.write(descriptor, value.encode()) != len(value):
            raise OSError(errno.EIO, f"short write to {path}")
    finally:
        os.close(descriptor)
