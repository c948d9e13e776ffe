"""Files written whole or not at all, and folders removed whatever their modes."""

from __future__ import annotations

import contextlib
import os

from wardian.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def write_atomic(path: str | os.PathLike[str], data: str | bytes, *, durable: bool = False) -> None:
    """Write `data` to `path` under a temporary name beside it, then rename.

    With `durable` the bytes are on the disk before the name is: for what cannot be made again.
    Keeps the mode of a file that is already there. Raises HostError when the disk refuses.
    """
    target = os.path.realpath(path)
    temporary = f"{target}.{os.urandom(6).hex()}.tmp"  # two threads may write the same file
    raw = data.encode() if isinstance(data, str) else data
    try:
        with open(temporary, "wb") as file:
            file.write(raw)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, os.stat(target).st_mode & 0o7777)
        os.rename(temporary, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise HostError(
            f"cannot write {target}: {error.strerror}", hint="check the folder's permissions and free space"
        ) from error


def remove_tree(path: str | os.PathLike[str]) -> None:
    """Remove a file or folder and all below it; what is not there is already removed.

    Folders that their modes close are opened first: overlayfs leaves a work folder of mode 0, and
    programs leave read-only folders.
    """
    name = os.fspath(path)
    try:
        if not os.path.isdir(name) or os.path.islink(name):
            os.unlink(name)
            return
    except FileNotFoundError:
        return
    _empty(name)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(name)


def _empty(folder: str) -> None:
    try:
        entries = list(os.scandir(folder))
    except PermissionError:
        os.chmod(folder, 0o700)
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            _empty(entry.path)
            _in_writable(folder, os.rmdir, entry.path)
        else:
            _in_writable(folder, os.unlink, entry.path)


def _in_writable(folder: str, call: Callable[[str], None], path: str) -> None:
    try:
        call(path)
    except FileNotFoundError:
        pass  # another process removes the same tree
    except PermissionError:
        os.chmod(folder, 0o700)
        call(path)


def tree_bytes(folder: str | os.PathLike[str]) -> int:
    """Bytes of all files below `folder`, each inode counted once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for entry in walk(os.fspath(folder)):
        if not entry.is_dir(follow_symlinks=False):
            status = entry.stat(follow_symlinks=False)
            if status.st_nlink > 1:
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
            total += status.st_size
    return total


def walk(folder: str) -> Iterator[os.DirEntry[str]]:
    """Every entry below `folder`, folders before what is in them; links are not followed."""
    for entry in os.scandir(folder):
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from walk(entry.path)
