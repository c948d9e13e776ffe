"""What a record says was changed; the tests themselves do to a root what configuring may do.

The whole with real packages is in main_job.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from wardian.ecosystems.debian import recording
from wardian.errors import WardianError
from wardian.image.entry import Entry

from .stages import INFO, TIME, Stage, Unpack, entries, folder, hard, link, member, package, unpacker

pytestmark = pytest.mark.namespaces


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    return unpacker(tmp_path)


def test_what_configuring_leaves_alone_is_no_change(unpack: Unpack) -> None:
    stage = unpack(SIMPLE)
    assert altered(stage) == {}
    os.utime(stage.root / "usr/bin/one")
    (stage.root / "etc/one/conf").chmod(0o600)
    (stage.root / "etc/one/conf").chmod(0o644)
    assert altered(stage) == {}


def altered(stage: Stage) -> dict[str, Entry]:
    """Its changes, without those that the tests' incomplete systems have in any case."""
    skeleton = ("bin", "sbin", "lib", "lib64", "usr/sbin", "usr/lib", "usr/lib64", "var", "var/lib")
    skeleton += ("usr", "usr/bin", "run", "run/lock", "var/run", "var/lock")
    return {
        path: entry
        for path, entry in stage.changes().items()
        if path not in skeleton and not path.startswith("var/lib/dpkg")
    }


SIMPLE = package(
    "one",
    folder("./etc"),
    folder("./etc/one"),
    member("./etc/one/conf", b"setting\n"),
    member("./etc/one/more", b"more\n"),
    folder("./usr"),
    folder("./usr/bin"),
    member("./usr/bin/one", b"program", mode=0o755),
    hard("./usr/bin/two", "./usr/bin/one"),
    link("./usr/bin/link", "one"),
    conffiles="/etc/one/conf\n",
)


def test_an_altered_file_is_a_change_and_its_original_is_kept(unpack: Unpack) -> None:
    stage = unpack(SIMPLE)
    (stage.root / "etc/one/conf").write_bytes(b"SETTING\n")  # of the same size
    found = altered(stage)
    assert found == {
        "etc/one/conf": Entry(path="etc/one/conf", kind="file", size=8, source="root/etc/one/conf")
    }
    original = entries(stage.record())["etc/one/conf"]
    assert (original.mtime, original.size) == (TIME, 8)
    assert original.source.startswith("originals/")
    assert (stage.folder / original.source).read_bytes() == b"setting\n"


def test_an_altered_list_of_dpkgs_is_made_again(unpack: Unpack) -> None:
    stage = unpack(SIMPLE)
    before = (stage.root / INFO / "one.list").read_bytes()
    (stage.root / INFO / "one.list").unlink()
    held = {entry.path: entry for entry in stage.record().packages[0].entries}
    assert (stage.folder / held[f"{INFO}/one.list"].source).read_bytes() == before


def test_modes_and_owners_are_changes_that_keep_the_time(unpack: Unpack) -> None:
    stage = unpack(SIMPLE)
    (stage.root / "etc/one/more").chmod(0o200)
    stage.own("etc/one/conf", "0:42")
    stage.own("etc/one", "7:8")
    (stage.root / "etc/one").chmod(0o500)
    stage.links["usr/bin/link"] = (5, 6)
    assert altered(stage) == {
        "etc/one": Entry(path="etc/one", kind="directory", mode=0o500, uid=7, gid=8, mtime=TIME),
        "etc/one/conf": Entry(
            path="etc/one/conf", kind="file", gid=42, size=8, mtime=TIME, source="root/etc/one/conf"
        ),
        "etc/one/more": Entry(
            path="etc/one/more", kind="file", mode=0o200, size=5, mtime=TIME, source="root/etc/one/more"
        ),
        "usr/bin/link": Entry(
            path="usr/bin/link", kind="symlink", mode=0o777, uid=5, gid=6, mtime=TIME, target="one"
        ),
    }
    assert (stage.root / "etc/one/more").read_bytes() == b"more\n"  # it has to be packed
    assert entries(stage.record())["etc/one/more"].source == "root/etc/one/more"


def test_a_file_that_was_replaced_has_lost_its_owner(unpack: Unpack) -> None:
    stage = unpack(package("one", folder("./etc"), member("./etc/one", b"x", uid=1, gid=2)))
    assert altered(stage) == {}
    path = stage.root / "etc/one"
    path.unlink()
    path.write_bytes(b"x")
    found = altered(stage)["etc/one"]
    assert (found.uid, found.gid, found.mtime) == (0, 0, TIME)


def test_what_is_gone_is_whited_out_at_its_top(unpack: Unpack) -> None:
    stage = unpack(SIMPLE)
    (stage.root / "etc/one/conf").unlink()
    (stage.root / "etc/one/more").unlink()
    (stage.root / "etc/one").rmdir()
    (stage.root / "usr/bin/two").unlink()
    assert altered(stage) == {
        "etc/one": Entry(path="etc/one", kind="whiteout"),
        "usr/bin/two": Entry(path="usr/bin/two", kind="whiteout"),
    }
    held = entries(stage.record())
    assert (stage.folder / held["etc/one/conf"].source).read_bytes() == b"setting\n"
    assert (stage.folder / held["etc/one/more"].source).read_bytes() == b"more\n"
    assert held["usr/bin/one"].source == "root/usr/bin/one"


def test_what_takes_a_folders_place_hides_what_was_in_it(unpack: Unpack) -> None:
    stage = unpack(SIMPLE)
    for name in ("conf", "more"):
        (stage.root / "etc/one" / name).unlink()
    (stage.root / "etc/one").rmdir()
    (stage.root / "etc/one").symlink_to("elsewhere")
    assert altered(stage) == {
        "etc/one": Entry(path="etc/one", kind="symlink", mode=0o777, target="elsewhere")
    }


def test_additions_are_told_with_their_links(unpack: Unpack) -> None:
    stage = unpack(SIMPLE)
    (stage.root / "etc/new").write_bytes(b"new")
    (stage.root / "etc/again").hardlink_to(stage.root / "etc/new")
    (stage.root / "etc/copy").hardlink_to(stage.root / "usr/bin/one")
    os.mkfifo(stage.root / "etc/pipe", 0o600)
    (stage.root / "etc" / os.fsdecode(b"n\xff\n")).symlink_to(os.fsdecode(b"\xfe"))
    assert altered(stage) == {
        "etc/again": Entry(path="etc/again", kind="file", size=3, source="root/etc/again"),
        "etc/new": Entry(path="etc/new", kind="hardlink", target="etc/again"),
        "etc/copy": Entry(path="etc/copy", kind="file", mode=0o755, size=7, source="root/etc/copy"),
        "etc/pipe": Entry(path="etc/pipe", kind="fifo", mode=0o600),
        "etc/n\udcff\n": Entry(path="etc/n\udcff\n", kind="symlink", mode=0o777, target="\udcfe"),
    }


def test_attributes_that_are_ours_stay_out(unpack: Unpack) -> None:
    stage = unpack(SIMPLE)
    path = stage.root / "usr/bin/one"
    for name in ("user.of.scripts", "user.overlay.origin", "user.wardian.other"):
        os.setxattr(path, name, b"value\0")
    capability = bytes.fromhex("0100000200200000" + "00" * 12)  # revision 2, cap_net_raw
    if os.geteuid() == 0:
        os.setxattr(path, "security.capability", capability)
    found = altered(stage)
    ours = {"security.capability": capability} if os.geteuid() == 0 else {}
    assert found["usr/bin/one"].xattrs == {"user.of.scripts": b"value\0", **ours}
    assert found["usr/bin/two"].kind == "hardlink"


def test_capabilities_lose_the_builders_id() -> None:
    from wardian.ecosystems.debian.survey import _portable

    third = bytes.fromhex("0100000300200000" + "00" * 12) + (1234).to_bytes(4, "little")
    assert _portable("security.capability", third) == bytes.fromhex("0100000200200000" + "00" * 12)
    assert _portable("user.other", third) == third


def test_whole_seconds_and_clocks_set_back_divide_nothing(unpack: Unpack) -> None:
    moment = recording.Moment
    start = moment(stamp=5_000_000_001, monotonic=1.0)
    assert start.dividing(moment(stamp=9_000_000_000, monotonic=5.0)) == 5_000_000_001
    assert start.dividing(moment(stamp=8_000_000_000, monotonic=5.0)) == 0
    assert (
        moment(stamp=5_000_000_000, monotonic=1.0).dividing(moment(stamp=9_000_000_001, monotonic=5.0)) == 0
    )
    stage = unpack(SIMPLE)
    (stage.root / "usr/bin/one").write_bytes(b"PROGRAM")
    found = altered(stage)
    assert found.keys() == {"usr/bin/one", "usr/bin/two"}
    stage.moment = moment(stamp=5_000_000_000, monotonic=1.0)
    assert altered(stage) == found


def test_packages_that_share_a_path_are_told_apart(unpack: Unpack) -> None:
    one = package(
        "one",
        folder("./etc"),
        member("./etc/both", b"of one"),
        member("./etc/same", b"same"),
        more="Replaces: one, absent, two (<< 1)\n",
    )
    two = package(
        "two",
        folder("./etc"),
        member("./etc/both", b"of two", mtime=TIME + 1),
        member("./etc/same", b"same"),
        more="Replaces: one\n",
    )
    stage = unpack(one, two)
    assert altered(stage) == {
        "etc/both": Entry(path="etc/both", kind="file", size=6, mtime=TIME + 1, source="root/etc/both")
    }
    record = stage.record()
    assert (stage.root / "etc/both").read_bytes() == b"of two"
    assert entries(record, "two")["etc/both"].source == "root/etc/both"
    assert (stage.folder / entries(record, "one")["etc/both"].source).read_bytes() == b"of one"


def _whiteout(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))


def test_a_stage_is_compared_with_those_below(unpack: Unpack) -> None:
    base = unpack(SIMPLE)
    base.own("etc/one/more", "1:2")
    (base.root / "etc/made").write_bytes(b"made")
    (base.root / "etc/made").chmod(0o600)
    base.record()
    stage = unpack(package("two", folder("./etc", 0o755), member("./etc/two", b"two")), below=[base])
    (stage.root / "etc/one").mkdir(mode=0o755)
    # Copies that overlayfs makes when a file is touched: the same, altered, and moved to another owner.
    for name, data in (("one/conf", b"setting\n"), ("made", b"MADE"), ("one/more", b"more\n")):
        (stage.root / "etc" / name).write_bytes(data)
        (stage.root / "etc" / name).chmod(0o644)
    stage.own("etc/one/more", "1:3")
    _whiteout(stage.root / "usr/bin/link")
    found = altered(stage)
    assert found == {
        "etc/made": Entry(path="etc/made", kind="file", size=4, source="root/etc/made"),
        "etc/one/more": Entry(
            path="etc/one/more", kind="file", size=5, uid=1, gid=3, mtime=TIME, source="root/etc/one/more"
        ),
        "usr/bin/link": Entry(path="usr/bin/link", kind="whiteout"),
    }


def test_a_folder_made_anew_hides_each_thing_below(unpack: Unpack) -> None:
    base = unpack(SIMPLE)
    base.record()
    stage = unpack(
        package("two", folder("./etc"), folder("./etc/one"), member("./etc/one/two", b"two")), below=[base]
    )
    os.setxattr(stage.root / "etc/one", "user.overlay.opaque", b"y")
    assert altered(stage) == {
        "etc/one/conf": Entry(path="etc/one/conf", kind="whiteout"),
        "etc/one/more": Entry(path="etc/one/more", kind="whiteout"),
    }


def test_old_paths_below_var_lead_to_run(unpack: Unpack) -> None:
    base = unpack(SIMPLE)
    base.record()
    stage = unpack(
        package("one", folder("./var/run"), folder("./var/run/one"), member("./var/lock/one", b"")),
        below=[base],
    )
    assert list(entries(stage.record())) == ["run/one", "run/lock/one"]
    assert (stage.root / "run/one").is_dir()
    assert (stage.root / "run/lock/one").is_file()
    assert altered(stage) == {}


def test_a_later_package_that_takes_a_path_over_is_told(unpack: Unpack) -> None:
    base = unpack(SIMPLE)
    base.record()
    stage = unpack(package("two", folder("./etc"), member("./etc/one/more", b"other")), below=[base])
    assert altered(stage) == {
        "etc/one/more": Entry(
            path="etc/one/more", kind="file", size=5, mtime=TIME, source="root/etc/one/more"
        )
    }


def test_a_tree_too_deep_is_refused(unpack: Unpack) -> None:
    stage = unpack(SIMPLE)
    here = os.open(stage.root / "etc", os.O_PATH)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        inner = os.open("d" * 250, os.O_PATH, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    with pytest.raises(WardianError, match="cannot look at /etc/d") as caught:
        stage.record()
    assert caught.value.hint
