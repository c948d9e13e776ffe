"""Unpacks `.deb` files in parallel, as dpkg would, confined to their root by the kernel.

A process of its own (`python -m wardian.ecosystems.debian.unpack`), so that it can enter a user
namespace: there each of its children changes root to the target folder before it opens a package, and no
path or link of a hostile archive leads out. Tasks come on standard input in lines of a fixed length,
which children read concurrently: a pipe hands out a line whole. Each answers with one line of JSON.

Writes, below each root, the files and `var/lib/dpkg/info`; and what configuring needs to know of the
package to a scratch folder (`database.Unpacked`), so that nothing outside ever reads the root. It
configures nothing.
"""

from __future__ import annotations

import hashlib
import json
import lzma  # noqa: F401 - after the change of root nothing can be imported any more
import os
import re
import stat
import sys
import tarfile
from collections.abc import Mapping
from errno import ENOSPC
from io import BufferedReader
from typing import IO

from wardian.ecosystems.debian import deb
from wardian.errors import VerificationError, WardianError
from wardian.runtime import namespace

Control = Mapping[str, deb.ControlFile]

LINE = 3 + 1 + 64 + 1  # root's number, digest, newline
_BLOCK = 1 << 20
_LONGEST_ERROR = 500  # characters, each 6 bytes at most: a pipe takes up to 4096 in one piece

# dpkg's path filters (dpkg(1), --path-exclude), the same as in the image's /etc/dpkg/dpkg.cfg.d/wardian.
EXCLUDED = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/locale/",
            "/usr/share/lintian/", "/usr/share/linda/", "/usr/share/help/", "/usr/share/groff/")  # fmt: skip
INCLUDED = ("/copyright", "/locale.alias")


def dpkg_configuration() -> str:
    """The text of `/etc/dpkg/dpkg.cfg.d/wardian`: the filters for packages installed later."""
    excludes = [f"path-exclude={prefix}*" for prefix in EXCLUDED]
    includes = ["path-include=/usr/share/doc/*/copyright", "path-include=/usr/share/locale/locale.alias"]
    return "\n".join(["# Documentation and foreign locales are left out.", *excludes, *includes, ""])


def _kept(path: str) -> bool:
    return not path.startswith(EXCLUDED) or path.endswith(INCLUDED)


def main(arguments: list[str]) -> int:
    """Serve tasks until standard input ends: CONTENT SCRATCH WORKERS BASE ROOT…

    BASE is the number of the root that is the base, or -1.
    """
    content, scratch, workers, base, *roots = arguments
    content_fd = os.open(content, os.O_PATH | os.O_DIRECTORY)
    scratch_fd = os.open(scratch, os.O_PATH | os.O_DIRECTORY)
    root_fds = [os.open(root, os.O_PATH | os.O_DIRECTORY) for root in roots]
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
            _serve(content_fd, scratch_fd, root_fds, int(base))
            os._exit(0)
        children.append(child)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


def _serve(content_fd: int, scratch_fd: int, root_fds: list[int], base: int) -> None:
    while line := os.read(0, LINE).decode():
        root, digest = int(line[:3]), line[4:].strip()
        answer: dict[str, str] = {"root": str(root), "sha256": digest, "error": "", "kind": ""}
        try:
            os.fchdir(root_fds[root])
            os.chroot(".")
            descriptor = os.open(f"{digest[:2]}/{digest}", os.O_RDONLY, dir_fd=content_fd)
            with os.fdopen(descriptor, "rb") as file:
                _verify(file, digest)
                unpacked = unpack(file, base=root == base, name=digest)
            descriptor = os.open(f"{root:03}-{digest}", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=scratch_fd)
            with os.fdopen(descriptor, "w") as out:
                json.dump(unpacked, out)
        except OSError as error:
            kind = "full" if error.errno == ENOSPC else ""
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


def unpack(file: IO[bytes], *, base: bool, name: str) -> dict[str, object]:
    """Unpack one package into `/`; returns the fields of its `database.Unpacked`.

    None of them says that the package is left to dpkg: its preinst diverts files, which must happen
    before its own files land. Not in the base: dpkg cannot run yet, and there is nothing to divert.
    """
    control = deb.read_control(file, name=name)
    if "control" not in control:
        raise VerificationError(f"{name} is no Debian package: it has no control file")
    if not base and "preinst" in control and b"dpkg-divert" in control["preinst"].data:
        return {}
    with deb.open_data(file, name=name) as archive:
        names = _Extraction(control).extract(archive)
    return _register(control, names)


def _field(stanza: str, name: str) -> str:
    found = re.search(rf"^{name}: *(.*)$", stanza, re.MULTILINE)
    return found[1].strip() if found else ""


def _conffiles(control: Control) -> list[str]:
    lines = control["conffiles"].data.decode().split("\n") if "conffiles" in control else []
    return [line.strip() for line in lines if line.startswith("/")]


class _Extraction:
    """Extracts one data.tar below the current root."""

    def __init__(self, control: Control) -> None:
        self.conffiles = set(_conffiles(control))
        # A file that is there already came from another package of this build. Ours may take its place
        # only if we say so (Debian policy 7.6.1); packages land in any order, so the other yields to us.
        self.replaces = bool(_field(control["control"].data.decode(), "Replaces"))

    def extract(self, archive: tarfile.TarFile) -> list[str]:
        """Returns the paths as dpkg lists them, without those that the filters exclude."""
        names = []
        for member in archive:
            path = "/" + member.name.removeprefix("./").strip("/")
            if not _kept(path):
                continue
            names.append(path if path != "/" else "/.")
            if path != "/":
                self._place(archive, member, path + ".dpkg-new" if path in self.conffiles else path)
        return names

    def _place(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        try:
            self._create(tar, member, path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            self._create(tar, member, path)
        except FileExistsError:
            if member.isdir() or not self.replaces:
                return
            os.unlink(path)
            self._create(tar, member, path)

    def _create(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        if member.isreg():
            self._write(tar, member, path)
        elif member.isdir():
            os.mkdir(path, 0o700 | member.mode & 0o7777)
        elif member.issym():
            os.symlink(member.linkname, path)
        elif member.islnk():
            os.link("/" + member.linkname.removeprefix("./").lstrip("/"), path)
        elif member.isfifo():
            os.mkfifo(path, member.mode)
        else:
            raise VerificationError(f"{path}: packages may not hold device files (Debian policy 10.6)")

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            content = archive.extractfile(member)
            assert content is not None  # it is a regular file
            while block := content.read(_BLOCK):
                while block:  # a disk that fills up takes a part first
                    block = block[os.write(descriptor, block) :]
            os.fchmod(descriptor, stat.S_IMODE(member.mode) | 0o400)
            os.utime(descriptor, (member.mtime, member.mtime))
        finally:
            os.close(descriptor)


def _register(control: Control, names: list[str]) -> dict[str, object]:
    """Write the package's files of dpkg's info database (dpkg's doc/, `info/` files)."""
    stanza = control["control"].data.decode().rstrip("\n") + "\n"
    package, architecture = _field(stanza, "Package"), _field(stanza, "Architecture")
    if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package) or not re.fullmatch(r"[a-z0-9-]+", architecture):
        raise VerificationError("the control file names no package")
    base = f"{package}:{architecture}" if _field(stanza, "Multi-Arch") == "same" else package
    info = "/var/lib/dpkg/info"
    _write_info(f"{info}/{base}.list", 0o644, ("\n".join(names) + "\n").encode())
    for name, file in control.items():
        if name != "control" and re.fullmatch(r"[a-z0-9.-]+", name):
            data = _without_excluded(file.data) if name == "md5sums" else file.data
            _write_info(f"{info}/{base}.{name}", file.mode, data)
    stanza = re.sub(
        r"^(Package: .*\n)", r"\1Status: install ok unpacked\n", stanza, count=1, flags=re.MULTILINE
    )
    conffiles = "".join(f" {name} newconffile\n" for name in _conffiles(control))
    triggers = control["triggers"].data.decode() if "triggers" in control else ""
    return {
        "name": base,
        "stanza": stanza + (f"Conffiles:\n{conffiles}" if conffiles else ""),
        "paths": names,
        "triggers": triggers,
        "preinst": "preinst" in control,
    }


def _without_excluded(md5sums: bytes) -> bytes:
    # dpkg leaves excluded files in its lists, and `dpkg --verify` then misses them; ours stays clean.
    lines = md5sums.decode(errors="surrogateescape").splitlines(keepends=True)
    return "".join(line for line in lines if _kept("/" + line[34:].rstrip("\n"))).encode(
        errors="surrogateescape"
    )


def _write_info(path: str, mode: int, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        os.fchmod(file.fileno(), stat.S_IMODE(mode))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
