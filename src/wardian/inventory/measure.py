"""What makes an image big: a tree of ecosystems, packages and folders; and what is waste. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from wardian.inventory.model import ECOSYSTEMS, File, Inventory, Lost, Package

_DEEPEST = 12  # folders below a package that are told apart; hostile paths have thousands


@dataclass(slots=True, kw_only=True)
class Branch:
    """A node of the tree: its bytes unpacked, about how many of them travel, how many files it has.

    `kind` is the ecosystem of all that is below. `children` are the largest first, then by name.
    """

    name: str
    kind: str = ""
    bytes: int = 0
    packed: int = 0
    files: int = 0
    package: Package | None = None
    children: list[Branch] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """One content that lies at several `paths`, of `size` bytes each; hard links count once."""

    size: int
    paths: tuple[str, ...]

    @property
    def wasted(self) -> int:
        """What all but one of them take."""
        return self.size * (len(self.paths) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What makes an image big: its tree, and of each list what takes the most room first."""

    tree: Branch
    duplicates: tuple[Duplicate, ...]
    largest: tuple[File, ...]
    lost: tuple[Lost, ...]


def measure(inventory: Inventory) -> Measures:
    """All measures of an image."""
    return Measures(
        tree=grow(inventory),
        duplicates=tuple(duplicates(inventory)),
        largest=tuple(largest(inventory)),
        lost=tuple(lost(inventory)),
    )


def duplicates(inventory: Inventory) -> list[Duplicate]:
    """The same content in several places, the most waste first."""
    found: dict[tuple[str, int], list[str]] = {}
    for file in inventory.files:
        if file.bytes and file.digest:
            found.setdefault((file.digest, file.size), []).append(file.path)
    several = [Duplicate(size=size, paths=tuple(paths)) for (_, size), paths in found.items() if paths[1:]]
    return sorted(several, key=lambda it: (-it.wasted, it.paths))


def largest(inventory: Inventory) -> list[File]:
    """The files that take room, the largest first."""
    return sorted((file for file in inventory.files if file.bytes), key=lambda it: (-it.size, it.path))


def lost(inventory: Inventory) -> list[Lost]:
    """What upper layers have replaced or removed, the largest first."""
    return sorted(inventory.lost, key=lambda it: (-it.size, it.path, it.layer))


def grow(inventory: Inventory) -> Branch:
    """The tree: ecosystem, package, then folders; a folder with nothing but a folder in it is one with it."""
    packages: dict[Package, list[File]] = {}
    for file in inventory.files:
        packages.setdefault(file.package, []).append(file)
    root = Branch(name=inventory.title)
    for ecosystem, label in ECOSYSTEMS.items():
        own = {package: files for package, files in packages.items() if package.ecosystem == ecosystem}
        if own:
            children = [_package(package, files) for package, files in own.items()]
            root.children.append(_whole(Branch(name=label, kind=ecosystem, children=children)))
    return _whole(root)


def _package(package: Package, files: list[File]) -> Branch:
    """The files of one package, by folder."""
    stem = package.name.strip("/") if package.ecosystem in ("code", "other") else ""
    found = Branch(name=package.title, kind=package.ecosystem, package=package)
    found.children = list(_folder(((_parts(file.path, stem), file) for file in files), package.ecosystem))
    if len(found.children) == 1 and found.children[0].children:  # what is in a lonely folder says more
        only = found.children[0]
        found.children = [_joined(only, child) for child in only.children]
    _whole(found)
    if package.ecosystem in ("code", "other") and files[0].path == stem:
        found.children = []  # a file is told by itself
    return found


def _parts(path: str, stem: str) -> list[str]:
    """The names of a path below what goes without saying: the package's folder, or site-packages."""
    if stem and path.startswith(f"{stem}/"):
        short = path[len(stem) + 1 :]
    elif path == stem:
        short = path.rpartition("/")[2]
    else:
        short = path.rpartition("-packages/")[2]
    return short.split("/", _DEEPEST)


def _folder(files: Iterable[tuple[list[str], File]], kind: str) -> Iterator[Branch]:
    """What is in one folder, whose files are given by the rest of their paths."""
    below: dict[str, list[tuple[list[str], File]]] = {}
    for parts, file in files:
        if len(parts) == 1:
            yield Branch(name=parts[0], kind=kind, bytes=file.bytes, packed=file.weight, files=1)
        else:
            below.setdefault(parts[0], []).append((parts[1:], file))
    for name, inner in below.items():
        children = list(_folder(inner, kind))
        if len(children) == 1 and children[0].children:
            yield _joined(Branch(name=name), children[0])
        else:
            yield _whole(Branch(name=name, kind=kind, children=children))


def _joined(outer: Branch, inner: Branch) -> Branch:
    inner.name = f"{outer.name}/{inner.name}"
    return inner


def _whole(branch: Branch) -> Branch:
    """Add the children up, and put them in order."""
    branch.bytes = sum(child.bytes for child in branch.children)
    branch.packed = sum(child.packed for child in branch.children)
    branch.files = sum(child.files for child in branch.children)
    branch.children.sort(key=lambda child: (-child.bytes, child.name))
    return branch
