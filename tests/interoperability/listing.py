"""A file tree as a mapping that can be compared: of a folder, and of a tar archive."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Node:
    """What a path is: its kind (as `ls` writes it), mode, owner, group; a file's hash, a link's target."""

    kind: str
    mode: int
    uid: int
    gid: int
    content: str

    def __str__(self) -> str:
        return f"{self.kind}{self.mode:o} {self.uid}:{self.gid} {self.content[:16]}"


Tree = Mapping[str, Node]


def of_folder(root: Path) -> dict[str, Node]:
    """The tree below a folder, by path."""
    found = {".": _node(root)}
    for parent, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(parent, name)
            found[str(path.relative_to(root))] = _node(path)
    return found


def _node(path: Path) -> Node:
    status = path.lstat()
    content = ""
    if stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(status.st_mode):
        with path.open("rb") as file:
            content = _hash(file)
    kind = stat.filemode(status.st_mode)[0]
    mode = 0o777 if kind == "l" else stat.S_IMODE(status.st_mode)
    return Node(kind, mode, status.st_uid, status.st_gid, content)


def of_archive(file: IO[bytes]) -> dict[str, Node]:
    """The tree of a tar archive that is read as a stream; a hard link is the file that it leads to."""
    found: dict[str, Node] = {}
    with tarfile.open(fileobj=file, mode="r|") as archive:
        for member in archive:
            found[member.name.removeprefix("./").strip("/") or "."] = _of_member(archive, member, found)
    return found


def _of_member(archive: tarfile.TarFile, member: tarfile.TarInfo, found: Tree) -> Node:
    if member.islnk():
        return found[member.linkname.removeprefix("./").strip("/")]
    content = member.linkname if member.issym() else ""
    if member.isreg():
        opened = archive.extractfile(member)
        assert opened
        content = _hash(opened)
    kinds = {tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.CHRTYPE: "c", tarfile.FIFOTYPE: "p"}
    kind = kinds.get(member.type, "-")
    return Node(kind, 0o777 if kind == "l" else member.mode & 0o7777, member.uid, member.gid, content)


def _hash(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


def differences(first: Tree, second: Tree) -> Iterator[str]:
    """A line for each path in which two trees differ."""
    for path in sorted(first.keys() | second.keys()):
        if first.get(path) != second.get(path):
            yield f"{path}: {first.get(path, 'missing')} != {second.get(path, 'missing')}"


def assert_same(first: Tree, second: Tree) -> None:
    """Both trees are the same; else the failure names the first paths that differ."""
    found = list(differences(first, second))
    assert not found, f"{len(found)} paths differ:\n" + "\n".join(found[:40])
