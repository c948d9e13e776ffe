"""What a record says of packages, made for it and unpacked by the real process."""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from wardian.ecosystems.debian import contents
from wardian.ecosystems.debian.contents import Contents
from wardian.errors import BuildError
from wardian.image.entry import EPOCH, Entry

from .stages import INFO, TIME, Unpack, entries, folder, hard, link, member, package, unpacker

pytestmark = pytest.mark.namespaces


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    return unpacker(tmp_path)


RICH = package(
    "one",
    folder("./lib"),
    folder("./lib/one"),
    member("./lib/one/plugin.so", b"plugin"),
    folder("./usr"),
    folder("./usr/bin", 0o755),
    member("./usr/bin/one", b"#!/bin/sh\n", mode=0o2755, gid=42),
    hard("./usr/bin/other", "./usr/bin/one"),
    link("./usr/bin/alias", "one"),
    folder("./etc"),
    member("./etc/one.conf", b"setting\n", mode=0o640, uid=3, gid=4),
    folder("./var/spool/one", 0o1775, uid=6, gid=12),
    folder("./var/mail", 0o2775, gid=8),
    folder("./var/mail/one", 0o700),
    folder("./usr/share"),
    folder("./usr/share/doc"),
    folder("./usr/share/doc/one"),
    member("./usr/share/doc/one/changelog.gz", b"changes"),
    member("./usr/share/doc/one/copyright", b"free"),
    link("./usr/share/doc/one/README", "changelog.gz"),
    link("./usr/share/doc/other", "one"),
    folder("./usr/share/man/man1"),
    member("./usr/share/man/man1/one.1.gz", b"manual"),
    conffiles="/etc/one.conf\n",
    postinst="#!/bin/sh\n",
)


def test_a_package_holds_what_its_archive_says(unpack: Unpack) -> None:
    found = entries(unpack(RICH).record())

    def known(path: str, kind: str, mode: int, **more: object) -> Entry:
        source = {"source": f"root/{path}"} if kind == "file" else {}
        return Entry(path=path, kind=kind, mode=mode, mtime=TIME, **{**source, **more})

    expected = [
        known("usr/lib/one", "directory", 0o755),
        known("usr/lib/one/plugin.so", "file", 0o644, size=6),
        known("usr", "directory", 0o755),
        known("usr/bin", "directory", 0o755),
        known("usr/bin/one", "file", 0o2755, gid=42, size=10),
        known("usr/bin/other", "hardlink", 0o2755, gid=42, target="usr/bin/one"),
        known("usr/bin/alias", "symlink", 0o777, target="one"),
        known("etc", "directory", 0o755),
        known("etc/one.conf", "file", 0o640, uid=3, gid=4, size=8),
        known("var/spool/one", "directory", 0o1775, uid=6, gid=12),
        known("var/mail", "directory", 0o2775, gid=8),
        known("var/mail/one", "directory", 0o700),
        known("usr/share", "directory", 0o755),
        known("usr/share/doc", "directory", 0o755),
        known("usr/share/doc/one", "directory", 0o755),
        known("usr/share/doc/one/copyright", "file", 0o644, size=4),
        known("usr/share/doc/other", "symlink", 0o777, target="one"),
    ]
    assert list(found.values()) == expected


def test_folders_have_the_modes_of_their_archive(unpack: Unpack) -> None:
    stage = unpack(RICH)
    modes = {"var/spool/one": 0o1775, "var/mail": 0o2775, "var/mail/one": 0o700}
    assert {path: stat.S_IMODE((stage.root / path).stat().st_mode) for path in modes} == modes
    assert modes.keys().isdisjoint(stage.changes())


def test_the_database_knows_what_was_unpacked(unpack: Unpack) -> None:
    stage = unpack(RICH)
    held = {entry.path: entry for entry in stage.record().packages[0].entries}
    assert {path for path in held if path.startswith(INFO)} == {
        f"{INFO}/one.{name}" for name in ("list", "md5sums", "conffiles", "postinst")
    }
    listed = (stage.root / INFO / "one.list").read_text().split()
    assert listed[0] == "/."
    assert "/usr/share/doc/one" in listed
    assert "/usr/share/doc/one/changelog.gz" not in listed
    entry = held[f"{INFO}/one.list"]
    assert (entry.mode, entry.uid, entry.gid, entry.mtime) == (0o644, 0, 0, EPOCH)
    assert entry.size == (stage.root / INFO / "one.list").stat().st_size


def test_documentation_is_kept_where_it_is_asked_for(unpack: Unpack) -> None:
    stage = unpack(RICH, docs=True)
    found = entries(stage.record())
    assert {"usr/share/man/man1/one.1.gz", "usr/share/doc/one/changelog.gz"} <= found.keys()
    assert (stage.root / "usr/share/man/man1/one.1.gz").read_bytes() == b"manual"
    assert "man1" in (stage.root / INFO / "one.md5sums").read_text()


def test_a_package_left_to_dpkg_is_recorded_like_any_other(unpack: Unpack) -> None:
    diverting = package(
        "one",
        folder("./usr"),
        folder("./usr/bin"),
        member("./usr/bin/one", b"one"),
        member("./etc/one.conf", b"mine"),
        preinst="#!/bin/sh\ndpkg-divert --add /usr/bin/two\n",
        conffiles="/etc/one.conf\n",
        triggers="interest-noawait /usr/share/two\n",
    )
    base = unpack(diverting)
    above = unpack(diverting, below=[base])
    base_record, above_record = base.record(), above.unpacked.records[0]
    assert [path.name for path in above.unpacked.deferred] == [above_record.package.sha256]
    assert above_record.package.entries == base_record.packages[0].entries
    assert above_record.digests == base.unpacked.records[0].digests
    assert above.unpacked.lists["one.list"] == (base.root / INFO / "one.list").read_bytes()
    assert above.unpacked.interests == (("one", "interest-noawait /usr/share/two\n"),)
    assert not (above.root / "usr/bin/one").exists()


def test_what_leads_out_of_a_package_is_refused(unpack: Unpack) -> None:
    for bad, said in (
        (member("./dev/null", type=tarfile.CHRTYPE), "device files"),
        (hard("./usr/bin/x", "./etc/passwd"), "hard link"),
        (member("./usr/../../etc/x", b""), "not plain"),
        (member(".//usr//x", b""), "not plain"),
    ):
        with pytest.raises(BuildError, match=said):
            unpack(
                package("zero", folder("./etc"), member("./etc/passwd", b"x")),
                package("one", folder("./usr"), folder("./usr/bin"), bad),
            )


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    names: Mapping[str, bytes] = {"user.x": b"\0\xff"}
    first = Contents(
        packages=(
            contents.PackageContents(
                name="one",
                sha256="a" * 64,
                entries=(Entry(path="e\udcff", kind="file", source="originals/3", root=2),),
            ),
        ),
        changes=(Entry(path="f", kind="file", size=1, source="root/f", xattrs=names, root=2),),
    )
    contents.write(tmp_path, first)
    assert contents.read(tmp_path, root=2) == first
