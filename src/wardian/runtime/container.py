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
import json
import os
import select
import signal

from wardian.runtime import overlay, signals
from wardian.system import namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from wardian.runtime.signals import Mask

_SI_KERNEL = 0x80  # asm-generic/siginfo.h: sent by the kernel, here by the terminal
_DEVICE_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
)


class Root:
    """A root file system: overlay layers from bottom to top, and a folder that takes the changes.

    With no lower layer, `upper` itself is the root. `kept` says that `upper` is to survive even a loss of
    power. Where the bundle hands over calls that give files an owner, `owners` is the file that takes what
    cannot stand on the files themselves (owners.py).
    """

    __slots__ = ("kept", "lowers", "owners", "upper")

    def __init__(self, lowers: list[str], upper: str, *, kept: bool = False, owners: str = "") -> None:
        self.lowers = lowers
        self.upper = upper
        self.kept = kept
        self.owners = owners


def run(
    runtime: str, config: Mapping[str, Any], root: Root, folder: str, *, shell: str = "wardian shell"
) -> int:
    """Run the bundle and wait for its end; returns its exit status (128 + N for signal N).

    `runtime` is the path of crun; `folder` an empty folder of the caller's for the bundle, the overlay's
    work folder and the runtime's state. To be called by the main thread, and best of a process without
    others, since it forks. Signals that reach this process are passed on, save those that it ignores.
    `shell` is what opens a shell in the same container, for the advice of an error.
    Raises HostError when the kernel forbids what is needed and RunError when the program cannot be started.
    """
    overlay.check(root.lowers)
    os.mkfifo(f"{folder}/pid", 0o600)
    for name in ("work", "root", "state", "dev"):
        os.mkdir(f"{folder}/{name}", 0o700)
    # crun keeps compiled seccomp filters below its state; compiling one takes 15 ms. They are kept beside
    # the runtime, since they are made by its library.
    cache = os.path.join(os.path.dirname(os.path.dirname(runtime)), "cache")
    os.makedirs(cache, exist_ok=True)
    os.symlink(cache, f"{folder}/state/.cache")
    if root.owners:
        config = _handing_over(config, f"{folder}/seccomp")
    _write_config(config, root, folder)
    with signals.watching() as (watched, mask):
        reader, writer = os.pipe()
        terminal = config["process"]["terminal"]
        apart = signals.is_shielded() and not terminal
        keeper = os.fork()
        if keeper == 0:
            os.close(reader)
            _guarded(writer, lambda: _keep(runtime, root, folder, writer, mask, apart, terminal))
        os.close(writer)
        status = _attend(keeper, reader, watched, apart)
    if status == 1:
        from wardian.runtime import refusals

        refusals.check_started(f"{folder}/log", config, shell)
    return status


def _handing_over(config: Mapping[str, Any], socket: str) -> Mapping[str, Any]:
    linux = config["linux"]
    return {**config, "linux": {**linux, "seccomp": {**linux["seccomp"], "listenerPath": socket}}}


def _write_config(config: Mapping[str, Any], root: Root, folder: str) -> None:
    path = f"{folder}/root" if root.lowers else root.upper
    devices = {"destination": "/dev", "source": f"{folder}/dev", "type": "none", "options": ["rbind", "rw"]}
    complete = {
        **config,
        "root": {"path": path, "readonly": False},
        "mounts": [devices, *config["mounts"]],
    }
    try:
        text = json.dumps(complete, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        from wardian.runtime import refusals

        raise refusals.explain_encoding(complete) from error
    with open(f"{folder}/config.json", "wb") as file:
        file.write(text)


class _Report:
    """What the keeper and its children tell, one JSON object a line, read without waiting."""

    def __init__(self, reader: int) -> None:
        os.set_blocking(reader, False)
        self._reader = reader
        self._text = b""
        self.first = 0  # pid 1's id, as seen here
        self.started = False
        self.failure: tuple[int, str, str] | None = None

    def read(self) -> None:
        """Take in what has come."""
        with contextlib.suppress(BlockingIOError):
            while block := os.read(self._reader, 4096):
                self._text += block
        *lines, self._text = self._text.split(b"\n")
        for line in lines:
            told = json.loads(line)
            self.first = told.get("first", self.first)
            self.started = self.started or told.get("started", False)
            self.failure = self.failure or told.get("failure")


def _tell(writer: int, **told: object) -> None:
    os.write(writer, json.dumps(told).encode() + b"\n")


def _attend(keeper: int, reader: int, watched: Sequence[signal.Signals], apart: bool) -> int:
    """Pass signals on until the keeper ends; returns the program's status.

    `apart` says that the program is in a session of its own, which the terminal does not signal. A signal
    that comes before there is a program would be lost on the way: it is kept and sent then.
    """
    report = _Report(reader)
    early = 0
    while True:
        # Until the program has started, its report is looked for as often as that; later only signals, and
        # once a second the keeper: who uses the API may have threads, which do not block SIGCHLD, and one of
        # them may have taken, and so lost, the signal of its end.
        information = signal.sigtimedwait(watched, 1 if report.started else 0.005)
        if not report.started:
            report.read()
            if report.started and early:
                _signal(report.first, early)
        if information is None or information.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(keeper, os.WNOHANG)
            if ended:
                break
        elif not report.started:
            early = information.si_signo
        elif apart or information.si_code != _SI_KERNEL or _is_hang_up_of_ours(information.si_signo):
            # What else the terminal sends has reached the whole foreground group already.
            _signal(report.first, information.si_signo)
    report.read()
    os.close(reader)
    if report.failure:
        from wardian.runtime import refusals

        raise refusals.explain(*report.failure)
    code = os.waitstatus_to_exitcode(status)
    if early and not report.started:
        return 128 + early  # it may have ended the runtime while it made the program
    return 128 - code if code < 0 else code


def _is_hang_up_of_ours(number: int) -> bool:
    """Whether a terminal that is gone told it to this process alone: to the one that leads its session.

    That is so in a multiplexer's window, or as the command of `ssh -t`. Where a shell leads, the group is
    told as well, once the shell ends.
    """
    return number == signal.SIGHUP and os.getsid(0) == os.getpid()


def _signal(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _guarded(writer: int, work: Callable[[], None]) -> None:
    """Run `work`, which does not return, in a forked child; no exception may leave it."""
    try:
        work()
    except OSError as error:
        _tell(writer, failure=[error.errno or 0, str(error.filename or ""), str(error.strerror or error)])
    except BaseException as error:
        _tell(writer, failure=[0, "", repr(error)])
    finally:
        os._exit(1)


def _keep(
    runtime: str, root: Root, folder: str, writer: int, mask: Mask, apart: bool, terminal: bool
) -> None:
    """The keeper: enters the namespaces, starts pid 1, waits for it, and ends as it ended."""
    parent = os.getppid()
    if apart:
        os.setsid()
    user, group = os.getuid(), os.getgid()
    namespace.unshare(namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS | namespace.CLONE_NEWPID)
    namespace.die_with_parent(parent)
    namespace.map_only(user, group)
    alive, dead = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(dead)
        _guarded(writer, lambda: _become_runtime(runtime, root, folder, writer, alive, mask, terminal))
    _tell(writer, first=first)
    os.close(writer)
    signals.act(signal.SIG_IGN, mask)  # they are for the program, which answers them in its own time
    _, status = os.waitpid(first, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(128 - code if code < 0 else code)


def _become_runtime(
    runtime: str, root: Root, folder: str, writer: int, alive: int, mask: Mask, terminal: bool
) -> None:
    # The parent lives in another pid namespace, where getppid() sees it as 0, dead or not. Its end of
    # the pipe tells.
    namespace.die_with_parent(0)
    if select.select([alive], [], [], 0)[0]:
        os._exit(128 + signal.SIGKILL)
    os.close(alive)
    namespace.mount("none", "/", flags=namespace.MS_REC | namespace.MS_SLAVE)
    namespace.mount("proc", "/proc", "proc", namespace.MS_NOSUID | namespace.MS_NODEV | namespace.MS_NOEXEC)
    # crun refuses hosts with both cgroup versions, and reads that off this folder. Limits are set on the
    # cgroup outside (runtime/cgroups.py), so it needs none of it.
    if os.path.isdir("/sys/fs/cgroup"):
        namespace.mount("tmpfs", "/sys/fs/cgroup", "tmpfs", namespace.MS_RDONLY)
    _mount_devices(f"{folder}/dev")
    if root.lowers:
        work = f"{folder}/work"
        overlay.mount(root.lowers, root.upper, work, f"{folder}/root", volatile=not root.kept)
    if root.owners:
        _record_owners(f"{folder}/seccomp", root.owners, writer)
    if os.fork() == 0:
        _watch(f"{folder}/pid", writer)
    if terminal:
        # crun writes to standard error what it logs, and refusals.py tells that. The program has a terminal
        # of its own, so this one is free to go; without a terminal the program inherits it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    signals.act(signal.SIG_DFL, mask)  # which pid 1 ignores, until the runtime passes them on
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


def _mount_devices(folder: str) -> None:
    """Make the container's /dev: the usual devices (runtime-spec, config-linux.md), read-only each.

    What is written to a device passes, but its mode and owner cannot be changed: they are the host's own
    nodes, and a process of real root owns them.
    """
    namespace.mount("tmpfs", folder, "tmpfs", namespace.MS_NOSUID, "mode=755,size=65536k")
    flags = namespace.MS_RDONLY | namespace.MS_NOSUID | namespace.MS_NOEXEC
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        os.close(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT, 0o600))
        namespace.mount(f"/dev/{name}", f"{folder}/{name}", flags=namespace.MS_BIND)
        namespace.mount("none", f"{folder}/{name}", flags=namespace.MS_BIND | namespace.MS_REMOUNT | flags)
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(f"{folder}/{name}")
    os.close(os.open(f"{folder}/console", os.O_CREAT | os.O_WRONLY, 0o620))  # the runtime mounts it there
    for name, target in _DEVICE_LINKS:
        os.symlink(target, f"{folder}/{name}")


def _record_owners(path: str, links: str, writer: int) -> None:
    """Start the process that records owners; it ends with the container."""
    from wardian.runtime import owners

    def failed(error: OSError) -> None:
        _tell(writer, failure=[error.errno or 0, "owners", str(error.strerror or error)])

    listener = owners.listen(path)
    if os.fork() == 0:
        _guarded(writer, lambda: owners.serve(listener, links, failed))
    listener.close()


def _watch(pid_file: str, writer: int) -> None:
    """Tell when the program starts; wait for its end, then kill what it leaves behind. Does not return.

    Signals are blocked here. `pid_file` is a pipe, which the runtime opens once the program is made.
    """
    try:
        with open(pid_file) as file:
            program = int(file.read())
        _tell(writer, started=True)
        os.close(writer)
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            select.select([os.pidfd_open(program)], [], [])
        os.kill(-1, signal.SIGKILL)  # all of this pid namespace, save the runtime and this process
    finally:
        os._exit(0)
