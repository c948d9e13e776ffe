"""Packages into the store: from the mirror, from the dated archive, and not at all."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from wardian.ecosystems.debian.fetch import fetch
from wardian.ecosystems.debian.model import ArchiveRelease
from wardian.ecosystems.debian.refresh import refresh
from wardian.errors import FetchError, VerificationError

RELEASES = [ArchiveRelease(archive="debian", suite="trixie", sha256="0" * 64, time="2026-05-04T12:00:00Z")]


@pytest.fixture
def packages(world, store, fetcher, archives, platform, certificates, now):
    for number in range(20):
        world.main.add(world.suites["trixie"], f"package{number}", control=f"Section: {'x' * number}\n")
    world.publish()
    index = refresh(store, fetcher, archives, platform, certificates=certificates, now=now)
    return [index.package(f"package{number}", stage=number % 2) for number in range(20)]


@pytest.fixture
def run(store, fetcher, archives):
    return lambda packages, **changes: fetch(
        store, fetcher, changes.get("archives", archives), packages, releases=RELEASES
    )


def test_all_arrive_verified_and_are_there_the_next_time(packages, run, site, store):
    arrived = dict(run(packages))
    assert set(arrived) == set(packages)
    for package, path in arrived.items():
        assert path == store.content(package.sha256)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == package.sha256
    site.requests.clear()
    assert set(dict(run(packages))) == set(packages)
    assert site.requests == []
    assert list(store.root.joinpath("temporary").iterdir()) == []


def test_a_damaged_file_in_the_store_is_fetched_again(packages, run, store):
    path = store.content(packages[0].sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    dict(run(packages[:1]))
    assert path.stat().st_size == packages[0].size


def test_a_file_that_the_mirror_lacks_comes_from_the_dated_archive(packages, run, site, store):
    site.refused.add("/debian/pool/main/p/package3/")
    site.redirects["/archive/debian/20260505T120000Z/"] = "/photographs/"
    target = store.root.parent / "site/photographs" / packages[3].path
    target.parent.mkdir(parents=True)
    target.write_bytes((store.root.parent / "site/debian" / packages[3].path).read_bytes())
    assert dict(run(packages[3:4]))[packages[3]].stat().st_size == packages[3].size
    assert site.requests[-3:] == [
        f"/debian/{packages[3].path}",
        f"/archive/debian/20260505T120000Z/{packages[3].path}",
        f"/photographs/{packages[3].path}",
    ]


def test_a_file_that_nobody_has(packages, run, site, store):
    site.refused.add("package3")
    with pytest.raises(FetchError) as caught:
        list(run(packages))
    message = caught.value.message
    assert message.startswith("package3 1.0: cannot fetch any of\n")
    assert str(caught.value) == message
    assert message.count("it answers 404") == 3
    assert not store.content(packages[3].sha256).exists()


def test_another_file_than_the_one_locked(packages, run, site, store):
    wrong = replace(packages[3], sha256="1" * 64)
    with pytest.raises(VerificationError, match=r"(?s)package3 1.0: .*its SHA-256 is"):
        list(run([wrong]))
    assert not store.content(wrong.sha256).exists()


def test_who_stops_iterating_stops_the_downloads(packages, run, store):
    arriving = run(packages)
    next(arriving)
    arriving.close()
    assert list(store.root.joinpath("temporary").iterdir()) == []


def test_the_same_file_twice_is_fetched_once(packages, run, site):
    twin = replace(packages[0], name="twin")
    site.requests.clear()
    assert [package.name for package, _ in run([packages[0], twin])] == ["package0", "twin"]
    assert len(site.requests) == 1


def test_dates_are_utc():
    assert datetime.fromisoformat(RELEASES[0].time) == datetime(2026, 5, 4, 12, tzinfo=UTC)
