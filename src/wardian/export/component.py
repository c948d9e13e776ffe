"""What an image holds, one package a component, as bills of materials list it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wardian.export.debian_licence import debian_licence
from wardian.export.debian_status import read_status, siblings
from wardian.export.layered import Layered
from wardian.export.licence import Licence
from wardian.export.python_metadata import read_distributions

if TYPE_CHECKING:
    from wardian.ecosystems.debian.model import DebianPackage
    from wardian.ecosystems.python.model import Interpreter, PythonPackage
    from wardian.lock.model import PlatformLock

Ecosystem = Literal["debian", "python", "interpreter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A package. `purl` is its package URL; `supplier` and `author` are names, perhaps with an address."""

    ecosystem: Ecosystem
    name: str
    version: str
    purl: str
    file: str
    sha256: str
    licence: Licence
    supplier: str = ""
    author: str = ""
    homepage: str = ""
    summary: str = ""

    @property
    def identity(self) -> str:
        """A name for it within the bill, of letters, digits, dots and hyphens alone."""
        safe = "".join(
            x if x.isascii() and (x.isalnum() or x in ".-") else f"-x{ord(x):02x}-" for x in self.name
        )
        return f"{self.ecosystem}-{safe}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """An image and what it is made of. `created` is RFC 3339; `digest` tells two bills apart."""

    name: str
    platform: str
    created: str
    digest: str
    components: tuple[Component, ...]


def make_bill(name: str, lock: PlatformLock, roots: Sequence[Path]) -> Bill:
    """The bill of a locked image whose snapshots' root folders are `roots`, from bottom to top.

    Everything in the bill comes from the lock and from the snapshots: the same image gives the same bill.
    Raises HostError for roots that cannot be read.
    """
    with Layered(roots) as tree:
        components = (*_debian(lock, tree), *_python(lock, tree))
    digests = [name, str(lock.platform), *(component.sha256 for component in components)]
    return Bill(
        name=name,
        platform=str(lock.platform),
        created=max(release.time for release in lock.debian.releases),
        digest=hashlib.sha256("\n".join(digests).encode()).hexdigest(),
        components=components,
    )


def _debian(lock: PlatformLock, tree: Layered) -> Iterator[Component]:
    status = read_status(tree)
    for package in lock.debian.packages:
        fields = status.get(package.name, {})
        yield Component(
            ecosystem="debian",
            name=package.name,
            version=package.version,
            purl=_debian_purl(package, lock.debian.suite),
            file=package.path.rpartition("/")[2],
            sha256=package.sha256,
            licence=debian_licence(tree, (package.name, *siblings(status, package.name))),
            supplier="Debian",
            author=fields.get("Maintainer", ""),
            homepage=_address(fields.get("Homepage", "")),
            summary=fields.get("Description", ""),
        )


def _debian_purl(package: DebianPackage, suite: str) -> str:
    from packageurl import PackageURL

    qualifiers = {"arch": package.architecture, "distro": suite}
    found = PackageURL("deb", "debian", package.name, package.version, qualifiers)
    return str(found.to_string())


def _python(lock: PlatformLock, tree: Layered) -> Iterator[Component]:
    if not lock.python:
        return
    if lock.python.interpreter.source == "uv":
        yield _interpreter(lock.python.interpreter)
    found = read_distributions(tree, lock.python.interpreter.version)
    for package in lock.python.packages:
        metadata = found.get(package.name)
        yield Component(
            ecosystem="python",
            name=package.name,
            version=package.version,
            purl=_python_purl(package),
            file=package.file,
            sha256=package.sha256,
            licence=metadata.licence if metadata else Licence(),
            supplier=metadata.author if metadata else "",
            author=metadata.author if metadata else "",
            homepage=_address(metadata.homepage) if metadata else "",
            summary=metadata.summary if metadata else "",
        )


def _address(text: str) -> str:
    """A home page, where it is one: people write anything there."""
    return text if re.fullmatch(r"https?://[^\s<>\"{}|\\^`]+", text) else ""


def _python_purl(package: PythonPackage) -> str:
    from packageurl import PackageURL

    return str(PackageURL("pypi", None, package.name, package.version).to_string())


def _interpreter(interpreter: Interpreter) -> Component:
    from packageurl import PackageURL

    return Component(
        ecosystem="interpreter",
        name="cpython",
        version=interpreter.version,
        purl=str(PackageURL("generic", None, "cpython", interpreter.version).to_string()),
        file=interpreter.key,
        sha256=interpreter.sha256,
        licence=Licence(expression="Python-2.0.1"),
        supplier="Python Software Foundation",
        summary="The Python interpreter, as python-build-standalone builds it",
    )
