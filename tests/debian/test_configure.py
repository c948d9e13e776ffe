"""What a stage takes over from the stages below it: triggers and diversions.

dpkg itself runs in main_job only: here stands in its place what notes what it would be given. What is
diverted is moved, in an overlay of the stages.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from wardian.ecosystems.debian import configure, diversions
from wardian.ecosystems.debian.configure import EMPTY, State
from wardian.errors import BuildError

from . import stages
from .stages import TIME, Unpack, entries, folder, link, member, package, unpacker

pytestmark = pytest.mark.namespaces

BELOW = replace(EMPTY, status="Package: lower\nStatus: install ok installed\n")
Run = Callable[..., tuple[State, Mapping[str, str]]]

# The commands are the host's, so that nothing of a stage's /usr is seen.
_SET_UP = """
set -e
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$UPPER,workdir=$WORK,userxattr" "$ROOT"
mount --rbind /usr "$ROOT/usr"
mkdir -p "$ROOT/run/wardian/in" "$ROOT/run/wardian/out"
mount --rbind "$GIVEN" "$ROOT/run/wardian/in"
umask 022
exec chroot "$ROOT" /bin/sh -euc "$SCRIPT"
"""


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    return unpacker(tmp_path)


class Noted:
    """A sandbox that keeps what goes in, moves what is diverted, leaves `diverted` as dpkg's diversions.

    It leaves the status that it was given, with `said` behind it.
    """

    def __init__(self, folder: Path, roots: list[Path], diverted: str, said: bytes) -> None:
        self.given: dict[str, str] = {}
        self._folder, self._roots, self._diverted, self._said = folder, roots, diverted, said

    def run(
        self,
        arguments: list[str],
        *,
        mounts: list[tuple[Path, str, bool]],
        environment: dict[str, str],
        owners: Path,
    ) -> tuple[int, str]:
        places = {inside: place for place, inside, _ in mounts}
        given = places["/run/wardian/in"]
        self.given = {
            str(path.relative_to(given)): path.read_text(errors="surrogateescape")
            for path in given.rglob("*")
            if path.is_file()
        }
        status = self.given["dpkg/status"].encode() + self._said
        (places["/run/wardian/out"] / "status").write_bytes(status)
        (places["/run/wardian/out"] / "diversions").write_text(self._diverted)
        assert diversions.SCRIPT in arguments[-1]
        return self._divert(given) if self.given["diverted"] else (0, "")

    def _divert(self, given: Path) -> tuple[int, str]:
        *lowers, upper = self._roots
        for name in ("work", "root"):
            (self._folder / name).mkdir()
        values = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LOWER": ":".join(map(str, reversed(lowers))),
            "UPPER": str(upper),
            "WORK": str(self._folder / "work"),
            "ROOT": str(self._folder / "root"),
            "GIVEN": str(given),
            "SCRIPT": diversions.SCRIPT,
        }
        done = subprocess.run(
            ["unshare", "-Urm", "sh", "-c", _SET_UP],
            env=values, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Configure an unpacked stage; returns its state, and the files that went in."""

    def make(
        stage: stages.Stage, below: State = BELOW, diverted: str = "", said: bytes = b""
    ) -> tuple[State, dict[str, str]]:
        place = tmp_path / f"configured-{len(list(tmp_path.iterdir()))}"
        exchange = place / "exchange"
        exchange.mkdir(parents=True)
        roots = [*(path / "root" for path in stage.below), stage.root]
        sandbox = Noted(place, roots, diverted, said)
        state = configure.configure(
            sandbox,
            exchange,
            configure.Stage(
                below=below,
                unpacked=stage.unpacked.unpacked,
                deferred=stage.unpacked.deferred,
                lists=stage.unpacked.lists,
                interests=stage.unpacked.interests,
                roots=roots,
                architecture="amd64",
                docs=False,
                owners=place / "owners",
            ),
        )
        return state, sandbox.given

    return make


def test_files_activate_the_triggers_of_stages_below(unpack: Unpack, run: Run) -> None:
    names = ("/usr/share/first", "/usr/share/second", "/usr/share/untouched", "/usr/share/third")
    below = replace(BELOW, triggers={name: ["lower/noawait"] for name in names})
    shells = member("./usr/share/second/shell", b"")
    base = unpack(package("zero"))
    stage = unpack(
        package("one", shells, member("./usr/share/third", b"")),
        package("two", member("./usr/share/first/x", b""), member("./usr/share/untouched-too", b"")),
        below=[base],
    )
    state, given = run(stage, below)
    assert given["dpkg/triggers/Unincorp"] == "".join(
        f"/usr/share/{name} -\n" for name in ("first", "second", "third")
    )
    assert state.triggers == below.triggers


def test_the_triggers_of_packages_left_to_dpkg_are_known_to_the_next_stage(unpack: Unpack, run: Run) -> None:
    base = unpack(package("zero"))
    left = unpack(
        package(
            "one",
            member("./usr/bin/one", b""),
            preinst="#!/bin/sh\ndpkg-divert --add /usr/bin/zero\n",
            triggers="interest-noawait /usr/share/one\ninterest named\n",
        ),
        below=[base],
    )
    state, given = run(left)
    assert given["dpkg/triggers/File"] == ""  # dpkg itself adds to it when it unpacks the package
    assert state.triggers == {"/usr/share/one": ["one/noawait"], "named": ["one"]}
    _, given = run(unpack(package("two"), below=[base, left]), state)
    assert given["dpkg/triggers/File"] == "/usr/share/one one/noawait\n"
    assert given["dpkg/triggers/named"] == "one\n"


DIVERTED = (
    "/srv/tool\n/srv/link/tool.real\nlower\n/etc/conf\n/etc/other/conf.real\nlower\n"
    "/srv/left\n/srv/new/deep/left.real\nlower\n/srv/nobodys\n/srv/new/nobodys\nlower\n"
)


def test_files_that_stages_below_divert_land_where_dpkg_would_put_them(unpack: Unpack, run: Run) -> None:
    base = unpack(
        package(
            "zero",
            folder("./srv/real", 0o750, uid=3),
            link("./srv/link", "real"),
            member("./srv/tool", b"instead"),
            member("./srv/left", b"instead"),
            folder("./etc/other", 0o711),
            member("./etc/conf", b"of zero"),
        )
    )
    base.record()
    below, _ = run(base, diverted=DIVERTED)
    assert below.diversions["/srv/tool"] == "/srv/link/tool.real"
    left = package("two", member("./srv/left", b"left"), preinst="#!/bin/sh\ndpkg-divert --add /etc/x\n")
    stage = unpack(
        package("one", member("./srv/tool", b"real", mode=0o755), member("./etc/conf", b"setting")),
        left,
        below=[base],
    )
    (stage.root / "etc/conf").rename(stage.root / "etc/conf.dpkg-new")  # as it is for a configuration file
    state, given = run(stage, below, diverted=DIVERTED)
    assert given["diverted"].split("\n")[::2] == ["/etc/conf", "/srv/left", "/srv/tool", ""]
    assert state.diversions == below.diversions
    held = {
        str(path.relative_to(stage.root)): path.read_bytes()
        for name in ("srv", "etc")
        for path in (stage.root / name).rglob("*")
        if path.is_file()
    }
    assert held == {
        "srv/tool": b"instead",  # what stands in their place is the stage's too
        "srv/left": b"instead",  # its package is dpkg's to unpack
        "srv/real/tool.real": b"real",
        "etc/conf": b"of zero",
        "etc/other/conf.real.dpkg-new": b"setting",
    }
    assert not (stage.root / "srv/link").is_symlink()
    (stage.root / "etc/other/conf.real.dpkg-new").rename(stage.root / "etc/other/conf.real")
    found = stage.changes()
    assert found.keys().isdisjoint({"srv/real", "etc/other"})  # which are as they are below
    assert (found["srv/tool"].kind, found["srv/tool"].size) == ("file", len(b"instead"))
    assert (found["srv/real/tool.real"].kind, found["srv/real/tool.real"].mode) == ("file", 0o755)
    known = entries(stage.record())["srv/tool"]
    assert (known.mtime, known.size) == (TIME, len(b"real"))


@pytest.mark.parametrize("target", ["/srv/new/deep/tool", "/srv/n\udcffw \\t/ tool ", "/srv/" + "n" * 255])
def test_folders_of_diverted_files_are_made(unpack: Unpack, run: Run, target: str) -> None:
    stage = unpack(package("one", member("./srv/tool", b"real")), below=[unpack(package("zero"))])
    run(stage, replace(BELOW, diversions={"/srv/tool": target}))
    assert (stage.root / target[1:]).read_bytes() == b"real"
    assert not (stage.root / "srv/tool").exists()
    assert stat.S_IMODE((stage.root / target[1:]).parent.stat().st_mode) == 0o755


def test_a_status_that_is_no_text_fails_the_build(unpack: Unpack, run: Run) -> None:
    stage = unpack(package("one"), below=[unpack(package("zero"))])
    state, _ = run(stage, said="\nPackage: é\n".encode())
    assert state.status.endswith("Package: é\n")
    with pytest.raises(BuildError, match=r"dpkg's status that are no UTF-8"):
        run(stage, said=b"\nPackage: \xe9\n")


@pytest.mark.parametrize("target", ["/srv/file/tool", "/srv/folder"])
def test_a_file_that_cannot_be_diverted_fails_the_build(unpack: Unpack, run: Run, target: str) -> None:
    base = unpack(package("zero", member("./srv/file", b"x"), folder("./srv/folder")))
    stage = unpack(package("one", member("./srv/tool", b"real")), below=[base])
    with pytest.raises(BuildError, match="configuring Debian packages failed"):
        run(stage, replace(BELOW, diversions={"/srv/tool": target}))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "relative",
        "//d",
        "/../b",
        "/a/../b",
        "/a/./b",
        "/nul\0",
        f"/{'é' * 128}",
        "/n" * 2048,
        "/n" * 9999,
    ],
)
def test_what_can_be_no_path_is_not_diverted(path: str) -> None:
    assert diversions.parse(f"{path}\n/target\nx\n/source\n{path}\nx\n/a\n/b\nx\n/last\n") == {"/a": "/b"}


def test_no_diversion_leads_out_of_the_root(tmp_path: Path, unpack: Unpack) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("mine")
    long = f"/{'n' * 250}"
    stage = unpack(
        package(
            "one",
            link("./usr/link", str(tmp_path / "outside")),
            folder("./usr/bin/folder"),
        )
    )
    (one,) = stage.unpacked.unpacked
    one = replace(one, paths=(*one.paths, "/usr/link/file", long))
    (stage.root / long[1:]).touch()

    def divert(path: str) -> bytes:
        return diversions.divert(stage.root, {path: "/usr/new"}, unpacked=[one], lists={})

    assert divert("/usr/bin/folder") == b"/usr/bin/folder\n/usr/new\n"
    assert os.listdir(stage.root / "usr/bin") == ["folder"]
    for path, why in (("/usr/link/file", "Too many levels of symbolic links"), (long, "File name too long")):
        with pytest.raises(BuildError) as caught:
            divert(path)
        assert caught.value.message == (
            f"cannot divert {path}, as a package of a stage below wants it: {why}"
        )
    assert os.listdir(tmp_path / "outside") == ["file"]
