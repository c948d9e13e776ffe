"""What a stage takes over from the stages below it: triggers and diversions.

dpkg itself runs in main_job only: here stands in its place what notes what it would be given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from wardian.ecosystems.debian import configure, diversions
from wardian.ecosystems.debian.configure import EMPTY, State

from . import stages
from .stages import TIME, Unpack, entries, folder, link, member, package, unpacker

pytestmark = pytest.mark.namespaces

BELOW = replace(EMPTY, status="Package: lower\nStatus: install ok installed\n")
Configure = Callable[..., State]


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    return unpacker(tmp_path)


class Noted:
    """A sandbox that keeps what goes in, and leaves `diverted` as dpkg's diversions."""

    def __init__(self, diverted: str) -> None:
        self.given: dict[str, str] = {}
        self._diverted = diverted

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
            str(path.relative_to(given)): path.read_text() for path in given.rglob("*") if path.is_file()
        }
        (places["/run/wardian/out"] / "status").write_text(self.given["dpkg/status"])
        (places["/run/wardian/out"] / "diversions").write_text(self._diverted)
        return 0, ""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[State, Mapping[str, str]]]:
    """Configure an unpacked stage; returns its state, and the files that went in."""

    def make(stage: stages.Stage, below: State = BELOW, diverted: str = "") -> tuple[State, dict[str, str]]:
        exchange = tmp_path / f"exchange-{len(list(tmp_path.iterdir()))}"
        exchange.mkdir()
        sandbox = Noted(diverted)
        state = configure.configure(
            sandbox,
            exchange,
            configure.Stage(
                below=below,
                unpacked=stage.unpacked.unpacked,
                deferred=stage.unpacked.deferred,
                lists=stage.unpacked.lists,
                interests=stage.unpacked.interests,
                roots=[*(path / "root" for path in stage.below), stage.root],
                architecture="amd64",
                docs=False,
                owners=exchange / "owners",
            ),
        )
        return state, sandbox.given

    return make


def test_files_activate_the_triggers_of_stages_below(
    unpack: Unpack, run: Callable[..., tuple[State, Mapping[str, str]]]
) -> None:
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


def test_the_triggers_of_packages_left_to_dpkg_are_known_to_the_next_stage(
    unpack: Unpack, run: Callable[..., tuple[State, Mapping[str, str]]]
) -> None:
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


DIVERTED = "/usr/bin/tool\n/usr/bin/tool.real\nlower\n/etc/conf\n/etc/other/conf.real\nlower\n"


def test_files_that_stages_below_divert_land_where_dpkg_would_put_them(
    unpack: Unpack, run: Callable[..., tuple[State, Mapping[str, str]]]
) -> None:
    base = unpack(package("zero", folder("./usr"), folder("./usr/bin"), member("./usr/bin/tool", b"instead")))
    base.record()
    below, _ = run(base, diverted=DIVERTED)
    assert below.diversions == {"/usr/bin/tool": "/usr/bin/tool.real", "/etc/conf": "/etc/other/conf.real"}
    stage = unpack(
        package("one", member("./usr/bin/tool", b"real", mode=0o755), member("./etc/conf", b"setting")),
        below=[base],
    )
    (stage.root / "etc/conf").rename(stage.root / "etc/conf.dpkg-new")  # as it is for a configuration file
    state, given = run(stage, below, diverted=DIVERTED)
    assert given["diverted"] == "/etc/conf\n/usr/bin/tool\n"
    assert (stage.root / "usr/bin/tool.real").read_bytes() == b"real"
    assert (stage.root / "etc/other/conf.real.dpkg-new").read_bytes() == b"setting"
    assert not (stage.root / "usr/bin/tool").exists()
    assert not (stage.root / "etc/conf.dpkg-new").exists()
    assert state.diversions == below.diversions

    # What configuring does with them: it has the stage hold what stands in their place.
    (stage.root / "usr/bin/tool").write_bytes(b"instead")
    (stage.root / "etc/other/conf.real.dpkg-new").rename(stage.root / "etc/other/conf.real")
    found = stage.changes()
    assert (found["usr/bin/tool"].kind, found["usr/bin/tool"].size) == ("file", len(b"instead"))
    assert (found["usr/bin/tool.real"].kind, found["usr/bin/tool.real"].mode) == ("file", 0o755)
    held = entries(stage.record())["usr/bin/tool"]
    assert (held.mtime, held.size) == (TIME, len(b"real"))


def test_no_diversion_leads_out_of_the_root(tmp_path: Path, unpack: Unpack) -> None:
    assert diversions.parse("/a\n/../b\nx\n/a/../b\n/c\nx\nrelative\n/c\nx\n//d\n/e\nx\n/last\n") == {}
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("mine")
    stage = unpack(
        package(
            "one",
            link("./usr/link", str(tmp_path / "outside")),
            member("./usr/bin/tool", b"x"),
            folder("./usr/bin/folder"),
        )
    )
    pairs = {
        "/usr/bin/folder": "/usr/bin/other",
        "/usr/bin/tool": "/usr/link/tool",
        "/usr/link/file": "/usr/bin/file",
    }
    diversions.divert(
        stage.root, pairs, unpacked=stage.unpacked.unpacked, lists={"x.list": b"/usr/link/file\n"}
    )
    assert os.listdir(tmp_path / "outside") == ["file"]
    assert sorted(os.listdir(stage.root / "usr/bin")) == ["folder", "tool"]
