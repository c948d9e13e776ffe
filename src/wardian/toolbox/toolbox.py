"""Outside programs that wardian runs on the host: taken from packages, made runnable without root.

A program from a Debian package runs on any Linux of its architecture once its interpreter and library
path lead into a folder that holds the libraries it was built with. Nothing of the host is used: no dpkg,
no tar, no shared library. Where packages come from, and what is verified, is the caller's affair.

    KEY/bin/NAME     programs, with the interpreter and DT_RPATH set
    KEY/methods/     apt's acquire methods; it asks one what it can do even where nothing is acquired
    KEY/lib/         ld.so and all shared libraries, side by side
    KEY/share/NAME   data files
    KEY/complete     written last, when all else is on the disk: after a loss of power it may not be
"""

from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from wardian.errors import InternalError, VerificationError
from wardian.system.files import write_atomic
from wardian.toolbox.patch import patch

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from wardian.image.platform import Platform
    from wardian.store.store import Store

# The suite whose packages these are: their names change from suite to suite.
SUITE = "trixie"
PACKAGES = (
    "apt",
    "crun",
    "golang-github-containers-common",
    "libapt-pkg7.0",
    "libbz2-1.0",
    "libc6",
    "libcap2",
    "libgcc-s1",
    "liblz4-1",
    "liblzma5",
    "libseccomp2",
    "libssl3t64",
    "libstdc++6",
    "libsystemd0",
    "libudev1",
    "libxxhash0",
    "libyajl2",
    "libzstd1",
    "zlib1g",
)
# Where a member of a package goes.
_PROGRAMS = {
    "usr/bin/apt-get": "bin/apt-get",
    "usr/bin/crun": "bin/crun",
    "usr/lib/apt/methods/file": "methods/file",
}
_FILES = {"usr/share/containers/seccomp.json": "share/seccomp.json"}
# To be raised when the same packages are to be made into something else.
_RECIPE = "2"
_MARKER = "complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolbox:
    """A complete toolbox at `root`."""

    root: Path

    @classmethod
    def find(cls, store: Store, platform: Platform) -> Toolbox | None:
        """The toolbox for this host, if it was already made."""
        root = store.toolbox() / _key(store, platform)
        return cls(root=root) if (root / _MARKER).exists() else None

    @classmethod
    def ensure(
        cls,
        store: Store,
        platform: Platform,
        *,
        debs: Callable[[Sequence[str]], Iterable[Path]],
        data: Callable[[Path], AbstractContextManager[tarfile.TarFile]],
    ) -> Toolbox:
        """The toolbox for this host, made if need be; another process that makes it is waited for.

        `debs` gives the verified `.deb` files of suite SUITE for package names, as they arrive; `data`
        opens the data archive of one. Raises what they raise, VerificationError and BuildError.
        """
        if found := cls.find(store, platform):
            return found
        key = _key(store, platform)
        with store.lock(f"toolbox-{key}"):
            if found := cls.find(store, platform):
                return found
            with store.temporary() as temporary:
                target = store.toolbox() / key
                _make(temporary / "new", target, debs(PACKAGES), data)
                if target.exists():  # without its marker
                    target.rename(temporary / "incomplete")
                (temporary / "new").rename(target)
                return cls(root=target)

    def program(self, name: str) -> Path:
        """The program of that name, for example `apt-get`."""
        return self._existing(self.root / "bin" / name)

    def file(self, name: str) -> Path:
        """The data file of that name, for example `seccomp.json`."""
        return self._existing(self.root / "share" / name)

    def methods(self) -> Path:
        """The folder of apt's acquire methods."""
        return self.root / "methods"

    def _existing(self, path: Path) -> Path:
        if not path.exists():
            raise InternalError(f"the toolbox has no {path.name}")
        return path


def _key(store: Store, platform: Platform) -> str:
    """The folder's name. Programs hold its path, so that a store that was moved makes another."""
    parts = [_RECIPE, SUITE, platform.debian, os.path.realpath(store.root), *PACKAGES, *_PROGRAMS, *_FILES]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _make(
    folder: Path,
    target: Path,
    debs: Iterable[Path],
    data: Callable[[Path], AbstractContextManager[tarfile.TarFile]],
) -> None:
    for name in ("bin", "lib", "methods", "share"):
        (folder / name).mkdir(parents=True)
    # The store may be reached through a link, which may go: the key (`_key`) does not know of it.
    final = Path(os.path.realpath(target))

    def unpack(deb: Path) -> None:
        with data(deb) as archive:
            _unpack(archive, folder)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # decompressing leaves Python's lock alone
        list(pool.map(unpack, debs))
        programs = [folder / place for place in _PROGRAMS.values()]
        files = [folder / place for place in _FILES.values()]
        if missing := [path.name for path in (*programs, *files) if not path.exists()]:
            raise VerificationError(f"the packages for the toolbox hold no {', '.join(missing)}")
        interpreter = _interpreter(folder / "lib")
        list(pool.map(lambda path: patch(path, final / "lib" / interpreter, final / "lib"), programs))
        list(pool.map(_save, (path for path in folder.rglob("*") if path.is_file())))
    write_atomic(folder / _MARKER, "", durable=True)


def _save(path: Path) -> None:
    """Have the disk take a file's bytes."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Take what is listed above and every shared library; names decide nothing but the last part."""
    for member in archive:
        path = PurePosixPath(member.name.removeprefix("./"))
        place = _place(str(path))
        if place is None:
            continue
        if member.issym():
            _link(folder / place, PurePosixPath(member.linkname).name)
        elif member.isreg() and (file := archive.extractfile(member)):
            with _create(folder / place) as output:
                shutil.copyfileobj(file, output, 1 << 20)
            (folder / place).chmod(0o755 if member.mode & 0o111 else 0o644)


def _place(path: str) -> str | None:
    """Where a member goes, relative to the toolbox; None for one that is not taken."""
    name = PurePosixPath(path).name
    if chosen := _PROGRAMS.get(path) or _FILES.get(path):
        return chosen
    parts = PurePosixPath(path).parts
    folder = parts[1:-1] if parts[:1] == ("usr",) else parts[:-1]
    # usr/lib/ARCHITECTURE-linux-gnu/NAME, lib64/NAME: plug-ins in folders below are not taken.
    is_library = folder[:1] in (("lib",), ("lib64",)) and len(folder) <= 2
    return f"lib/{name}" if is_library and ".so" in name and not name.endswith(".conf") else None


def _link(path: Path, name: str) -> None:
    # lib64/ld-linux… leads to the file of the same name in lib, which here is the same folder.
    if name != path.name and ".so" in name and not path.is_symlink():
        path.symlink_to(name)


def _create(path: Path) -> BinaryIO:
    path.unlink(missing_ok=True)
    return path.open("xb")


def _interpreter(libraries: Path) -> str:
    """The file name of the dynamic loader, which differs among architectures."""
    for pattern in ("ld-linux*.so.*", "ld64.so.*"):
        for path in sorted(libraries.glob(pattern)):
            return path.name
    raise VerificationError("the packages for the toolbox hold no dynamic loader")
