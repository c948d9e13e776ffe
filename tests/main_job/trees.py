"""What a folder holds, in a form that can be compared and whose difference can be read."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from wardian.ecosystems.debian import contents

_OPAQUE = "user.overlay.opaque"  # filesystems/overlayfs: the folder hides those below it


def describe(root: Path) -> dict[str, str]:
    """Every path below `root`: its kind and mode, and what it holds.

    Of several names of one file, all but the first say which name that is. Times are no part of it.
    """
    found: dict[str, str] = {".": stat.filemode(root.stat().st_mode)}
    names: dict[tuple[int, int], str] = {}
    for parent, folders, files in sorted(os.walk(root)):
        for name in sorted([*folders, *files]):
            path = Path(parent, name)
            found[str(path.relative_to(root))] = _entry(path, root, names)
    return found


def _entry(path: Path, root: Path, names: dict[tuple[int, int], str]) -> str:
    status = path.lstat()
    mode = stat.filemode(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return f"link to {os.readlink(path)}"
    if stat.S_ISDIR(status.st_mode):
        opaque = _OPAQUE in os.listxattr(path, follow_symlinks=False)
        return mode + (" opaque" if opaque else "")
    if not stat.S_ISREG(status.st_mode):
        return f"{mode} {status.st_rdev}"
    if status.st_nlink > 1:
        first = names.setdefault((status.st_dev, status.st_ino), str(path.relative_to(root)))
        if first != str(path.relative_to(root)):
            return f"{mode} same as {first}"
    return f"{mode} {status.st_size} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def differences(first: Path, second: Path) -> list[str]:
    """A line for each path in which two folders differ; none when they are equal."""
    ours, theirs = describe(first), describe(second)
    return [
        f"{path}: {ours.get(path, 'missing')} != {theirs.get(path, 'missing')}"
        for path in sorted(ours.keys() | theirs.keys())
        if ours.get(path) != theirs.get(path)
    ]


def assert_same_images(first: dict[str, Path], second: dict[str, Path]) -> None:
    """Both images have the same parts, under the same keys, with the same bytes and what is known of them."""
    assert {name: path.name for name, path in first.items()} == {
        name: path.name for name, path in second.items()
    }
    for name, path in first.items():
        found = differences(path / "root", second[name] / "root")
        assert not found, f"{name} differs in {len(found)} paths:\n" + "\n".join(found[:40])
        if (path / "contents.json").exists():
            assert contents.read(path) == contents.read(second[name]), (
                f"{name}: owners, modes or times differ"
            )
