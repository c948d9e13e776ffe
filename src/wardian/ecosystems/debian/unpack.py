"""Unpacks `.deb` files in parallel, as dpkg would, confined to their root by the kernel.

A process of its own (`python -m wardian.ecosystems.debian.unpack`), so that it can enter a user
namespace: there each of its children changes root to the target folder before it opens a package, and no
path or link of a hostile archive leads out. Tasks come on standard input in lines of a fixed length,
which children read concurrently: a pipe hands out a line whole. Each answers with one line of JSON.

Writes, below each root, the files and `var/lib/dpkg/info`; and the package's status stanza to a scratch
folder, for `database.py`. It configures nothing.
"""

from __future__ import annotations

import io
import json
import lzma
import os
import re
import stat
import sys
import tarfile
import traceback
import zlib
from typing import IO, TYPE_CHECKING

from wardian.errors import BuildError
from wardian.runtime import namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE = 3 + 1 + 64 + 1  # root's number, digest, newline
_IN_MEMORY = 48 << 20  # larger archives are decompressed as a stream: two workers stay below 200 MB
_LARGEST_CONTROL = 16 << 20
_SLACK = 64 << 20

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
    """Serve tasks until standard input ends: CONTENT SCRATCH WORKERS ROOT…"""
    content, scratch, workers, *roots = arguments
    content_fd = os.open(content, os.O_PATH | os.O_DIRECTORY)
    scratch_fd = os.open(scratch, os.O_PATH | os.O_DIRECTORY)
    root_fds = [os.open(root, os.O_PATH | os.O_DIRECTORY) for root in roots]
    user, group = os.getuid(), os.getgid()
    namespace.unshare(namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS)
    namespace.map_only(user, group)
    os.umask(0)
    children = []
    for _ in range(int(workers)):
        child = os.fork()
        if child == 0:
            _serve(content_fd, scratch_fd, root_fds)
            os._exit(0)
        children.append(child)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


def _serve(content_fd: int, scratch_fd: int, root_fds: list[int]) -> None:
    while line := os.read(0, LINE).decode():
        root, digest = int(line[:3]), line[4:].strip()
        answer = {"root": root, "sha256": digest, "error": ""}
        try:
            os.fchdir(root_fds[root])
            os.chroot(".")
            deb = os.open(f"{digest[:2]}/{digest}", os.O_RDONLY, dir_fd=content_fd)
            with os.fdopen(deb, "rb") as file:
                stanza = unpack(file, base=root == 0)
            with os.fdopen(
                os.open(
                    f"{root:03}-{digest}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=scratch_fd
                ),
                "w",
            ) as out:
                out.write(stanza)
        except (
            OSError,
            ValueError,
            EOFError,
            BuildError,
            lzma.LZMAError,
            tarfile.TarError,
            zlib.error,
        ) as error:
            answer["error"] = str(error)[:2000]
        except Exception:
            answer["error"] = traceback.format_exc()[-2000:]
        os.write(1, (json.dumps(answer) + "\n").encode())


def members(file: IO[bytes]) -> Iterator[tuple[str, int]]:
    """The members of an ar archive (deb(5)): name and size, the file standing at the member's first byte."""
    if file.read(8) != b"!<arch>\n":
        raise BuildError("not a Debian package: no ar archive")
    while header := file.read(60):
        if len(header) != 60 or header[58:] != b"`\n":
            raise BuildError("not a Debian package: damaged ar header")
        size = int(header[48:58])
        start = file.tell()
        yield header[:16].decode("ascii").strip().rstrip("/"), size
        file.seek(start + size + size % 2)


def _decompressed(file: IO[bytes], name: str, size: int) -> IO[bytes]:
    """The bytes of a member, in memory when they are few, else as a stream."""
    raw = file.read(size)
    if name.endswith(".xz"):
        decompressor = lzma.LZMADecompressor()
        data = decompressor.decompress(raw, _IN_MEMORY)
        if decompressor.eof and not decompressor.unused_data:
            return io.BytesIO(data)
        return lzma.LZMAFile(io.BytesIO(raw))
    if name.endswith(".gz"):
        inflater = zlib.decompressobj(31)
        data = inflater.decompress(raw, _IN_MEMORY)
        if inflater.eof:
            return io.BytesIO(data)
        raise BuildError(f"{name} is larger than {_IN_MEMORY} bytes, or cut off")
    if name.endswith(".tar"):
        return io.BytesIO(raw)
    raise BuildError(f"unknown compression of {name}")


def unpack(deb: IO[bytes], *, base: bool) -> str:
    """Unpack one package into `/`; returns its stanza for dpkg's status, `install ok unpacked`.

    An empty stanza says that the package is left to dpkg: its preinst diverts files, which must happen
    before its own files land. Not in the base: dpkg cannot run yet, and there is nothing to divert.
    """
    control: dict[str, tuple[int, bytes]] = {}
    names: list[str] = []
    for name, size in members(deb):
        if name.startswith("control.tar"):
            control = _read_control(_decompressed(deb, name, size))
            if not base and b"dpkg-divert" in control.get("preinst", (0, b""))[1]:
                return ""
        elif name.startswith("data.tar"):
            if "control" not in control:
                raise BuildError("not a Debian package: no control file before the data")
            names = _Extraction(control).extract(_decompressed(deb, name, size))
    return _register(control, names)


def _read_control(data: IO[bytes]) -> dict[str, tuple[int, bytes]]:
    control = {}
    with tarfile.open(fileobj=data, mode="r:") as tar:
        for member in tar:
            if member.isfile():
                if member.size > _LARGEST_CONTROL:
                    raise BuildError(f"control file {member.name} is too large")
                control[os.path.basename(member.name)] = (member.mode, tar.extractfile(member).read())  # type: ignore[union-attr]
    return control


def _field(stanza: str, name: str) -> str:
    found = re.search(rf"^{name}: *(.*)$", stanza, re.MULTILINE)
    return found[1].strip() if found else ""


def _conffiles(control: dict[str, tuple[int, bytes]]) -> list[str]:
    lines = control.get("conffiles", (0, b""))[1].decode().split("\n")
    return [line.strip() for line in lines if line.startswith("/")]


class _Extraction:
    """Extracts one data.tar below the current root."""

    def __init__(self, control: dict[str, tuple[int, bytes]]) -> None:
        stanza = control["control"][1].decode()
        self.conffiles = set(_conffiles(control))
        # A file that is there already came from another package of this build. Ours may take its place
        # only if we say so (Debian policy 7.6.1); packages land in any order, so the other yields to us.
        self.replaces = bool(_field(stanza, "Replaces"))
        self.budget = int(_field(stanza, "Installed-Size") or 0) * 1024 * 4 + _SLACK

    def extract(self, data: IO[bytes]) -> list[str]:
        """Returns the paths as dpkg lists them, without those that the filters exclude."""
        names = []
        with tarfile.open(fileobj=data, mode="r:") as tar:
            for member in tar:
                path = "/" + member.name.removeprefix("./").strip("/")
                if not _kept(path):
                    continue
                names.append(path if path != "/" else "/.")
                if path == "/":
                    continue
                self.budget -= member.size
                if self.budget < 0:
                    raise BuildError("unpacks to far more than its Installed-Size says")
                self._place(tar, member, path + ".dpkg-new" if path in self.conffiles else path)
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
            raise BuildError(f"{path}: packages may not hold device files (Debian policy 10.6)")

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            tar.fileobj.seek(member.offset_data)
            remaining = member.size
            while remaining:
                block = tar.fileobj.read(min(remaining, 4 << 20))
                if not block:
                    raise BuildError(f"{path}: the package is cut off")
                remaining -= os.write(descriptor, block)
            os.fchmod(descriptor, stat.S_IMODE(member.mode) | 0o400)
            os.utime(descriptor, (member.mtime, member.mtime))
        finally:
            os.close(descriptor)


def _register(control: dict[str, tuple[int, bytes]], names: list[str]) -> str:
    """Write the package's files of dpkg's info database (dpkg's doc/, `info/` files)."""
    stanza = control["control"][1].decode().rstrip("\n") + "\n"
    package, architecture = _field(stanza, "Package"), _field(stanza, "Architecture")
    if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package) or not re.fullmatch(r"[a-z0-9-]+", architecture):
        raise BuildError("the control file names no package")
    base = f"{package}:{architecture}" if _field(stanza, "Multi-Arch") == "same" else package
    info = "/var/lib/dpkg/info"
    _write_info(f"{info}/{base}.list", 0o644, ("\n".join(names) + "\n").encode())
    for name, (mode, text) in control.items():
        if name != "control":
            _write_info(f"{info}/{base}.{name}", mode, _without_excluded(text) if name == "md5sums" else text)
    stanza = re.sub(
        r"^(Package: .*\n)", r"\1Status: install ok unpacked\n", stanza, count=1, flags=re.MULTILINE
    )
    conffiles = "".join(f" {name} newconffile\n" for name in _conffiles(control))
    return stanza + (f"Conffiles:\n{conffiles}" if conffiles else "")


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
