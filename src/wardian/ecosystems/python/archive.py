"""Unpacks a managed interpreter's archive so that nothing can land outside its folder.

Python's own extraction filters (PEP 706) are missing in Debian 12's Python, hence this. Links are made
last: no file is ever written through one, and each is checked by where it really leads once all are made.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.errors import BuildError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator

# The largest known interpreter has 160 MB in 8,000 members.
_LARGEST = 2 << 30
_MOST = 100_000
PREFIX = "/opt/python"


def unpack(archive: Path, into: Path) -> None:
    """Unpack the `python/` folder of an `install_only` archive as `into`, which must not exist.

    Modes are 0755 and 0644, times those of the archive. Raises VerificationError for members that
    leave the root or are no files, BuildError for what is no such archive.
    """
    into.mkdir(parents=True)
    try:
        with tarfile.open(archive) as packed:
            links = list(_write_files(packed, into))
        for path, target in links:
            _link(path, target, into)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise BuildError(f"cannot unpack {archive.name}: {error}") from error
    for path, target in links:  # only now is it certain where each leads: one may lead through another
        _check_link(path, target, into)
    if not (into / "bin/python3").exists():
        raise BuildError(f"{archive.name} holds no python/bin/python3")
    _settle(into)


def _write_files(packed: tarfile.TarFile, into: Path) -> Iterator[tuple[Path, str]]:
    """Write folders and files; yield what is to become a symbolic link."""
    total = count = 0
    for member in packed:
        total, count = total + member.size, count + 1
        if total > _LARGEST or count > _MOST:
            raise VerificationError(f"{into.name} unpacks to more than any interpreter holds")
        path = _inside(into, member.name)
        if path is None:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.issym():
            yield path, member.linkname
        elif member.isdir():
            path.mkdir(exist_ok=True)
        else:
            _write(packed, member, path, into)


def _inside(into: Path, name: str) -> Path | None:
    """Where a member goes; None for the top folder itself."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or not parts or parts[0] != "python" or "\0" in name:
        raise VerificationError(f"the interpreter's archive has a member outside its root: {name!r}")
    return into.joinpath(*parts[1:]) if parts[1:] else None


def _write(packed: tarfile.TarFile, member: tarfile.TarInfo, path: Path, into: Path) -> None:
    if member.islnk():
        source = _inside(into, member.linkname)
        if source is None or not source.is_file():
            raise VerificationError(f"the interpreter's archive links {member.name!r} to nothing in it")
        os.link(source, path)
        return
    content = packed.extractfile(member) if member.isreg() else None
    if content is None:
        raise VerificationError(f"the interpreter's archive has a member that is no file: {member.name!r}")
    with path.open("xb") as file:
        shutil.copyfileobj(content, file)
    path.chmod(0o755 if member.mode & 0o111 else 0o644)
    # Byte code in the archive names the time of its source.
    os.utime(path, (member.mtime, member.mtime))


def _link(path: Path, target: str, into: Path) -> None:
    if os.path.isabs(target) or os.path.lexists(path):
        raise _leaving(path, target, into)
    path.symlink_to(target)


def _check_link(path: Path, target: str, into: Path) -> None:
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(into)):
        raise _leaving(path, target, into)


def _leaving(path: Path, target: str, into: Path) -> VerificationError:
    return VerificationError(
        f"the interpreter's archive has a link that leaves its root: {path.relative_to(into)} -> {target}"
    )


def _settle(into: Path) -> None:
    """Tell the interpreter's build settings where it lies and that compilers have their usual names.

    The archives are built below /install with clang; extension modules built with such settings fail.
    """
    for path in into.glob("lib/python3.*/_sysconfigdata_*.py"):
        text = path.read_text()
        text = re.sub(r"(?<![\w.])/install\b", PREFIX, text)
        text = re.sub(r"\bclang\+\+(?:-\d+)?", "c++", text)
        text = re.sub(r"\bclang(?:-\d+)?(?=[ '\"])", "cc", text)
        times = path.stat()
        path.unlink()
        path.write_text(text)
        os.utime(path, (times.st_atime, times.st_mtime + 1))  # its byte code, if any, is out of date
