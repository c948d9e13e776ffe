"""Runs one OCI bundle in namespaces of its own, and leaves nothing behind, however it ends.

    this process ──fork──▶ keeper: new user, mount and pid namespace
                              └─fork──▶ pid 1 of them: mounts the root, becomes the OCI runtime
                                            └──▶ the program, in the runtime's namespaces

Being pid 1, the runtime takes every process of the container with it when it ends; the kernel ends it
when the keeper dies, and the keeper when this process dies. The mounts go with the namespace. So even
SIGKILL leaves no process and no mount. The program itself is not pid 1 (the bundle asks for no pid
namespace of its own): signals have their usual default actions, and orphans are reaped by the runtime.
It waits for all of them, so a watcher beside it kills those that outlive the program.

On the start-up path of every run: no dataclasses, no pathlib, no subprocess.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import sys

from wardian.errors import HostError, InternalError, RunError
from wardian.runtime import namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
    signal.SIGALRM,
)
_SI_KERNEL = 0x80  # asm-generic/siginfo.h: sent by the kernel, here by the terminal
_FAILED_BEFORE_START = 119  # the keeper's own status; it explains itself on the report pipe


class Root:
    """A root file system: overlay layers from bottom to top, and a folder that takes the changes.

    With no lower layer, `upper` itself is the root.
    """

    __slots__ = ("lowers", "upper")

    def __init__(self, lowers: list[str], upper: str) -> None:
        self.lowers = lowers
        self.upper = upper


def run(runtime: str, config: Mapping[str, Any], root: Root, folder: str) -> int:
    """Run the bundle and wait for its end; returns its exit status (128 + N for signal N).

    `runtime` is the path of crun; `folder` an empty folder of the caller's for the bundle, the overlay's
    work folder and the runtime's state. The process must have one thread. Signals that reach this
    process are passed on. Raises HostError when the kernel forbids what is needed and RunError when the
    program cannot be started.
    """
    os.mkfifo(f"{folder}/pid", 0o600)
    for name in ("work", "root", "state"):
        os.mkdir(f"{folder}/{name}", 0o700)
    # crun keeps compiled seccomp filters below its state; compiling one takes 15 ms. They are kept beside
    # the runtime, since they are made by its library.
    cache = os.path.join(os.path.dirname(os.path.dirname(runtime)), "cache")
    os.makedirs(cache, exist_ok=True)
    os.symlink(cache, f"{folder}/state/.cache")
    _write_config(config, root, folder)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (*_FORWARDED, signal.SIGCHLD))
    try:
        reader, writer = os.pipe()
        keeper = os.fork()
        if keeper == 0:
            os.close(reader)
            _guarded(writer, lambda: _keep(runtime, root, folder, writer, blocked))
        os.close(writer)
        status = _attend(keeper, reader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    if status == 1:
        _check_started(f"{folder}/log", config)
    return status


def _check_started(log: str, config: Mapping[str, Any]) -> None:
    """Raise RunError for what the runtime logged: it then never started the program, and ended with 1."""
    with contextlib.suppress(FileNotFoundError), open(log, errors="replace") as file:
        if said := file.read().strip():
            raise RunError(
                f"cannot start {config['process']['args'][0]!r}: {said.splitlines()[-1]}",
                hint="look at its name and path as the container sees them, in `wardian shell`",
            )


def _write_config(config: Mapping[str, Any], root: Root, folder: str) -> None:
    path = f"{folder}/root" if root.lowers else root.upper
    with open(f"{folder}/config.json", "w") as file:
        json.dump({**config, "root": {"path": path, "readonly": False}}, file)


def _attend(keeper: int, reader: int) -> int:
    """Pass signals on until the keeper ends; its report is pid 1's id, or why it failed."""
    with os.fdopen(reader) as pipe:
        report = pipe.readline().strip()
        first = int(report) if report.isdigit() else 0
        while True:
            information = signal.sigwaitinfo((*_FORWARDED, signal.SIGCHLD))
            if information.si_signo == signal.SIGCHLD:
                ended, status = os.waitpid(keeper, os.WNOHANG)
                if ended:
                    break
            elif first and information.si_code != _SI_KERNEL:
                # What the terminal sends has reached the whole foreground group already.
                _signal(first, information.si_signo)
        code = os.waitstatus_to_exitcode(status)
        if code == _FAILED_BEFORE_START and (reason := report if not first else pipe.readline().strip()):
            raise _explain(reason)
    return 128 - code if code < 0 else code


def _signal(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _guarded(writer: int, work: Callable[[], None]) -> None:
    """Run `work`, which does not return, in a forked child; no exception may leave it."""
    try:
        work()
    except OSError as error:
        os.write(writer, f"{error.errno} {error.filename or ''} {error.strerror}\n".encode())
    except BaseException as error:
        os.write(writer, f"0 {error!r}\n".encode())
    finally:
        os._exit(_FAILED_BEFORE_START)


def _keep(runtime: str, root: Root, folder: str, writer: int, mask: set[signal.Signals | int]) -> None:
    """The keeper: enters the namespaces, starts pid 1, waits for it, and ends as it ended."""
    parent = os.getppid()
    user, group = os.getuid(), os.getgid()
    namespace.unshare(namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS | namespace.CLONE_NEWPID)
    namespace.die_with_parent(parent)
    namespace.map_only(user, group)
    first = os.fork()
    if first == 0:
        _guarded(writer, lambda: _become_runtime(runtime, root, folder, writer, mask))
    os.write(writer, f"{first}\n".encode())
    os.close(writer)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number in _FORWARDED:  # they are for the program, which answers them in its own time
        signal.signal(number, signal.SIG_IGN)
    _, status = os.waitpid(first, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(128 - code if code < 0 else code)


def _become_runtime(
    runtime: str, root: Root, folder: str, writer: int, mask: set[signal.Signals | int]
) -> None:
    # The parent lives in another pid namespace, where getppid() sees it as 0.
    namespace.die_with_parent(0)
    namespace.mount("none", "/", flags=namespace.MS_REC | namespace.MS_SLAVE)
    namespace.mount("proc", "/proc", "proc", namespace.MS_NOSUID | namespace.MS_NODEV | namespace.MS_NOEXEC)
    # crun refuses hosts with both cgroup versions, and reads that off this folder. Limits are set on the
    # cgroup outside (runtime/cgroups.py), so it needs none of it.
    if os.path.isdir("/sys/fs/cgroup"):
        namespace.mount("tmpfs", "/sys/fs/cgroup", "tmpfs", namespace.MS_RDONLY)
    if root.lowers:
        _mount_overlay(root, folder)
    if os.fork() == 0:
        _watch(f"{folder}/pid", writer)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.execv(
        runtime,
        [
            "crun",
            "--cgroup-manager=disabled",
            f"--log=file:{folder}/log",
            "--log-level=error",
            "--root",
            f"{folder}/state",
            "run",
            f"--pid-file={folder}/pid",
            "--bundle",
            folder,
            "wardian",
        ],
    )


def _watch(pid_file: str, writer: int) -> None:
    """Wait for the program's end, then kill what it leaves behind; does not return.

    Signals are blocked here. `pid_file` is a pipe, which the runtime opens once the program is made.
    """
    try:
        os.close(writer)
        with open(pid_file) as file:
            program = int(file.read())
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            select.select([os.pidfd_open(program)], [], [])
        os.kill(-1, signal.SIGKILL)  # all of this pid namespace, save the runtime and this process
    finally:
        os._exit(0)


def _mount_overlay(root: Root, folder: str) -> None:
    target = f"{folder}/root"
    try:
        options = namespace.overlay_options(root.lowers, root.upper, f"{folder}/work")
        namespace.mount("overlay", target, "overlay", data=options)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.EXDEV):
            raise
        raise OSError(error.errno, error.strerror, f"overlay on {root.upper}") from error


def _explain(reason: str) -> Exception:
    number, _, rest = reason.partition(" ")
    what, _, why = rest.partition(" ")
    if what == "unshare" and int(number) in (errno.EPERM, errno.ENOSPC, errno.EACCES):
        return HostError(
            f"cannot make a user namespace: {why}",
            hint="run `wardian doctor`: it says what forbids user namespaces here and how to allow them",
        )
    if int(number):
        return HostError(f"cannot set up the container: {what}: {why}", hint="run `wardian doctor`")
    return InternalError(f"cannot set up the container: {rest}")


def stdio_is_terminal() -> bool:
    """Whether a terminal stands on both sides, so that the program should have one of its own."""
    return sys.stdin.isatty() and sys.stdout.isatty()
