"""Packs layers: a process of its own (`python -m wardian.image.pack`), of which packing.py runs several.

Tasks come on standard input, each as its length (8 bytes) and a marshalled tuple of `Task`'s fields. It
answers each on standard output in lines of JSON: `{"bytes": N}` for bytes of the tar that were packed, and
at the end the blob's sizes and digests, or what went wrong. When its input ends it ends, at once and
whatever it does: its parent has died, or has no more need of it.

Reads files below the roots that a task names, through no link and out of no root; writes one blob to the
path that it is given, and nothing else. The files were written by packages' own scripts: one that is not
what its entry says is an error.
"""

from __future__ import annotations

import errno
import hashlib
import json
import marshal
import os
import queue
import signal
import stat
import struct
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from wardian.errors import HostError, ImageError, VerificationError, WardianError
from wardian.image import blob, chunked, decompress, tar, twins
from wardian.image.compression import Compression
from wardian.image.entry import Entry
from wardian.system import confined

LENGTH = struct.Struct("<Q")
# The fields of an entry in the order in which a task has them, before its extended attributes.
FIELDS = ("path", "kind", "mode", "uid", "gid", "mtime", "size", "target", "root", "source", "data")

# That a file is not the one that was recorded, rather than that it cannot be read.
_OTHER = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.EXDEV, errno.ENXIO, errno.EINVAL, errno.EISDIR)
# More threads than that wait for the one that reads: a tar is read and hashed at about 900 MB/s, and
# compressed at 150.
_MOST_THREADS = 6


@dataclass(frozen=True, slots=True)
class Task:
    """One layer: where its blob goes, how it is compressed, the folders its files lie in, its entries.

    With `links`, files with the same content become hard links (twins.py).
    """

    path: str
    compression: Compression
    links: bool
    roots: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def encode(self) -> bytes:
        """The bytes that a process reads."""
        # Marshal takes 1 µs for an entry, where JSON takes 4 and cannot say bytes. Both ends are this Python.
        data = marshal.dumps((self.path, self.compression, self.links, self.roots, self.rows))
        return LENGTH.pack(len(data)) + data


def main() -> int:
    """Serve tasks until standard input ends."""
    # Ctrl-C goes to all processes of a terminal: the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_serve, args=(tasks,), daemon=True).start()
    while len(head := sys.stdin.buffer.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(head)
        tasks.put(sys.stdin.buffer.read(length))
    os._exit(0)


def _serve(tasks: queue.SimpleQueue[bytes]) -> NoReturn:
    threads = blob.Threads(min(len(os.sched_getaffinity(0)), _MOST_THREADS))
    while True:
        try:
            answer = _pack(Task(*marshal.loads(tasks.get())), threads)
        except WardianError as error:
            answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
        except OSError as error:
            answer = {
                "error": HostError.__name__,
                "message": f"cannot write: {error.strerror}",
                "hint": "free some space, for example by `wardian prune`, and try again",
            }
        except Exception as error:
            answer = {"error": "", "message": f"{type(error).__name__}: {error}", "hint": None}
        _tell(answer)


def _tell(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _pack(task: Task, threads: blob.Threads) -> Mapping[str, Any]:
    with ExitStack() as stack:
        files = _Files(task.roots, [_open_root(root, stack) for root in task.roots])
        file = stack.enter_context(open(task.path, "wb"))

        def told(count: int) -> None:
            _tell({"bytes": count})

        target = (
            chunked.ChunkedBlob(file, threads=threads, told=told)
            if task.compression == "zstd:chunked"
            else blob.Blob(file, task.compression, threads=threads, told=told)
        )
        entries: Iterable[Entry] = map(_entry, task.rows)
        if task.links:
            entries = twins.linked(tuple(entries), files.digest)
        for entry in entries:
            target.member(entry, tar.header(entry))
            if entry.kind == "file":
                files.add(target, entry)
        made = target.finish()
        if made.tar_size > decompress.bound(made.size):
            raise ImageError(
                f"its files have {made.tar_size} bytes, nearly all of them zeros: nobody would unpack it",
                hint="leave the largest files out, by `exclude` of [image] or .dockerignore",
            )
        return asdict(made)


def _open_root(path: str, stack: ExitStack) -> int:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise VerificationError(
            f"cannot read {path}: {error.strerror}", hint="build again: what is missing is made anew"
        ) from error
    stack.callback(os.close, descriptor)
    return descriptor


def _entry(row: tuple[Any, ...]) -> Entry:
    path, kind, mode, uid, gid, mtime, size, target, root, source, data, xattrs = row
    return Entry(
        path=path,
        kind=kind,
        mode=mode,
        uid=uid,
        gid=gid,
        mtime=mtime,
        size=size,
        target=target,
        xattrs=xattrs,
        root=root,
        source=source,
        data=data,
    )


@dataclass(frozen=True, slots=True)
class _Files:
    """The files that entries name: `roots` are descriptors of the folders."""

    folders: tuple[str, ...]
    roots: list[int]

    def add(self, target: blob.Blob, entry: Entry) -> None:
        """Add a file's content."""
        if entry.data is not None:
            target.content(len(entry.data), blob.reader(entry.data))
            return
        with self._opened(entry) as (descriptor, path):
            read = blob.file_reader(descriptor)

            def fill(view: memoryview) -> int:
                try:
                    return read(view)
                except OSError as error:  # of this file, and not of the blob
                    raise _unreadable(path, error) from error

            try:
                target.content(entry.size, fill)
            except blob.ChangedError as error:
                raise _changed(f"{path} was written to while it was read") from error

    def digest(self, entry: Entry) -> bytes:
        """The hash of a file's content."""
        with self._opened(entry) as (descriptor, path):
            try:
                with open(descriptor, "rb", closefd=False) as file:
                    return hashlib.file_digest(file, hashlib.sha256).digest()
            except OSError as error:
                raise _unreadable(path, error) from error

    @contextmanager
    def _opened(self, entry: Entry) -> Iterator[tuple[int, str]]:
        source = entry.source or entry.path
        path = f"{self.folders[entry.root]}/{source}"
        try:
            descriptor = confined.open_beneath(self.roots[entry.root], source)
        except OSError as error:
            raise _unreadable(path, error) from error
        try:
            _check(os.fstat(descriptor), entry, path)
            yield descriptor, path
        finally:
            os.close(descriptor)


def _check(status: os.stat_result, entry: Entry, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _changed(f"{path} is no regular file")
    if status.st_size != entry.size:
        raise _changed(f"{path} has {status.st_size} bytes, and had {entry.size} when it was recorded")


def _unreadable(path: str, error: OSError) -> WardianError:
    if error.errno in _OTHER:
        return _changed(f"{path} is not the file that was recorded: {error.strerror}")
    return HostError(f"cannot read {path}: {error.strerror}", hint="check who may read it")


def _changed(reason: str) -> VerificationError:
    return VerificationError(reason, hint="see that nothing writes there, and try again")


if __name__ == "__main__":
    sys.exit(main())
