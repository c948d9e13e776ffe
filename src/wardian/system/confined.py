"""Opening files below a folder that may hold anything: no path and no link leads out of it.

What is built from packages was written by their maintainer scripts, and what a project holds by anyone.
"""

from __future__ import annotations

import ctypes
import errno
import os

# linux/openat2.h and asm-generic/unistd.h; every architecture has the same number.
_OPENAT2 = 437
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_IN_ROOT = 0x10

# Not blocking, so that a pipe in a file's place does not hang who opens it.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ENTER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)
_HOW = _How(flags=_FLAGS, mode=0, resolve=_RESOLVE_NO_SYMLINKS | _RESOLVE_IN_ROOT)
_HOW_POINTER = ctypes.byref(_HOW)
_HOW_SIZE = ctypes.c_size_t(ctypes.sizeof(_HOW))


def open_beneath(root: int, path: str) -> int:
    """Open the file at `path` below the folder that is open as `root`, for reading (openat2(2)).

    The file may be of any type: the caller looks. Raises OSError, with ELOOP where any part of the path is
    a symbolic link; `..` and a leading slash stay in the root.
    """
    name = os.fsencode(path)
    if b"\0" in name:  # C would stop there
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    found = int(_libc.syscall(_OPENAT2, root, name, _HOW_POINTER, _HOW_SIZE))
    if found >= 0:
        return found
    number = ctypes.get_errno()
    # Sandboxes of other engines lack the call (gVisor), or refuse it as they do all that they don't know.
    if number in (errno.ENOSYS, errno.EPERM):
        return _walk(root, path)
    raise OSError(number, os.strerror(number), path)


def _walk(root: int, path: str) -> int:
    """The same by one openat(2) for each part; `..` is refused, which no caller needs."""
    *folders, name = [part for part in path.split("/") if part not in ("", ".")] or ["."]
    if ".." in (*folders, name):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    folder = os.dup(root)
    try:
        for part in folders:
            inner = os.open(part, _ENTER, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(name, _FLAGS, dir_fd=folder)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(folder)
