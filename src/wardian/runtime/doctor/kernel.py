"""The kernel: its version, user namespaces and what commonly forbids them, system call filters."""

from __future__ import annotations

import errno
import os
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.runtime.doctor.check import Check, not_tried

if TYPE_CHECKING:
    from wardian.runtime.doctor.trial import Steps

# 5.11 brought overlayfs into user namespaces (`userxattr`), 5.12 read-only bind mounts of whole trees
# (mount_setattr). Distributions carry such things back to older numbers, so this check only warns.
_WANTED = (5, 12)

_NAMESPACES = "user namespaces"
_STEPS = {
    "unshare": "making one",
    "map": "mapping the user's id into it",
    "mounts": "changing mounts inside it",
    "proc": "mounting /proc inside it",
    "nested": "making one inside another",
}
# What lets a container be made inside one: the outer one's system call filter, its AppArmor profile and
# the covers over parts of /proc, with which the kernel refuses a new /proc (mount_too_revealing).
_CONTAINER_HINTS = {
    "docker": (
        "start that container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        "--security-opt systempaths=unconfined"
    ),
    "podman": "start that container with --security-opt seccomp=unconfined --security-opt unmask=ALL",
    "kubernetes": "give the pod hostUsers: false, procMount: Unmasked and seccompProfile type Unconfined",
}
_NESTING = "allow nesting in that container's settings (LXC: security.nesting=true)"


def check_kernel(host: Path) -> Check:
    """Whether the kernel is one that has everything, judged by its number."""
    release = _read(host / "proc/sys/kernel/osrelease").strip() or platform.release()
    machine = platform.machine()
    name = "kernel"
    if "Microsoft" in release:  # WSL 2 writes it in lower case
        hint = "convert the distribution to WSL 2: wsl --set-version NAME 2"
        return Check(name=name, ok=False, message=f"{release} is WSL 1, which is no Linux kernel", hint=hint)
    found = re.match(r"(\d+)\.(\d+)", release)
    if found and (int(found[1]), int(found[2])) < _WANTED:
        message = f"Linux {release} is older than 5.12, the oldest that is known to work"
        hint = "if another check fails, upgrade the kernel"
        return Check(name=name, ok=None, message=message, hint=hint)
    return Check(name=name, ok=True, message=f"Linux {release} on {machine}")


def check_namespaces(host: Path, steps: Steps) -> Check:
    """Whether an ordinary process may make a user namespace and mount in it; else what forbids it."""
    if not steps:
        return not_tried(_NAMESPACES)
    failed = next((step for step in _STEPS if steps.get(step) != 0), None)
    if failed is None:
        return Check(name=_NAMESPACES, ok=True, message="an ordinary process may make them and mount inside")
    number = steps.get(failed)
    reason = "no answer" if number is None else os.strerror(number)
    cause, hint = _explain(host, number or 0)
    message = f"{_STEPS[failed]} fails: {reason}" + (f"; {cause}" if cause else "")
    return Check(name=_NAMESPACES, ok=False, message=message, hint=hint)


def check_seccomp(host: Path) -> Check:
    """Whether the kernel filters system calls (seccomp(2)), with which root is emulated in builds.

    It has to hand some over, too: that is how the owners of files become known.
    """
    actions = _read(host / "proc/sys/kernel/seccomp/actions_avail").split()
    if _read(host / "proc/sys/kernel/yama/ptrace_scope").strip() == "3":
        message = "builds cannot read which files are given owners: kernel.yama.ptrace_scope is 3"
        hint = "set it to 2 or less where it is set, and restart: it cannot be lowered meanwhile"
        return Check(name="seccomp", ok=False, message=message, hint=hint)
    if "errno" in actions and "user_notif" in actions:
        return Check(name="seccomp", ok=True, message="system calls can be filtered")
    message = "the kernel cannot filter system calls (CONFIG_SECCOMP_FILTER) and hand them over"
    return Check(name="seccomp", ok=False, message=message, hint="use a kernel that is built with seccomp")


def enclosing_container(host: Path) -> str:
    """The kind of container that this process runs in, or an empty string."""
    marks = {".dockerenv": "docker", "run/.containerenv": "podman"}
    for mark, kind in marks.items():
        if (host / mark).exists():
            return kind
    if (host / "var/run/secrets/kubernetes.io").exists():
        return "kubernetes"
    # systemd's convention, which LXC and nspawn follow: `container=KIND` for process 1.
    return _read(host / "run/systemd/container").strip()


def _explain(host: Path, number: int) -> tuple[str, str]:
    """What forbids the step, and the next step of whoever administers the machine."""
    settings = host / "proc/sys"
    if not (host / "proc/self/ns/user").exists():
        return "the kernel has none (CONFIG_USER_NS)", "use a kernel that is built with user namespaces"
    for limit in ("max_user_namespaces", "max_mnt_namespaces", "max_pid_namespaces"):
        if _read(settings / "user" / limit).strip() == "0":
            return _setting(f"user.{limit}", "0", "15000")
    if _read(settings / "kernel/unprivileged_userns_clone").strip() == "0":
        return _setting("kernel.unprivileged_userns_clone", "0", "1")
    if _read(settings / "kernel/apparmor_restrict_unprivileged_userns").strip() == "1":
        cause, hint = _setting("kernel.apparmor_restrict_unprivileged_userns", "1", "0")
        return f"AppArmor restricts them ({cause})", hint
    if container := enclosing_container(host):
        hint = _CONTAINER_HINTS.get(container, _NESTING)
        return f"this is a container ({container}), and its rules forbid it", hint
    if number == errno.ENOSPC:
        return "there are too many of them, or too many inside one another", (
            "raise user.max_user_namespaces, or leave some of the namespaces that surround this process"
        )
    if _read(host / "sys/fs/selinux/enforce").strip() == "1":
        return "SELinux is enforcing, and may be what forbids it", (
            "look for a denied user_namespace with: sudo ausearch -m avc -ts recent"
        )
    if _seccomp_mode(host) == "2":
        return "this process runs under a system call filter, which may be what forbids it", (
            "run wardian outside the sandbox that set the filter, or allow unshare and mount in it"
        )
    return "", "ask whoever administers this machine what forbids user namespaces (a chroot does, too)"


def _setting(name: str, found: str, wanted: str) -> tuple[str, str]:
    file = "/etc/sysctl.d/60-userns.conf"
    hint = f"run: echo {name}={wanted} | sudo tee {file} && sudo sysctl --system"
    return f"{name} is {found}", hint


def _seccomp_mode(host: Path) -> str:
    found = re.search(r"^Seccomp:\s*(\d)", _read(host / "proc/self/status"), re.MULTILINE)
    return found[1] if found else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
