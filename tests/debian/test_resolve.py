"""Solving with the real apt, on archives of the tests' own: what is kept, added, dropped and refused."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from wardian.ecosystems.debian.model import DebianLock
from wardian.ecosystems.debian.resolve import resolve
from wardian.errors import FetchError, ResolveError
from wardian.image.platform import Platform
from wardian.project.configuration import Configuration, read_configuration
from wardian.system.http import Fetcher

pytestmark = pytest.mark.network  # apt itself comes from the archives that this machine is configured for

DATE = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def world(make_world):
    made = make_world("")
    suite = made.suites["trixie"]
    made.main.add(suite, "base", control="Essential: yes\nPriority: required\nPre-Depends: libbase\n")
    made.main.add(suite, "libbase")
    made.main.add(suite, "libshared", "1:2.0-1")
    made.main.add(
        suite, "editor", control="Depends: libshared (>= 1:2.0), spell | thesaurus\nRecommends: hello\n"
    )
    made.main.add(suite, "player", control="Depends: libshared, codec\n")
    for name in ("spell", "thesaurus", "codec"):
        made.main.add(suite, name)
    made.main.add(suite, "mta-one", control="Provides: mta\nConflicts: mta-two\n")
    made.main.add(suite, "mta-two", control="Provides: mta\n")
    made.main.add(suite, "sole", control="Provides: single\n")
    made.publish()
    return made


@pytest.fixture
def run(store, fetcher, site, toolbox, certificates, now):
    configuration = Configuration(
        debian_archive=f"{site.url}/debian",
        debian_security=f"{site.url}/debian-security",
        debian_snapshot=f"{site.url}/archive/{{archive}}/{{time}}/",
    )

    def call(*roots: str, **keywords) -> DebianLock:
        return resolve(
            store,
            keywords.pop("fetcher", fetcher),
            configuration,
            keywords.pop("platform", Platform(architecture="amd64")),
            suite="trixie",
            roots=roots,
            host=Platform.host(),
            base_roots=keywords.pop("base_roots", ["?essential"]),
            certificates=certificates,
            now=now,
            **keywords,
        )

    return call


def stages(lock: DebianLock) -> dict[str, int]:
    return {package.name: package.stage for package in lock.packages}


def versions(lock: DebianLock) -> dict[str, str]:
    return {package.name: package.version for package in lock.packages}


def test_base_and_the_rest_without_recommends(world, run):
    lock = run("editor", "hello")
    assert stages(lock) == {"base": 0, "libbase": 0, "editor": 1, "hello": 1, "libshared": 1, "spell": 1}
    assert versions(lock)["libshared"] == "1:2.0-1"
    assert versions(lock)["hello"] == "1.0-1+deb13u1"
    assert [package.name for package in lock.packages] == sorted(versions(lock))
    assert {release.archive for release in lock.releases} == {"debian", "debian-security"}


def test_the_same_lock_whatever_the_order(world, run):
    assert run("editor", "player") == run("player", "editor")


def test_base_roots_and_what_they_need_are_stage_0(world, run):
    assert stages(run("player", base_roots=["?essential", "editor"])) == {
        **dict.fromkeys(["base", "editor", "libbase", "libshared", "spell"], 0),
        **dict.fromkeys(["codec", "player"], 1),
    }


def test_adding_keeps_what_is_there_and_fetches_nothing(world, run, site):
    first = run("editor")
    world.main.add(world.suites["trixie"], "spell", "2.0")
    world.publish(date=DATE + timedelta(minutes=1))
    site.requests.clear()
    second = run("editor", "player", keep=first)
    assert site.requests == []
    assert second.releases == first.releases
    assert stages(second) == {**stages(first), "codec": 2, "player": 2}
    assert versions(second)["spell"] == "1.0"


def test_what_the_base_comes_to_need_is_stage_0(world, run):
    first = run("editor")
    second = run("editor", keep=first, base_roots=["?essential", "player"])
    assert stages(second) == {
        **dict.fromkeys(["base", "codec", "libbase", "libshared", "player"], 0),
        **dict.fromkeys(["editor", "spell"], 1),
    }
    misplaced = [replace(each, stage=1 if each.stage else 0) for each in run("editor", "player").packages]
    kept = replace(first, packages=tuple(misplaced))
    assert run("editor", keep=kept, base_roots=["?essential", "player"]) == second
    assert run("editor", keep=second, base_roots=["?essential", "player"]) == second


def test_removing_drops_what_only_that_needed(world, run):
    both = run("editor", "player")
    assert run("player", keep=both) == run("player")
    added = run("editor", "player", keep=run("editor"))
    assert stages(run("player", keep=added)) == {
        "base": 0,
        "libbase": 0,
        "codec": 2,
        "player": 2,
        "libshared": 1,
    }


def test_a_package_that_came_later_is_found_in_todays_archive(world, run, site):
    first = run("editor")
    suite = world.suites["trixie"]
    world.main.add(suite, "spell", "2.0")
    world.main.add(suite, "latecomer")
    world.publish(date=DATE + timedelta(minutes=1))
    second = run("editor", "latecomer", keep=first)
    assert second.releases != first.releases
    assert (versions(second)["spell"], stages(second)["latecomer"]) == ("1.0", 2)
    with pytest.raises(ResolveError, match="no Debian package is called 'latecomer'"):
        run("editor", "latecomer", keep=first, offline=True)


def test_versions_that_are_gone_give_way(world, run):
    first = run("editor")
    suite = world.suites["trixie"]
    suite.stanzas = [text for text in suite.stanzas if "Package: spell\n" not in text]
    world.main.add(suite, "spell", "2.0")
    world.main.add(suite, "latecomer")
    world.publish(date=DATE + timedelta(minutes=1))
    second = run("editor", "latecomer", keep=first)
    assert versions(second)["spell"] == "2.0"
    assert stages(second)["spell"] == stages(first)["spell"]


def test_a_new_need_moves_its_package_to_the_later_stage(world, run):
    first = run("editor")
    world.main.add(world.suites["trixie"], "editor", "2.0", control="Depends: libshared, codec\n")
    world.publish(date=DATE + timedelta(minutes=1))
    second = run("editor", keep=first, upgrade=["editor"])
    assert versions(second) == {
        "base": "1.0",
        "codec": "1.0",
        "editor": "2.0",
        "libbase": "1.0",
        "libshared": "1:2.0-1",
    }
    assert stages(second) == {"base": 0, "libbase": 0, "libshared": 1, "editor": 2, "codec": 2}


def test_upgrading_one_upgrades_what_is_built_with_it_and_what_it_must(world, run):
    suite = world.suites["trixie"]
    world.main.add(suite, "lib-a", control="Source: suite-a\n")
    world.main.add(suite, "tool-a", control="Source: suite-a\nDepends: lib-a (= 1.0), libshared\n")
    world.publish(date=DATE + timedelta(minutes=1))
    first = run("tool-a", "editor", "hello=1.0-1")
    for name, version in (("lib-a", "2.0"), ("libshared", "1:3.0"), ("spell", "2.0")):
        world.main.add(suite, name, version, control="Source: suite-a (9)\n" if name == "lib-a" else "")
    world.main.add(suite, "tool-a", "2.0", control="Source: suite-a\nDepends: lib-a (= 2.0), libshared\n")
    world.publish(date=DATE + timedelta(minutes=2))
    second = run("tool-a", "editor", "hello=1.0-1", keep=first, upgrade=["tool-a"])
    assert {**versions(first), "lib-a": "2.0", "tool-a": "2.0"} == versions(second)
    world.main.add(suite, "tool-a", "3.0", control="Depends: lib-a (= 2.0), libshared (>= 1:3.0)\n")
    world.publish(date=DATE + timedelta(minutes=3))
    third = run("tool-a", "editor", "hello=1.0-1", keep=second, upgrade=["tool-a"])
    assert {**versions(second), "libshared": "1:3.0", "tool-a": "3.0"} == versions(third)
    everything = run("tool-a", "editor", "hello=1.0-1", keep=third, upgrade=True)
    assert versions(everything)["spell"] == "2.0"
    assert everything == run("tool-a", "editor", "hello=1.0-1")


@pytest.mark.parametrize(
    ("root", "message", "hint"),
    [
        ("editr", "no Debian package is called 'editr' in trixie, trixie-updates", "did you mean editor?"),
        ("zzzzzz", "no Debian package is called 'zzzzzz'", "check the name"),
        ("editor=9", "Debian package editor has no version 9", "there is 1.0"),
        ("mta", "several Debian packages provide mta", "choose one of mta-one, mta-two"),
        (
            "--fix-broken",
            "'--fix-broken' is no Debian package name",
            "write it as apt does: name or name=version",
        ),
        (
            "editor/sid",
            "'editor/sid' is no Debian package name",
            "write it as apt does: name or name=version",
        ),
        ("e.*r", "'e.*r' is no Debian package name", "write it as apt does: name or name=version"),
        ("edito.", "no Debian package is called 'edito.'", "did you mean editor?"),
        ("editor-", "no Debian package is called 'editor-'", "did you mean editor?"),
        (
            "?essential",
            "'?essential' is no Debian package name",
            "write it as apt does: name or name=version",
        ),
    ],
)
def test_roots_that_mean_nothing(world, run, root, message, hint):
    with pytest.raises(ResolveError) as caught:
        run(root)
    assert caught.value.message.startswith(message)
    assert caught.value.hint == hint


def test_a_virtual_package_with_one_provider(world, run):
    assert "sole" in stages(run("single"))


def test_packages_that_conflict(world, run):
    with pytest.raises(ResolveError) as caught:
        run("mta-one", "mta-two")
    assert caught.value.message.startswith("the Debian packages do not fit together:\n")
    assert "mta-one Conflicts mta-two" in caught.value.message
    assert len(caught.value.message.splitlines()) <= 13


def test_a_need_that_nothing_satisfies(world, run):
    world.main.add(world.suites["trixie"], "broken", control="Depends: absent (>= 3)\n")
    world.publish(date=DATE + timedelta(minutes=1))
    with pytest.raises(ResolveError, match="broken Depends absent"):
        run("broken")


def test_as_of(make_world, world, run, site):
    photograph = make_world("photograph/")
    photograph.main.add(photograph.suites["trixie"], "editor", "0.5")
    photograph.main.add(photograph.suites["trixie"], "base", control="Essential: yes\n")
    photograph.publish(date=DATE - timedelta(days=400))
    for archive in ("debian", "debian-security"):
        site.redirects[f"/archive/{archive}/20250401T000000Z/"] = f"/photograph/{archive}/"
    lock = run("editor", as_of=datetime(2025, 4, 1, tzinfo=UTC))
    assert versions(lock) == {"base": "1.0", "editor": "0.5"}
    assert lock.releases[0].time == "2025-03-30T12:00:00Z"


def test_offline_with_what_is_cached(world, run):
    first = run("editor")
    with Fetcher(environment={}, offline=True) as offline:
        assert run("editor", fetcher=offline) == first
        assert "player" in stages(run("editor", "player", keep=first, fetcher=offline))


def test_offline_with_nothing_cached(world, run):
    with pytest.raises(FetchError, match="were never fetched; wardian is offline"):
        run("editor", offline=True)


def test_several_at_once(world, run):
    with ThreadPoolExecutor(4) as pool:
        locks = list(pool.map(lambda _: run("editor", "player"), range(4)))
    assert all(lock == locks[0] for lock in locks)


def test_the_hosts_apt_and_its_settings_play_no_part(world, run, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("APT_CONFIG", "/nonexistent/apt.conf")
    monkeypatch.setenv("LANGUAGE", "de")
    assert "editor" in stages(run("editor"))


@pytest.mark.parametrize("suite", ["trixie", "bookworm"])
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_real_archives(store, toolbox, suite, architecture):
    platform = Platform(architecture=architecture)
    with Fetcher(environment=os.environ) as fetcher:
        lock = resolve(
            store,
            fetcher,
            read_configuration(os.environ),
            platform,
            suite=suite,
            roots=["graphviz", "python3"],
            host=Platform.host(),
        )
    found = {package.name: package for package in lock.packages}
    assert found["libc6"].architecture == architecture
    assert found["libc6"].stage == 0
    assert found["graphviz"].stage == 1
    assert 150 < len(found) < 300
    assert {package.architecture for package in lock.packages} == {architecture, "all"}
    assert sys.getsizeof(lock)
