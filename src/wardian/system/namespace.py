"""Kernel calls for namespaces and mounts: one line each around libc, raising OSError.

On the start-up path of every run, so it imports only what that path needs.
"""

from __future__ import annotations

import ctypes
import os
import signal

# linux/sched.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000

# linux/mount.h
MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(flags: int) -> None:
    """unshare(2). With CLONE_NEWUSER the calling process must have one thread."""
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, filesystem: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    _check(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            filesystem.encode() or None,
            ctypes.c_ulong(flags),
            os.fsencode(data) or None,
        ),
        target,
    )


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies (prctl(2), PR_SET_PDEATHSIG).

    `parent` is the parent's process id as seen here: it may have died before the call. A change of
    credentials clears the setting, so it comes after unshare.
    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0), "prctl")
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


def map_only(user: int, group: int) -> None:
    """Map id 0 of the new user namespace to `user` and `group` outside (user_namespaces(7)).

    Just one id each: that is all that a user without subordinate ids may map. setgroups must be
    denied before an unprivileged process may write a group map.
    """
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def overlay_options(lowers: list[str], upper: str, work: str, *, volatile: bool) -> str:
    """Options of an overlay mount inside a user namespace (kernel documentation, filesystems/overlayfs).

    `lowers` from bottom to top. `userxattr` because trusted.* attributes are not ours to write. A
    colon separates lower folders, a comma options: both are escaped, as is the backslash. `volatile`
    spares the writing of every file copied up to the disk, for an upper folder that a loss of power may
    take.
    """

    def escape(path: str) -> str:
        return path.replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")

    lowerdir = ":".join(escape(path) for path in reversed(lowers))
    options = f"userxattr,lowerdir={lowerdir},upperdir={escape(upper)},workdir={escape(work)}"
    return f"{options},volatile" if volatile else options
