"""What an image holds, as values: files, the packages that brought them, layers. Nothing here reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from wardian.image.library import StoredImage

Ecosystem = Literal["debian", "alpine", "python", "code", "other"]

# In the order in which they are told.
ECOSYSTEMS: dict[Ecosystem, str] = {
    "debian": "Debian packages",
    "alpine": "Alpine packages",
    "python": "Python packages",
    "code": "Code",
    "other": "Other files",
}
# Those whose packages have versions.
PACKAGED: tuple[Ecosystem, ...] = ("debian", "alpine", "python")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Package:
    """Who brought a file. Of `code` and `other`, `name` is a folder or a file, and there is no version."""

    ecosystem: Ecosystem
    name: str
    version: str = ""

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One path, as a container sees it; relative, without a leading slash.

    `kind` is `file`, `directory`, `symlink`, `fifo`, `character device` or `block device`. `digest` is that
    of the content, in hexadecimal digits, of files that are not empty. `is_repeated` says that another path
    has the same bytes by a hard link, and that they are counted there. `packed` estimates the part of its
    layer's blob that it takes.
    """

    path: str
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    packed: int
    digest: str
    target: str
    layer: int
    is_repeated: bool
    package: Package

    @property
    def bytes(self) -> int:
        """What it takes in the tree."""
        return 0 if self.is_repeated else self.size

    @property
    def weight(self) -> int:
        """What it takes of the blobs, about."""
        return 0 if self.is_repeated else self.packed


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer: what the history says of it, the bytes of its blob, and those of its files."""

    name: str
    digest: str
    packed: int
    unpacked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A file of a layer that no container sees, since upper layers have replaced or removed it."""

    path: str
    layer: int
    size: int
    packed: int
    is_removed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All of an image, in the order of paths, `layers` from bottom to top. `files` are all but `folders`."""

    image: StoredImage
    layers: tuple[Layer, ...]
    files: tuple[File, ...]
    folders: tuple[File, ...]
    lost: tuple[Lost, ...]

    @property
    def title(self) -> str:
        """What to call the image."""
        return self.image.name or self.image.descriptor.digest

    @property
    def bytes(self) -> int:
        """What the tree takes, unpacked."""
        return sum(file.bytes for file in self.files)

    @property
    def packed(self) -> int:
        """What the layers take as they travel."""
        return sum(layer.packed for layer in self.layers)
