"""Unpacks `.deb` files in parallel, as dpkg would, confined to their root by the kernel.

A process of its own (`python -m wardian.ecosystems.debian.unpack`), so that it can enter a user
namespace: there each of its children changes root to the target folder before it opens a package, and no
path or link of a hostile archive leads out. Tasks come on standard input in lines of a fixed length,
which children read concurrently: a pipe hands out a line whole. Each answers with one line of JSON.

Writes, below each root, the files and `var/lib/dpkg/info`; and what configuring needs to know of the
package (`database.Unpacked`), and what it holds (`record.Record`), to a scratch folder, so that nothing
outside ever reads the root. It configures nothing.
"""

from __future__ import annotations

import contextlib
import encodings.ascii
import encodings.latin_1
import encodings.utf_8  # noqa: F401 - after the change of root nothing can be imported any more
import hashlib
import json
import os
import stat
import sys
import tarfile
from collections.abc import Mapping
from errno import ENOSPC, EOPNOTSUPP
from io import BufferedReader
from typing import IO

from wardian.ecosystems.debian import deb, decompress, info
from wardian.ecosystems.debian.record import Recorder, digest_of
from wardian.errors import VerificationError, WardianError
from wardian.runtime import owners
from wardian.system import confinement, namespace

LINE = 3 + 1 + 64 + 1  # root's number, digest, newline
VERSIONS = "versions"
_BLOCK = 1 << 20
_LONGEST_ERROR = 500  # characters, each 6 bytes at most: a pipe takes up to 4096 in one piece
_LISTS = (".list", ".md5sums")  # dpkg itself leaves paths in these that its filters exclude
_KINDS = {ENOSPC: "full", EOPNOTSUPP: "attributes"}


def main(arguments: list[str]) -> int:
    """Serve tasks until standard input ends: CONTENT SCRATCH WORKERS DOCS BASE ROOT…

    DOCS is 1 where documentation is kept. BASE is the number of the root that is the base, or -1. The file
    VERSIONS in SCRATCH has those of each root's packages by name.
    """
    content, scratch, workers, docs, base, *roots = arguments
    content_fd = os.open(content, os.O_PATH | os.O_DIRECTORY)
    scratch_fd = os.open(scratch, os.O_PATH | os.O_DIRECTORY)
    root_fds = [os.open(root, os.O_PATH | os.O_DIRECTORY) for root in roots]
    with open(f"{scratch}/{VERSIONS}", "rb") as file:
        versions: list[dict[str, str]] = json.load(file)
    user, group = os.getuid(), os.getgid()
    namespace.unshare(namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS)
    namespace.map_only(user, group)
    os.umask(0)
    children = []
    parent = os.getpid()
    for _ in range(int(workers)):
        child = os.fork()
        if child == 0:
            namespace.die_with_parent(parent)
            decompress.load()
            confinement.import_no_more()  # it would be out of the packages' own files
            _serve(content_fd, scratch_fd, root_fds, versions, int(base), docs == "1")
            os._exit(0)
        children.append(child)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


def _serve(
    content_fd: int,
    scratch_fd: int,
    root_fds: list[int],
    versions: list[dict[str, str]],
    base: int,
    docs: bool,
) -> None:
    while line := os.read(0, LINE).decode():
        root, digest = int(line[:3]), line[4:].strip()
        answer: dict[str, str] = {"root": str(root), "sha256": digest, "error": "", "kind": ""}
        try:
            os.fchdir(root_fds[root])
            os.chroot(".")
            descriptor = os.open(f"{digest[:2]}/{digest}", os.O_RDONLY, dir_fd=content_fd)
            with os.fdopen(descriptor, "rb") as file:
                _verify(file, digest)
                told = unpack(file, versions[root], base=root == base, docs=docs, name=digest)
            descriptor = os.open(f"{root:03}-{digest}", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=scratch_fd)
            with os.fdopen(descriptor, "w") as out:
                out.write(json.dumps(told))  # in C, unlike json.dump
        except OSError as error:
            kind = _KINDS.get(error.errno or 0, "")
            answer["error"], answer["kind"] = f"{error.filename or digest}: {error.strerror}", kind
        except _DamagedError:
            answer["error"], answer["kind"] = "the stored file is damaged", "damaged"
        except (WardianError, ValueError) as error:
            answer["error"] = str(error)
        except Exception as error:
            answer["error"] = f"{type(error).__name__}: {error}"
        answer["error"] = answer["error"][:_LONGEST_ERROR]
        os.write(1, (json.dumps(answer) + "\n").encode())


class _DamagedError(Exception):
    """The stored file is not the one that was fetched."""


def _verify(file: BufferedReader, digest: str) -> None:
    """What was verified when it was fetched may have been lost with the power since; 1 GB/s."""
    if hashlib.file_digest(file, "sha256").hexdigest() != digest:
        raise _DamagedError


def unpack(
    file: IO[bytes], versions: Mapping[str, str], *, base: bool, docs: bool, name: str
) -> dict[str, object]:
    """Unpack one package into `/`; returns its `record.Record` and, as `unpacked`, its `database.Unpacked`.

    `versions` are those of all packages that are unpacked there, by name.

    Instead of the latter, `lists` says that the package is left to dpkg: its preinst diverts files, which
    must happen before its own files land. They are to replace what dpkg lists of it then; `interests` are
    its name and its `triggers`. Not in the base: dpkg cannot run yet, and there is nothing to divert.
    """
    control = deb.read_control(file, name=name)
    if "control" not in control:
        raise VerificationError(f"{name} is no Debian package: it has no control file")
    deferred = not base and "preinst" in control and b"dpkg-divert" in control["preinst"].data
    recorder = Recorder(control)
    with deb.open_data(file, name=name) as archive:
        names = _Extraction(control, versions, recorder, docs=docs, dry=deferred).extract(archive)
    files = info.info_files(control, names, docs=docs)
    recorder.add_info(files)
    if deferred:
        lists = {each.name: each.data.decode("latin-1") for each in files if each.name.endswith(_LISTS)}
        return {
            "record": recorder.told(),
            "lists": lists,
            "interests": [info.info_name(control), _triggers(control)],
        }
    _register(files)
    return {"record": recorder.told(), "unpacked": _unpacked(control, names)}


def _unpacked(control: info.Control, names: list[str]) -> dict[str, object]:
    return {
        "name": info.info_name(control),
        "stanza": info.unpacked_stanza(control),
        "paths": names,
        "triggers": _triggers(control),
        "preinst": "preinst" in control,
    }


def _triggers(control: info.Control) -> str:
    return control["triggers"].data.decode() if "triggers" in control else ""


class _Extraction:
    """Extracts one data.tar below the current root, and records it; if `dry`, only that."""

    def __init__(
        self,
        control: info.Control,
        versions: Mapping[str, str],
        recorder: Recorder,
        *,
        docs: bool,
        dry: bool,
    ) -> None:
        self._conffiles = set(info.conffiles(control))
        # A file that is there already came from another package of this stage. Ours may take its place
        # only if we say so (Debian policy 7.6.1); packages land in any order, so the other yields to us.
        self._replaces = info.replaces(control, versions)
        self._recorder, self._docs, self._dry = recorder, docs, dry

    def extract(self, archive: tarfile.TarFile) -> list[str]:
        """Returns the paths as dpkg lists them, without those that the filters exclude."""
        names = []
        for name, member in deb.selected(archive, docs=self._docs):
            names.append(f"/{name or '.'}")
            if name:
                self._take(archive, member, name)
        return names

    def _take(self, archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        content = _Content(archive, member, hashed=self._recorder.wants_digest(name))
        if not member.isreg():  # it is refused before it is made
            self._recorder.add(member, name, None)
        if not self._dry:
            path = f"/{name}"
            self._place(member, content, f"{path}.dpkg-new" if path in self._conffiles else path)
        if member.isreg():
            self._recorder.add(member, name, content.digest())

    def _place(self, member: tarfile.TarInfo, content: _Content, path: str) -> None:
        try:
            self._create(member, content, path)
        except FileNotFoundError:
            _make_folders(os.path.dirname(path))
            self._create(member, content, path)
        except FileExistsError:
            if member.isdir() or not self._replaces:
                return
            os.unlink(path)
            self._create(member, content, path)

    def _create(self, member: tarfile.TarInfo, content: _Content, path: str) -> None:
        if member.isreg():
            _write(member, content, path)
        elif member.isdir():
            os.mkdir(path)
            os.chmod(path, 0o700 | member.mode & 0o7777)  # mkdir(2) takes no set-id bits
        elif member.issym():
            os.symlink(member.linkname, path)
        elif member.islnk():
            os.link("/" + member.linkname.removeprefix("./").lstrip("/"), path)
        elif member.isfifo():
            os.mkfifo(path, member.mode)
        if (member.uid or member.gid) and (member.isreg() or member.isdir()):
            os.setxattr(path, owners.ATTRIBUTE, b"%d:%d" % (member.uid, member.gid))


def _make_folders(path: str) -> None:
    """Make folders that the package does not hold itself."""
    if not os.path.isdir(path):
        _make_folders(os.path.dirname(path))
        with contextlib.suppress(FileExistsError):  # another package's worker made it meanwhile
            os.mkdir(path, 0o755)


class _Content:
    """The bytes of a member, hashed as they pass where that is wanted."""

    def __init__(self, archive: tarfile.TarFile, member: tarfile.TarInfo, *, hashed: bool) -> None:
        self._file = archive.extractfile(member) if member.isreg() else None
        self._hash = digest_of() if hashed and self._file else None

    def read(self) -> bytes:
        """The next bytes; empty at the end."""
        block = self._file.read(_BLOCK) if self._file else b""
        if self._hash:
            self._hash.update(block)
        return block

    def digest(self) -> str | None:
        """The MD5 sum, of what nobody has read too."""
        if self._hash is None:
            return None
        while self.read():
            pass
        return self._hash.hexdigest()


def _write(member: tarfile.TarInfo, content: _Content, path: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        while block := content.read():
            while block:  # a disk that fills up takes a part first
                block = block[os.write(descriptor, block) :]
        os.fchmod(descriptor, stat.S_IMODE(member.mode) | 0o400)
        os.utime(descriptor, (member.mtime, member.mtime))
    finally:
        os.close(descriptor)


def _register(files: list[info.InfoFile]) -> None:
    for each in files:
        with open(f"/{info.FOLDER}/{each.name}", "wb") as file:
            file.write(each.data)
            os.fchmod(file.fileno(), each.mode)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
