"""Unpacks image layers into folders that overlayfs takes for layers, confined to them by the kernel.

A process of its own (`python -m wardian.image.unpack`), so that it can enter a user namespace: there each
of its children changes root to the layer's folder before it opens a blob, and no path or link of a hostile
layer leads out. Tasks come on standard input in lines of a fixed length, which children read concurrently:
a pipe hands out a line whole. Each answers with one line of JSON.

What layers say of lower ones (image-spec, layer.md, "Whiteouts") becomes what overlayfs reads
(filesystems/overlayfs): a device 0:0 for what is gone, `user.overlay.opaque` for an opaque folder. All files
become those of whoever runs this, with the layer's modes. It decides nothing of digests: it tells what the
unpacked bytes hash to.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from errno import EACCES, EDQUOT, EIO, EMFILE, ENFILE, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM, EROFS, ESTALE

from wardian.errors import HostError, WardianError
from wardian.image import extraction
from wardian.image.ahead import Ahead
from wardian.image.decompress import decompressed, load
from wardian.system import confinement, namespace

LINE = 4 + 1 + 64 + 1 + 5 + 1 + 16 + 1  # number, blob's digest, compression, most bytes, newline
COMPRESSIONS = ("none", "gzip", "zstd", "xz", "bzip2")
_PIECE = 1 << 20
_GLANCE = 1.0  # seconds between two looks at whether the driver lives
_LONGEST_ERROR = 300  # characters, each 12 bytes at most: a pipe takes up to 4096 in one piece
# Headers decide how much tarfile reads at once. An honest layer needs a tenth of it.
_MEMORY = 1 << 30
# What failed for the host's sake: a layer's own folder is ours, on a file system that takes its attributes.
_KINDS = {
    **dict.fromkeys((ENOSPC, EDQUOT), "full"),
    **dict.fromkeys((EACCES, EIO, EMFILE, ENFILE, ENOMEM, EOPNOTSUPP, EPERM, EROFS, ESTALE), "host"),
}


def task(number: int, digest: str, compression: str, largest: int) -> bytes:
    """The line that has blob `digest` unpacked to folder `number`, to at most `largest` bytes of tar."""
    line = f"{number:04} {digest} {compression:5} {largest:016}\n".encode()
    assert len(line) == LINE
    return line


def main(arguments: list[str]) -> int:
    """Serve tasks until standard input ends: CONTENT WORK WORKERS DRIVER.

    Blobs lie in CONTENT by digest; layer NUMBER goes to the folder WORK/NUMBER/root, which is there. DRIVER
    is the process that waits for it.
    """
    content, work, workers, driver = arguments
    content_fd = os.open(content, os.O_PATH | os.O_DIRECTORY)
    work_fd = os.open(work, os.O_PATH | os.O_DIRECTORY)
    user, group = os.getuid(), os.getgid()
    namespace.unshare(namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS)
    namespace.map_only(user, group)
    os.umask(0o022)  # of folders that a layer only implies; what it names gets the mode that it names
    children = []
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for _ in range(int(workers)):
        child = os.fork()
        if child == 0:
            namespace.die_with_parent(parent)
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            _import_all()
            _serve(content_fd, work_fd)
            os._exit(0)
        children.append(child)
    return _wait(children, int(driver))


def _wait(children: list[int], driver: int) -> int:
    """Wait for all; ends at once, and they with it, when the driver has died.

    That is looked for: the kernel would tell of the death of the driver's thread, which may end before.
    """
    worst = 0
    while children:
        signal.sigtimedwait({signal.SIGCHLD}, _GLANCE)
        if os.getppid() != driver:
            os._exit(1)
        for child in [*children]:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                children.remove(child)
                worst = max(worst, abs(os.waitstatus_to_exitcode(status)))
    return worst


def _import_all() -> None:
    """Import what is imported when it is first used: after the change of root that would be the layer's."""
    load(COMPRESSIONS)
    confinement.import_no_more()


def _serve(content_fd: int, work_fd: int) -> None:
    while line := os.read(0, LINE).decode():
        number, digest, compression, largest = line.split()
        answer: dict[str, object] = {"number": int(number), "error": "", "kind": ""}
        try:
            answer |= _unpack(content_fd, work_fd, number, digest, compression, int(largest))
        except OSError as error:
            where = f"{error.filename!r}: " if error.filename else ""  # a hostile name stays quoted
            answer |= {"error": f"{where}{error.strerror}", "kind": _KINDS.get(error.errno or 0, "")}
        except MemoryError:
            answer["error"] = "its headers need more memory than any layer's"
        except HostError as error:
            answer |= {"error": error.message, "kind": "full"}
        except WardianError as error:
            answer["error"] = error.message
        except Exception as error:
            answer["error"] = f"it is no tar archive ({type(error).__name__}: {error})"
        answer["error"] = str(answer["error"])[:_LONGEST_ERROR]
        os.write(1, (json.dumps(answer) + "\n").encode())


def _unpack(
    content_fd: int, work_fd: int, number: str, digest: str, compression: str, largest: int
) -> dict[str, object]:
    """Unpack one layer; returns what is to be told of it."""
    root_fd = os.open(f"{int(number)}/root", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=work_fd)
    try:
        os.fchdir(root_fd)
    finally:
        os.close(root_fd)
    os.chroot(".")
    descriptor = os.open(f"{digest[:2]}/{digest}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=content_fd)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        stored = iter(lambda: file.read(_PIECE), b"")
        with Ahead(decompressed(stored, compression, "it", most=largest)) as ahead:
            found = extraction.extract(ahead, largest)
            ahead.drain()
    return {
        "diff_id": f"sha256:{ahead.digest.hexdigest()}",
        "bytes": found.bytes,
        "opaque": found.opaque,
        "skipped": found.skipped,
        "examples": [repr(name[:50]) for name in found.examples],
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
