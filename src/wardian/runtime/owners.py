"""Keeps the owners that an emulated root gives to files: on the disk all belong to whoever builds.

A seccomp filter hands each call of the chown family over (seccomp_unotify(2)). A process beside the
container finds the file that the call means, as the caller sees it and never outside the caller's root, and
notes the owner on it in an attribute, which moves and is copied with the file. What cannot have attributes
of the user's, as links, goes to a list by path.

It must not answer any other call, and must not follow what only it may follow: it has rights that the
container has not.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import stat
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# On a file or folder: "UID:GID". Without it, both are 0.
ATTRIBUTE = "user.wardian.owner"

# What is recorded: the calls by the machine's own numbers (asm/unistd.h), and where their arguments are.
_NUMBERS = {
    "x86_64": {92: "chown", 93: "fchown", 94: "lchown", 260: "fchownat"},
    "aarch64": {55: "fchown", 54: "fchownat"},
    "riscv64": {55: "fchown", 54: "fchownat"},
    "ppc64le": {181: "chown", 95: "fchown", 16: "lchown", 289: "fchownat"},
    "s390x": {212: "chown", 207: "fchown", 198: "lchown", 291: "fchownat"},
}

# linux/seccomp.h: struct seccomp_notif and seccomp_notif_resp.
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")

_AT_FDCWD = -100  # linux/fcntl.h
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_EMPTY_PATH = 0x1000

# linux/openat2.h; the call has the same number everywhere.
_SYS_OPENAT2 = 437
_RESOLVE_IN_ROOT = 0x10
_HOW = struct.Struct("=QQQ")

_PATH_MAX = 4096
_PAGE = 4096
_UNCHANGED = 0xFFFFFFFF

_libc = ctypes.CDLL(None, use_errno=True)


def listen(path: str) -> socket.socket:
    """The socket on which the runtime hands over its filter's descriptor (runtime-spec, listenerPath).

    A socket's address holds 107 bytes, and `path` may be longer: so it is reached by its folder.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)
    listener.listen(1)
    return listener


def serve(listener: socket.socket, links: str, failed: Callable[[OSError], None]) -> None:
    """Record owners until the last process under the filter has ended.

    Runs in the container's process and user namespaces. Owners of links and the like are appended to the
    file `links`. `failed` is told what keeps an owner from being recorded; the call that wanted it fails.
    """
    with contextlib.closing(listener):
        connection, _ = listener.accept()
        with connection:
            _, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 1)
    if not descriptors:
        return
    descriptor = os.open(links, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    _Recorder(descriptors[0], descriptor, failed).serve()


def read_links(path: str) -> dict[str, tuple[int, int]]:
    """What `serve` wrote to its file: the last owner of each path, which has no leading slash."""
    found = {}
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        for line in file.read().split(b"\0")[:-1]:
            user, group, name = line.split(b":", 2)
            found[os.fsdecode(name).lstrip("/")] = int(user), int(group)
    return found


def owner(path: str) -> tuple[int, int]:
    """The user's and group's id of a file or folder, as recorded; raises OSError."""
    try:
        value = os.getxattr(path, ATTRIBUTE)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return 0, 0
        raise
    user, _, group = value.partition(b":")
    # Programs may have written the attribute themselves.
    known = user.isdigit() and group.isdigit() and int(user) < _UNCHANGED and int(group) < _UNCHANGED
    return (int(user), int(group)) if known else (0, 0)


def _request(direction: int, number: int, size: int) -> int:
    """An ioctl's number (asm-generic/ioctl.h; powerpc has its own): 1 writes, 2 reads, as on x86."""
    if platform.machine().startswith("ppc"):
        swapped = {1: 4, 2: 2, 3: 6}[direction]
        return swapped << 29 | size << 16 | ord("!") << 8 | number
    return direction << 30 | size << 16 | ord("!") << 8 | number


class _Recorder:
    """Answers the notifications of one filter."""

    def __init__(self, filter_fd: int, links_fd: int, failed: Callable[[OSError], None]) -> None:
        self._filter, self._links, self._failed = filter_fd, links_fd, failed
        self._names = _NUMBERS.get(platform.machine(), {})
        self._listed: dict[str, tuple[int, int]] = {}
        self._receive = _request(3, 0, _NOTIFICATION.size)
        self._send = _request(3, 1, _ANSWER.size)
        self._valid = _request(1, 2, 8)

    def serve(self) -> None:
        """Answer until nobody is left to answer."""
        while True:
            buffer = bytearray(_NOTIFICATION.size)  # the kernel insists on zeros
            try:
                fcntl.ioctl(self._filter, self._receive, buffer)
            except InterruptedError:
                continue
            except FileNotFoundError:  # the caller was killed meanwhile, or the last one has ended
                if self._is_over():
                    return
                continue
            identity, process, _, number, _, _, *arguments = _NOTIFICATION.unpack(buffer)
            result = self._record(identity, process, self._names.get(number, ""), arguments)
            with contextlib.suppress(FileNotFoundError):  # the caller was killed meanwhile
                fcntl.ioctl(self._filter, self._send, _ANSWER.pack(identity, 0, -result, 0))

    def _is_over(self) -> bool:
        poll = select.poll()
        poll.register(self._filter, 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def _record(self, identity: int, process: int, name: str, arguments: list[int]) -> int:
        """The call's errno; 0 where it is recorded, or does not matter."""
        with contextlib.ExitStack() as stack:
            try:
                root = _open(stack, f"/proc/{process}/root")
                call = _Call.read(stack, process, name, arguments)
                file = call.open(stack, root)
                # Until here another process may have come by the caller's number.
                fcntl.ioctl(self._filter, self._valid, struct.pack("=Q", identity))
            except OSError as error:
                if isinstance(error, PermissionError) and error.filename:
                    self._failed(error)  # the kernel lets nobody look into another process
                # EXDEV: a link of /proc to somebody's descriptor, which may lead out of the root.
                return 0 if error.errno == errno.EXDEV else error.errno or errno.EIO
            try:
                self._note(file, call.user, call.group)
            except OSError as error:
                if _mount_of(file) == _mount_of(root):
                    self._failed(error)
                    return error.errno or errno.EIO
        return 0

    def _note(self, file: int, user: int, group: int) -> None:
        status, place = os.fstat(file), f"/proc/self/fd/{file}"
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            before = owner(place)
            after = _merged(before, user, group)
            if after != before:
                os.setxattr(place, ATTRIBUTE, b"%d:%d" % after)
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o6111:
                # The kernel takes set-id bits and capabilities away, as it does for real root (chown(2)).
                os.chown(place, -1, -1)
        elif not stat.S_ISCHR(status.st_mode):
            path = os.readlink(place)
            before = self._listed.get(path, (0, 0))
            after = _merged(before, user, group)
            if after != before:
                self._listed[path] = after
                os.write(self._links, b"%d:%d:%s\0" % (*after, os.fsencode(path)))


class _Call:
    """One call of the family, with its arguments read."""

    __slots__ = ("directory", "follow", "group", "path", "process", "user")

    def __init__(
        self, process: int, directory: int, path: bytes | None, user: int, group: int, *, follow: bool
    ) -> None:
        self.process, self.directory, self.path, self.follow = process, directory, path, follow
        self.user, self.group = user & _UNCHANGED, group & _UNCHANGED

    @classmethod
    def read(cls, stack: contextlib.ExitStack, process: int, name: str, arguments: list[int]) -> _Call:
        """Raises OSError with what the call would give."""
        if name == "fchown":
            return cls(process, arguments[0], None, *arguments[1:3], follow=True)
        if name in ("chown", "lchown"):
            path = _read_path(stack, process, arguments[0])
            return cls(process, _AT_FDCWD, path, *arguments[1:3], follow=name == "chown")
        if name != "fchownat":
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        path = _read_path(stack, process, arguments[1])
        flags = arguments[4]
        empty = not path and flags & _AT_EMPTY_PATH
        follow = not flags & _AT_SYMLINK_NOFOLLOW
        return cls(process, arguments[0], None if empty else path, *arguments[2:4], follow=follow)

    def open(self, stack: contextlib.ExitStack, root: int) -> int:
        """A descriptor of the file that is meant, open as a path only; raises OSError."""
        folder = f"/proc/{self.process}/cwd"
        descriptor = ctypes.c_int(self.directory & 0xFFFFFFFF).value
        if descriptor != _AT_FDCWD:
            folder = f"/proc/{self.process}/fd/{descriptor}"
        try:
            if self.path is None:
                return _open(stack, folder)
            if not self.path:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            absolute = self.path.startswith(b"/")
            path = self.path if absolute else os.readlink(os.fsencode(folder)) + b"/" + self.path
        except FileNotFoundError as error:
            if self.path == b"":
                raise
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from error
        return _open_in_root(stack, root, path, follow=self.follow)


def _open(stack: contextlib.ExitStack, path: str, flags: int = os.O_PATH) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor


def _read_path(stack: contextlib.ExitStack, process: int, address: int) -> bytes:
    """A string in a process's memory, which may end with the page that it stands in."""
    memory = _open(stack, f"/proc/{process}/mem", os.O_RDONLY)
    found = b""
    while len(found) < _PATH_MAX:
        try:
            piece = os.pread(memory, _PAGE - (address + len(found)) % _PAGE, address + len(found))
        except (OSError, OverflowError) as error:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT)) from error
        text, end, _ = piece.partition(b"\0")
        found += text
        if end:
            return found
        if not piece:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
    raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))


def _open_in_root(stack: contextlib.ExitStack, root: int, path: bytes, *, follow: bool) -> int:
    """openat2(2): as a process would whose root that is; links of /proc to descriptors fail by EXDEV."""
    flags = os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    how = _HOW.pack(flags, 0, _RESOLVE_IN_ROOT)
    descriptor: int = _libc.syscall(_SYS_OPENAT2, root, path, how, ctypes.c_size_t(_HOW.size))
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    stack.callback(os.close, descriptor)
    return descriptor


def _merged(before: tuple[int, int], user: int, group: int) -> tuple[int, int]:
    return before[0] if user == _UNCHANGED else user, before[1] if group == _UNCHANGED else group


def _mount_of(descriptor: int) -> str:
    with open(f"/proc/self/fdinfo/{descriptor}") as file:
        return next(line.split()[1] for line in file if line.startswith("mnt_id:"))
