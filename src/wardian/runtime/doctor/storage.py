"""The store's file system: room, rights, overlayfs, hard links; and room for temporary files."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.runtime.doctor.check import Check, not_tried

if TYPE_CHECKING:
    from wardian.runtime.doctor.trial import Steps

# A store with one image of the data-science preset, its packages and a build under way is 4 GB.
_COMFORTABLE_BYTES = 6 * 10**9
_NEEDED_BYTES = 10**9
# Such an image has 60 000 files.
_COMFORTABLE_FILES = 200_000
_NEEDED_FILES = 20_000
_TEMPORARY_BYTES = 200 * 10**6

_OTHER_HOME = "set WARDIAN_HOME to a folder on a local disk (ext4, xfs or btrfs)"


def is_writable(home: Path) -> bool:
    """Make `home` if need be and say whether folders can be made in it."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)  # as store.py has it
        with tempfile.TemporaryDirectory(dir=home, prefix="doctor-"):
            return True
    except OSError:
        return False


def check_storage(home: Path, temporary: Path) -> list[Check]:
    """Rights and room at the store, and room for temporary files."""
    return [_check_home(home), _check_room(home), _check_temporary(temporary)]


def check_overlay(host: Path, home: Path, steps: Steps) -> Check:
    """Whether overlayfs works on the store's file system, in a user namespace."""
    name, kind = "overlayfs", filesystem(host, home)
    where = f"{home} ({kind})" if kind else str(home)
    if "overlay" not in steps:
        message = "not tried, because user namespaces or the store do not work"
        return Check(name=name, ok=None, message=message, hint="mend these first")
    if not steps["overlay"] and steps.get("replace") == 0:
        return Check(name=name, ok=True, message=f"works on {where}")
    number = steps["overlay"] or steps.get("replace") or 0
    message = f"fails on {where}: {os.strerror(number)}"
    return Check(name=name, ok=False, message=message, hint=_overlay_hint(host, kind, number))


def check_hard_links(home: Path, *, writable: bool = True) -> Check:
    """Whether files in the store can have several names, which is how images share packages."""
    name = "hard links"
    if not writable:
        return not_tried(name)
    try:
        with tempfile.TemporaryDirectory(dir=home, prefix="doctor-") as folder:
            first = Path(folder, "first")
            first.touch()
            Path(folder, "second").hardlink_to(first)
    except OSError as error:
        message = f"cannot be made in {home}: {error.strerror}"
        return Check(name=name, ok=None, message=message, hint=_OTHER_HOME)
    return Check(name=name, ok=True, message=f"work in {home}")


def filesystem(host: Path, path: Path) -> str:
    """The type of the file system that holds `path` (proc(5), mountinfo), or an empty string."""
    resolved, best, kind = path.resolve(), -1, ""
    try:
        lines = (host / "proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), before.split()[4]))
        if resolved.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind


def _check_home(home: Path) -> Check:
    name = "store"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)  # as store.py has it
        with tempfile.TemporaryDirectory(dir=home, prefix="doctor-"):
            flags = os.statvfs(home).f_flag
    except OSError as error:
        message = f"{home} cannot be written: {error.strerror}"
        return Check(
            name=name, ok=False, message=message, hint="set WARDIAN_HOME to a folder that you can write"
        )
    if flags & os.ST_NOEXEC:
        message = f"{home} is on a file system whose programs may not be executed (noexec)"
        return Check(name=name, ok=False, message=message, hint=_OTHER_HOME)
    return Check(name=name, ok=True, message=f"{home} can be written")


def _check_room(home: Path) -> Check:
    name, place = "disk space", _existing(home)
    status = os.statvfs(place)
    room, files = status.f_bavail * status.f_frsize, status.f_favail
    counted = status.f_files > 0  # btrfs and others make file entries as they are needed
    message = f"{_gigabytes(room)} free at {place}" + (f", {files} more files" if counted else "")
    enough = room >= _NEEDED_BYTES and (not counted or files >= _NEEDED_FILES)
    plenty = room >= _COMFORTABLE_BYTES and (not counted or files >= _COMFORTABLE_FILES)
    if enough and plenty:
        return Check(name=name, ok=True, message=message)
    hint = "free some (`wardian prune` removes what is unused), or set WARDIAN_HOME to a larger disk"
    return Check(name=name, ok=None if enough else False, message=message, hint=hint)


def _check_temporary(temporary: Path) -> Check:
    name = "temporary files"
    try:
        with tempfile.TemporaryDirectory(dir=temporary, prefix="doctor-"):
            status = os.statvfs(temporary)
    except OSError as error:
        message = f"{temporary} cannot be written: {error.strerror}"
        return Check(name=name, ok=False, message=message, hint="set TMPDIR to a folder that you can write")
    room = status.f_bavail * status.f_frsize
    message = f"{_gigabytes(room)} free at {temporary}"
    if room < _TEMPORARY_BYTES:
        return Check(name=name, ok=None, message=message, hint="free some, or set TMPDIR to a larger folder")
    return Check(name=name, ok=True, message=message)


def _overlay_hint(host: Path, kind: str, number: int) -> str:
    try:
        known = (host / "proc/filesystems").read_text().split()
    except OSError:
        known = []
    if "overlay" not in known and number in (errno.ENODEV, errno.EPERM):
        return "load the kernel's module: sudo modprobe overlay"
    if kind == "overlay":
        return "set WARDIAN_HOME to a volume: overlayfs does not stand on the root of a container"
    if number == errno.EPERM:
        return "upgrade the kernel to 5.11 or later, which allows overlayfs in user namespaces"
    return _OTHER_HOME


def _existing(path: Path) -> Path:
    # os.path's: pathlib's raises for what lies in a folder that may not be entered, up to Python 3.13.
    return next(place for place in (path.absolute(), *path.absolute().parents) if os.path.exists(place))


def _gigabytes(count: int) -> str:
    return f"{count / 10**9:.1f} GB"
