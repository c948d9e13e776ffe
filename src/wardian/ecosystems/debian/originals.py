"""Extracts single files of a `.deb` again: those that were altered or removed after it was unpacked.

Only to names of its own choosing: no path of the package is used on the disk.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from wardian.ecosystems.debian import deb, info, paths
from wardian.ecosystems.debian.contents import ORIGINALS, PackageContents

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_BLOCK = 1 << 20


def keep_originals(
    packages: Iterable[PackageContents],
    lost: Mapping[str, Sequence[str]],
    *,
    content: Path,
    folder: Path,
    docs: bool,
) -> tuple[PackageContents, ...]:
    """The packages with all their files there: what is lost (paths by sha256) is put below `folder`.

    `content` is where the `.deb` files lie. Raises VerificationError where one was damaged meanwhile.
    """
    number = 0
    kept = []
    for package in packages:
        wanted: dict[str, str] = {}
        for path in lost.get(package.sha256, ()):
            wanted[path] = f"{ORIGINALS}/{number}"
            number += 1
        if wanted:
            (folder / ORIGINALS).mkdir(exist_ok=True)
            with (content / package.sha256[:2] / package.sha256).open("rb") as file:
                _extract(file, {path: folder / place for path, place in wanted.items()}, package.name, docs)
            entries = [
                replace(entry, source=wanted.get(entry.path, entry.source)) for entry in package.entries
            ]
            package = replace(package, entries=tuple(entries))
        kept.append(package)
    return tuple(kept)


def _extract(file: IO[bytes], wanted: Mapping[str, Path], name: str, docs: bool) -> None:
    missing = dict(wanted)
    control, names = deb.read_control(file, name=name), []
    with deb.open_data(file, name=name) as archive:
        for path, member in deb.selected(archive, docs=docs):
            names.append(f"/{path or '.'}")
            target = missing.pop(paths.canonical(path), None) if member.isreg() else None
            if target:
                _write(archive, member, target)
    for each in info.info_files(control, names, docs=docs):
        if target := missing.get(f"{info.FOLDER}/{each.name}"):
            target.write_bytes(each.data)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = archive.extractfile(member)
    assert content is not None  # it is a regular file
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as out:
        while block := content.read(_BLOCK):
            out.write(block)
