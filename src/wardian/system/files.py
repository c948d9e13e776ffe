"""Files written whole or not at all, and folders removed whatever their modes."""

from __future__ import annotations

import contextlib
import os
import stat

from wardian.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def write_atomic(
    path: str | os.PathLike[str], data: str | bytes, *, durable: bool = False, mode: int | None = None
) -> None:
    """Write `data` to `path` under a temporary name beside it, then rename.

    With `durable` the bytes are on the disk before the name is: for what cannot be made again.
    With `mode` the file has it from its first byte on; else it keeps the mode of one that is already there.
    Raises HostError when the disk refuses.
    """
    target = os.path.realpath(path)
    temporary = f"{target}.{os.urandom(6).hex()}.tmp"  # two threads may write the same file
    raw = data.encode() if isinstance(data, str) else data
    try:
        opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode or 0o666)
        with open(opened, "wb") as file:
            file.write(raw)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, mode or os.stat(target).st_mode & 0o7777)
        os.rename(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if not isinstance(error, OSError):
            raise
        raise HostError(
            f"cannot write {target}: {error.strerror}", hint="check the folder's permissions and free space"
        ) from error


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder of a root file system, and those above it: mode 755 whatever the umask."""
    name = os.fspath(path)
    if not os.path.isdir(os.path.dirname(name)):
        make_folder(os.path.dirname(name))
    os.mkdir(name)
    os.chmod(name, 0o755)


def remove_tree(path: str | os.PathLike[str]) -> None:
    """Remove a file or folder and all below it; what is not there is already removed.

    Folders that their modes close are opened first: overlayfs leaves a work folder of mode 0, and
    programs leave read-only folders. However deep a tree a program has made, no path gets too long and
    nothing recurses: inner folders are moved up before they are emptied.
    """
    name = os.fspath(path)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.lstat(name).st_mode):
            os.unlink(name)
            return
        top = _open_folder(name, None)
        try:
            while _thin_out(top):
                pass
        finally:
            os.close(top)
        os.rmdir(name)


def _thin_out(top: int) -> bool:
    """Remove the files in a folder and one level of its folders; whether there were any of these."""
    folders = False
    for entry in list(os.scandir(top)):
        with contextlib.suppress(FileNotFoundError):  # another process removes the same tree
            if entry.is_dir(follow_symlinks=False):
                folders = True
                _hoist(entry.name, top)
            else:
                os.unlink(entry.name, dir_fd=top)
    return folders


def _hoist(name: str, top: int) -> None:
    """Remove a folder in `top`, moving the folders in it to `top`."""
    folder = _open_folder(name, top)
    try:
        for entry in list(os.scandir(folder)):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.name, dir_fd=folder)
                continue
            if entry.stat(follow_symlinks=False).st_mode & 0o700 != 0o700:
                _unlock_folder(entry.name, folder)
            os.rename(entry.name, os.urandom(8).hex(), src_dir_fd=folder, dst_dir_fd=top)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)


def _open_folder(name: str, parent: int | None) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, os.O_PATH | flags, dir_fd=parent)
    try:
        if os.fstat(descriptor).st_mode & 0o700 != 0o700:
            _unlock_folder(name, parent)
    finally:
        os.close(descriptor)
    return os.open(name, flags, dir_fd=parent)


def _unlock_folder(name: str, parent: int | None) -> None:
    descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", 0o700)
    finally:
        os.close(descriptor)


def tree_bytes(folder: str | os.PathLike[str]) -> int:
    """Bytes of all files below `folder`, each inode counted once; what cannot be seen is not counted."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for entry in walk(os.fspath(folder)):
        with contextlib.suppress(OSError):
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode) or (status.st_dev, status.st_ino) in seen:
                continue
            if status.st_nlink > 1:
                seen.add((status.st_dev, status.st_ino))
            total += status.st_size
    return total


def walk(folder: str) -> Iterator[os.DirEntry[str]]:
    """Every entry below `folder`; links are not followed, and closed folders not entered."""
    pending = [folder]
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except OSError:
            continue
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
