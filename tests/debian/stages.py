"""Stages of packages made for a test and unpacked by the real process; tests are what configures them."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from wardian.ecosystems.debian import contents, recording, unpacking
from wardian.ecosystems.debian.contents import Contents
from wardian.ecosystems.debian.model import DebianPackage
from wardian.image.entry import Entry
from wardian.runtime import owners
from wardian.system.progress import Silent

from .conftest import ar

TIME = 1_600_000_000
INFO = "var/lib/dpkg/info"
Unpack = Callable[..., "Stage"]


def member(name: str, data: bytes = b"", **more: object) -> tuple[tarfile.TarInfo, bytes]:
    """A file of root's; `more` are attributes of its TarInfo."""
    found = tarfile.TarInfo(name)
    found.size, found.mode, found.mtime = len(data), 0o644, TIME
    for key, value in more.items():
        setattr(found, key, value)
    return found, data


def folder(name: str, mode: int = 0o755, **more: object) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.DIRTYPE, mode=mode, **more)


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.SYMTYPE, linkname=target, mode=0o777)


def hard(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.LNKTYPE, linkname=target)


def _tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def package(
    name: str, *members: tuple[tarfile.TarInfo, bytes], more: str = "", **control: str
) -> tuple[str, bytes]:
    """A `.deb`: `more` fields, and control files by name. It tells MD5 sums of all but its conffiles."""
    text = (
        f"Package: {name}\nVersion: 1\nArchitecture: amd64\nMaintainer: nobody\n{more}Description: a test\n"
    )
    declared = control.get("conffiles", "").split()
    sums = "".join(
        f"{hashlib.md5(data).hexdigest()}  {info.name.removeprefix('./')}\n"
        for info, data in members
        if info.isreg() and "/" + info.name.removeprefix("./") not in declared
    )
    files = {"control": text, "md5sums": sums, **control}
    return name, ar(
        {
            "debian-binary": b"2.0\n",
            "control.tar": _tar([member(f"./{key}", value.encode()) for key, value in files.items()]),
            "data.tar": _tar([folder("./"), *members]),
        }
    )


@dataclass
class Stage:
    """A stage whose packages are unpacked: `do` in its root what configuring would, then `record`."""

    folder: Path
    below: list[Path]
    unpacked: unpacking.UnpackedStage
    moment: recording.Moment
    content: Path
    docs: bool
    links: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def own(self, path: str, owner: str) -> None:
        """What a call of chown's family leaves (runtime/owners.py)."""
        os.setxattr(self.root / path, owners.ATTRIBUTE, owner.encode())

    def record(self) -> Contents:
        listed = b"".join(b"%d:%d:/%s\0" % (*owner, path.encode()) for path, owner in self.links.items())
        (self.folder / "owners").write_bytes(listed)
        shutil.rmtree(self.folder / contents.ORIGINALS, ignore_errors=True)  # of an earlier record
        recording.record_contents(
            recording.Stage(
                folder=self.folder,
                below=self.below,
                records=self.unpacked.records,
                links=self.folder / "owners",
                unpacked=self.moment,
                content=self.content,
                docs=self.docs,
            )
        )
        return contents.read(self.folder)

    def changes(self) -> dict[str, Entry]:
        return {entry.path: entry for entry in self.record().changes}


def unpacker(tmp_path: Path) -> Unpack:
    """Unpacks packages as a stage upon others: `unpack(package, …, below=[…], docs=…)`."""
    content = tmp_path / "content"

    def make(*packages: tuple[str, bytes], below: list[Stage] | None = None, docs: bool = False) -> Stage:
        lower = [stage.folder for stage in below or ()]
        place = tmp_path / f"stage-{len(list(tmp_path.iterdir()))}"
        scratch = place / "scratch"
        scratch.mkdir(parents=True)
        unpacking.make_skeleton(place / "root", "amd64", base=not lower)
        found = [_locked(name, data, content, stage=len(lower)) for name, data in packages]
        with unpacking.Unpacking(
            [(found, place / "root")],
            content=content,
            scratch=scratch,
            docs=docs,
            step=Silent().step("unpacking"),
        ) as work:
            for each in found:
                work.submit(0, each)
            unpacked = work.wait(0)
        for record in unpacked.records:  # as dpkg does for new ones
            for entry in record.package.entries:
                new = place / "root" / f"{entry.path}.dpkg-new"
                if new.exists():
                    new.rename(place / "root" / entry.path)
        moment = recording.Moment.now(place)
        return Stage(place, lower, unpacked, moment, content, docs)

    return make


def _locked(name: str, data: bytes, content: Path, *, stage: int) -> DebianPackage:
    digest = hashlib.sha256(data).hexdigest()
    path = content / digest[:2] / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return DebianPackage(
        name=name, version="1", architecture="amd64", archive="debian", path=f"pool/{name}.deb",
        size=len(data), sha256=digest, stage=stage,
    )  # fmt: skip


def entries(found: Contents, name: str = "one") -> dict[str, Entry]:
    """A package's entries, without its files in dpkg's database."""
    package = next(package for package in found.packages if package.name == name)
    return {entry.path: entry for entry in package.entries if not entry.path.startswith(INFO)}
