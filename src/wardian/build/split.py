"""Which packages share a layer: decided by the lock alone, so that equal locks are split alike.

A big package has a layer of its own, the same in every image that holds it at that version. Small ones
share, by a hash of their name: adding, removing or upgrading one changes the layer that its name falls
into, and no other. Registries and engines take about a hundred layers (127 in overlayfs' drivers), and
every layer costs a request in each push; hence the bounds.

What counts as big is a power of two, the smallest that leaves no more big packages than there are places.
So the split stands still while a project grows, until one more big package would not fit: then the bound
doubles, and what lies between the two moves into shared layers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from wardian.ecosystems.debian.model import DebianPackage
from wardian.ecosystems.python.model import PythonPackage

if TYPE_CHECKING:
    from wardian.lock.model import PlatformLock

_Package = TypeVar("_Package", DebianPackage, PythonPackage)

# Places for big packages, and shared layers: 94 in all, which leaves room for the layers of what no
# package holds. Of the 195 Debian packages of the reference runtime 21 are packed in 1 MiB or more, of its
# 113 wheels 33 in 256 KiB; what shares a layer is then 1.5 MB and 0.5 MB packed on average.
_BIG, _SHARED = {"debian": 28, "python": 36}, {"debian": 20, "python": 10}
_SMALLEST = 128 << 10  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Generic[_Package]):
    """Packages of one layer, in name order; `name` says which."""

    name: str
    packages: tuple[_Package, ...]


def split_debian(lock: PlatformLock) -> tuple[Group[DebianPackage], ...]:
    """The groups of Debian packages: big ones, those of the base first, then those that share a layer."""
    return tuple(_split("debian", lock.debian.packages, [package.stage for package in lock.debian.packages]))


def split_python(lock: PlatformLock) -> tuple[Group[PythonPackage], ...]:
    """The groups of Python packages, those that share a layer last."""
    packages = lock.python.packages if lock.python else ()
    return tuple(_split("python", packages, [0] * len(packages)))


def _split(ecosystem: str, packages: Sequence[_Package], stages: Sequence[int]) -> Iterator[Group[_Package]]:
    """Big ones by stage, the largest first, then the shared ones.

    An engine that keeps layers by what lies below them has to make every layer above a changed one anew,
    so what stays longest lies lowest.
    """
    bound = _bound([package.size for package in packages], _BIG[ecosystem])
    big = [item for item in zip(stages, packages, strict=True) if item[1].size >= bound]
    for _, package in sorted(big, key=lambda item: (item[0], -item[1].size, item[1].name)):
        yield Group(name=f"{package.name} {package.version}", packages=(package,))
    shared: dict[int, list[_Package]] = {}
    for package in sorted(packages, key=lambda package: package.name):
        if package.size < bound:
            shared.setdefault(_place(package.name, _SHARED[ecosystem]), []).append(package)
    for number, found in sorted(shared.items()):
        yield Group(name=f"small packages {number + 1}", packages=tuple(found))


def _bound(sizes: Sequence[int], places: int) -> int:
    bound = _SMALLEST
    while sum(size >= bound for size in sizes) > places:
        bound *= 2
    return bound


def _place(name: str, places: int) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % places
