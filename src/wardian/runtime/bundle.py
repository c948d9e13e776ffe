"""OCI runtime bundles: the `config.json` of a run and of a build step (runtime-spec, config.md).

Plain dicts in the specification's own words. On the start-up path of every run.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

USER = 1000  # the user inside; outside it is whoever runs wardian

# What only real root may do: answered with success (DESIGN: root is emulated). Ownership comes from the
# packages' metadata, not from the disk.
_OWNING = ["chown", "chown32", "fchown", "fchown32", "lchown", "lchown32", "fchownat"]
_FAKED = [
    *_OWNING, "setuid", "setuid32", "setgid", "setgid32", "setreuid", "setreuid32", "setregid", "setregid32",
    "setresuid", "setresuid32", "setresgid", "setresgid32", "setgroups", "setgroups32", "setfsuid",
    "setfsuid32", "setfsgid", "setfsgid32", "mknod", "mknodat", "capset",
]  # fmt: skip
# These cost a build seconds and guard nothing: one that is cut off is thrown away. A run may write to files
# that are to last.
_SYNCING = ["fsync", "fdatasync", "sync", "syncfs", "sync_file_range"]
_ROOT_CAPABILITIES = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETGID", "CAP_SETUID",
    "CAP_SYS_CHROOT", "CAP_SETFCAP",
]  # fmt: skip
# What the default profile allows to who has them; it is read for a process that has none (seccomp.py).
_ROOT_CALLS = ["chroot"]

# A process of real root keeps root's kernel user id inside, and with it would own these files.
_MASKED = [
    "/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", "/proc/slabinfo", "/proc/vmallocinfo",
    "/proc/pagetypeinfo", "/proc/iomem", "/proc/ioports", "/proc/mtrr", "/proc/kmsg", "/proc/kallsyms",
    "/proc/driver", "/proc/dynamic_debug", "/sys/kernel/debug", "/sys/kernel/tracing",
    "/sys/kernel/security", "/sys/fs/bpf", "/sys/fs/pstore",
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware",
    "/sys/devices/virtual/powercap", "/sys/fs/selinux",
]  # fmt: skip
_READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def mount(destination: str, source: str, *options: str, kind: str = "none") -> dict[str, Any]:
    """One entry of `mounts`; a bind mount unless `kind` names a file system."""
    return {"destination": destination, "source": source, "type": kind, "options": list(options)}


def bind(source: str, destination: str, *, read_only: bool) -> dict[str, Any]:
    """A recursive bind mount of a file or folder of the host."""
    return mount(destination, source, "rbind", "rro" if read_only else "rw", "nosuid", "nodev")


def network_mounts() -> list[dict[str, Any]]:
    """How names are looked up: the host's own way, for who shares its network."""
    paths = ("/etc/resolv.conf", "/etc/hosts")
    return [bind(path, path, read_only=True) for path in paths if os.path.exists(path)]


def run_config(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: str,
    terminal: os.terminal_size | None,
    mounts: Sequence[Mapping[str, Any]],
    seccomp: Mapping[str, Any],
    network: bool,
    name: str,
    user: int = USER,
    group: int = USER,
) -> dict[str, Any]:
    """The configuration of a program run by the user: not root, no capability, the default profile.

    `user` and `group` are what it sees itself as.
    """
    namespaces = ["user", "mount", "ipc", "uts"] + ([] if network else ["network"])
    return {
        "ociVersion": "1.0.2",
        "hostname": _host_name(name),
        "mounts": [*_system_mounts(), *mounts],
        "process": {
            **_process(arguments, environment, directory, terminal),
            "user": {"uid": user, "gid": group, "umask": 0o022},
            "capabilities": {},
        },
        "linux": {
            "namespaces": [{"type": kind} for kind in namespaces],
            "uidMappings": [{"containerID": user, "hostID": 0, "size": 1}],
            "gidMappings": [{"containerID": group, "hostID": 0, "size": 1}],
            "maskedPaths": _MASKED,
            "readonlyPaths": _READ_ONLY,
            "seccomp": seccomp,
        },
    }


def root_config(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: str = "/",
    terminal: os.terminal_size | None = None,
    mounts: Sequence[Mapping[str, Any]] = (),
    network: bool = False,
    name: str = "build",
    seccomp: Mapping[str, Any] | None = None,
    record: bool = False,
) -> dict[str, Any]:
    """The configuration of a process that believes itself root: one id mapped, the rest emulated.

    Without a profile to go by (`seccomp`), as in builds, every other system call is allowed, and nothing is
    forced to the disk. With `record`, calls that give files an owner are handed over (owners.py).
    """
    namespaces = ["mount", "ipc", "uts"] + ([] if network else ["network"])
    return {
        "ociVersion": "1.0.2",
        "hostname": _host_name(name),
        "mounts": [*_system_mounts(), *mounts],
        "process": {
            **_process(arguments, environment, directory, terminal),
            "user": {"uid": 0, "gid": 0, "umask": 0o022},
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), _ROOT_CAPABILITIES),
        },
        "linux": {
            "namespaces": [{"type": kind} for kind in namespaces],
            "maskedPaths": _MASKED,
            "readonlyPaths": _READ_ONLY,
            "seccomp": _emulating(seccomp, record),
        },
    }


def _host_name(name: str) -> str:
    """A host's name, of at most 63 characters (RFC 1123, 2.1): Linux takes 64 (sethostname(2))."""
    return name[:63].rstrip("-._")


def _emulating(profile: Mapping[str, Any] | None, record: bool) -> dict[str, Any]:
    """A profile with root's calls answered by success; no call may have two answers."""
    faked = _FAKED
    if profile is None:
        profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}
        faked = [*_FAKED, *_SYNCING]
    answered = {*faked, *_ROOT_CALLS}
    rules = [
        {**rule, "names": names}
        for rule in profile["syscalls"]
        if (names := [name for name in rule["names"] if name not in answered])
    ]
    answers: list[dict[str, Any]] = [
        {
            "names": [name for name in faked if not record or name not in _OWNING],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 0,
        },
        {"names": _ROOT_CALLS, "action": "SCMP_ACT_ALLOW"},
    ]
    if record:
        answers.append({"names": _OWNING, "action": "SCMP_ACT_NOTIFY"})
    return {**profile, "syscalls": [*answers, *rules]}


def _process(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    directory: str,
    terminal: os.terminal_size | None,
) -> dict[str, Any]:
    # The size is that of the moment; later changes reach the runtime as SIGWINCH.
    size = {"height": terminal.lines, "width": terminal.columns} if terminal else None
    return {
        "terminal": terminal is not None,
        **({"consoleSize": size} if size else {}),
        "args": list(arguments),
        "env": [f"{name}={value}" for name, value in environment.items()],
        "cwd": directory,
        "noNewPrivileges": True,
    }


def _system_mounts() -> list[dict[str, Any]]:
    """What every container sees of the kernel. /dev itself is the container's (container.py)."""
    return [
        # Bound, not mounted: the pid namespace belongs to the outer user namespace (container.py).
        mount("/proc", "/proc", "rbind", "nosuid", "nodev", "noexec"),
        mount("/sys", "/sys", "rbind", "rro", "nosuid", "nodev", "noexec"),
        mount(
            "/dev/pts",
            "devpts",
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
            kind="devpts",
        ),
        mount("/dev/shm", "shm", "nosuid", "nodev", "noexec", "mode=1777", kind="tmpfs"),
        mount("/dev/mqueue", "mqueue", "nosuid", "nodev", "noexec", kind="mqueue"),
    ]
