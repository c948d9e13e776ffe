"""Layers merged into one tree (image-spec, layer.md), as a container of them sees it. Names, no contents.

As in Docker and containerd, members go through the symbolic links of lower layers, which never lead out.
"""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from wardian.errors import ImageError
from wardian.image import tar
from wardian.image.entry import EPOCH, Entry
from wardian.image.members import MOST, Members, clean

# Which layer, and which of its members: where a file's bytes are.
Place = tuple[int, int]

_RESERVED = ".wh..wh."  # what AUFS kept for itself
_ATTRIBUTE = "SCHILY.xattr."  # layer.md has extended attributes in these pax records
_MOST_LINKS = 40  # as the kernel counts them (path_resolution(7))
_LONGEST = 4096  # characters of a folder's path, wherever links led: PATH_MAX allows no more bytes
_MOST_CHARACTERS = 1 << 30  # of names and attributes, and of whole paths: all are in memory at once


@dataclass(slots=True, kw_only=True)
class Node:
    """One path: what it is, which layer it is of, and where its bytes are.

    `entry` is tarfile's for devices, which entries do not know. `children` are a folder's, else None.
    """

    layer: int
    entry: Entry | tarfile.TarInfo
    place: Place | None = None
    children: dict[str, Node] | None = None

    @property
    def target(self) -> str | None:
        """A symbolic link's."""
        return self.entry.target if isinstance(self.entry, Entry) and self.entry.kind == "symlink" else None


class Merged:
    """The tree of the layers that have been added, from bottom to top."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._root = _folder(0)
        self._count = 0
        self._characters = 0

    def add(self, layer: int, members: Members) -> None:
        """Put a layer on top; raises ImageError for members that cannot be."""
        for number, member in enumerate(members):
            self._add_one()
            attributes = sum(map(len, member.pax_headers.values()))
            self._characters += len(member.name) + len(member.linkname) + attributes
            self._check_characters(self._characters)
            path = clean(member.name, self._what)
            parent, _, name = path.rpartition("/")
            if name == tar.OPAQUE:
                if folder := self._find(parent):
                    _empty(folder, layer)
            elif name.startswith(_RESERVED):
                continue
            elif name.startswith(tar.WHITEOUT):
                self._white_out(parent, name.removeprefix(tar.WHITEOUT), layer)
            elif not path:
                self._root.entry = _entry(member, "")
            else:
                self._place(self._open(parent, layer), name, member, (layer, number))

    def walk(self) -> Iterator[tuple[str, Node]]:
        """All paths, folders before what is in them, in the order of their names; the root is empty.

        Raises ImageError where they are too long altogether.
        """
        pending, characters = [("", self._root)], 0
        while pending:
            path, node = pending.pop()
            yield path, node
            for name, child in sorted((node.children or {}).items(), reverse=True):
                inner = f"{path}/{name}" if path else name
                characters += len(inner)
                self._check_characters(characters)
                pending.append((inner, child))

    def _check_characters(self, number: int) -> None:
        if number > _MOST_CHARACTERS:
            raise ImageError(
                f"{self._what} has paths and attributes of more than {_MOST_CHARACTERS} characters"
            )

    def _place(self, folder: Node, name: str, member: tarfile.TarInfo, place: Place) -> None:
        children = _children(folder)
        if member.islnk():
            target = self._linked(member)
            children[name] = Node(layer=place[0], entry=target.entry, place=target.place)
            return
        new = Node(layer=place[0], entry=_entry(member, name), place=place if member.isreg() else None)
        if member.isdir():
            old = children.get(name)
            new.children = old.children if old and old.children is not None else {}
        children[name] = new

    def _linked(self, member: tarfile.TarInfo) -> Node:
        parent, _, name = clean(member.linkname, self._what).rpartition("/")
        folder = self._find(parent)
        found = (folder.children or {}).get(name) if folder else None
        if found is None or found.children is not None:
            raise ImageError(
                f"{self._what}: {member.name[:200]!r} is a hard link to {member.linkname[:200]!r},"
                f" which is {'a folder' if found else 'not there'}"
            )
        return found

    def _white_out(self, parent: str, name: str, layer: int) -> None:
        """Remove what lower layers have of that name; what this layer has of it stays."""
        folder = self._find(parent)
        node = (folder.children or {}).get(name) if folder else None
        if folder is None or node is None or folder.children is None:
            return
        _empty(node, layer)
        if node.layer < layer and node.children:
            folder.children[name] = Node(layer=layer, entry=_folder(layer).entry, children=node.children)
        elif node.layer < layer:
            del folder.children[name]

    def _find(self, path: str) -> Node | None:
        """The folder at `path`, if there is one."""
        with contextlib.suppress(_MissingError):
            return self._walk(path, None)
        return None

    def _open(self, path: str, layer: int) -> Node:
        """The folder at `path`, made where it is missing."""
        return self._walk(path, layer)

    def _walk(self, path: str, layer: int | None) -> Node:
        """Go to a folder through links, none of which leads above the root."""
        way = [(self._root, 0)]
        pending = path.split("/")[::-1] if path else []
        links = 0
        while pending:
            name = pending.pop()
            if name in ("", "."):
                continue
            if name == "..":
                way = way[:-1] or way
                continue
            folder, length = way[-1]
            child = _children(folder).get(name)
            if child and child.target is not None:
                links += 1
                if links > _MOST_LINKS:
                    raise ImageError(f"{self._what}: links lead in a circle at {path[:200]!r}")
                if child.target.startswith("/"):
                    way = way[:1]
                pending += child.target.split("/")[::-1]
                continue
            length += len(name) + 1
            if length > _LONGEST:
                raise ImageError(f"{self._what}: {path[:200]!r} is too deep")
            if child is None or child.children is None:
                if layer is None:
                    raise _MissingError
                self._add_one()
                child = _children(folder)[name] = _folder(layer)
            way.append((child, length))
        return way[-1][0]

    def _add_one(self) -> None:
        """Count a member, or a folder that one implies: each takes memory, whatever layer it is of."""
        self._count += 1
        if self._count > MOST:
            raise ImageError(f"{self._what} has more than {MOST} members in its layers")


class _MissingError(Exception):
    """There is no such folder."""


def _folder(layer: int) -> Node:
    """A folder that no member describes."""
    return Node(layer=layer, entry=Entry(path="", kind="directory", mode=0o755, mtime=EPOCH), children={})


def _children(folder: Node) -> dict[str, Node]:
    assert folder.children is not None  # only folders are walked through
    return folder.children


def _empty(folder: Node, layer: int) -> None:
    """Remove all that is of lower layers below a folder; folders with something newer in them stay."""
    # From the deepest up, without recursion: layers decide how deep it goes.
    order, pending = [], [folder]
    while pending:
        node = pending.pop()
        order.append(node)
        pending += [child for child in (node.children or {}).values() if child.children is not None]
    for node in reversed(order):
        for name, child in list((node.children or {}).items()):
            if child.layer < layer and not child.children:
                del _children(node)[name]
            elif child.layer < layer:
                child.entry, child.layer = _folder(layer).entry, layer


def _entry(member: tarfile.TarInfo, path: str) -> Entry | tarfile.TarInfo:
    if member.ischr() or member.isblk():
        return member
    kinds = {tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "symlink", tarfile.FIFOTYPE: "fifo"}
    attributes = {
        key.removeprefix(_ATTRIBUTE): value.encode("utf-8", "surrogateescape")
        for key, value in member.pax_headers.items()
        if key.startswith(_ATTRIBUTE)
    }
    return Entry(
        path=path,
        kind=kinds.get(member.type, "file"),  # type: ignore[arg-type]
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        mtime=_seconds(member.mtime),
        size=member.size,
        target=member.linkname if member.issym() else "",
        xattrs=attributes,
    )


def _seconds(value: float) -> int:
    try:
        return int(value)
    except (ValueError, OverflowError):  # a pax record may say `nan` or `inf`
        return 0
