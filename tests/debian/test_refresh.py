"""Fetching and verifying indexes, from archives that behave and from archives that do not."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from wardian.ecosystems.debian.archives import Archives
from wardian.ecosystems.debian.index import Index
from wardian.ecosystems.debian.refresh import refresh
from wardian.errors import FetchError, VerificationError
from wardian.image.platform import Platform

DATE = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def again(store, fetcher, archives, platform, certificates, now):
    def run(**changes) -> Index:
        keywords = {"certificates": certificates, "now": now, **changes}
        return refresh(
            store, keywords.pop("fetcher", fetcher), keywords.pop("archives", archives), platform, **keywords
        )

    return run


def test_an_index_of_three_suites(world, again, site):
    index = again()
    assert [(item.archive, item.suite, item.time) for item in index.releases] == [
        ("debian", "trixie", "2026-05-04T12:00:00Z"),
        ("debian", "trixie-updates", "2026-05-04T12:00:00Z"),
        ("debian-security", "trixie-security", "2026-05-04T12:00:00Z"),
    ]
    assert index.versions("hello") == ("1.0-1", "1.0-1+deb13u1")
    newest = index.package("hello")
    assert (newest.version, newest.archive) == ("1.0-1+deb13u1", "debian-security")
    older = index.package("hello", "1.0-1", stage=3)
    assert (older.archive, older.path, older.stage) == (
        "debian",
        "pool/main/h/hello/hello_1.0-1_amd64.deb",
        3,
    )
    assert index.stanza("nothing") is None
    assert index.near("helo") == ("hello",)
    assert sum("by-hash" in path for path in site.requests) == 3  # an empty list is one too


def test_what_is_known_is_not_fetched_again(world, again, site):
    first = again()
    site.requests.clear()
    assert again().releases == first.releases
    assert sorted(site.requests) == [
        "/debian-security/dists/trixie-security/InRelease",
        "/debian/dists/trixie-updates/InRelease",
        "/debian/dists/trixie/InRelease",
    ]


def test_the_locked_releases_are_loaded_without_fetching(world, again, site, store, platform, certificates):
    releases = again().releases
    site.requests.clear()
    index = Index.load(store, releases, platform, certificates=certificates)
    assert index is not None
    assert index.package("hello").version == "1.0-1+deb13u1"
    assert site.requests == []
    changed = [replace(releases[0], sha256="0" * 64), *releases[1:]]
    assert Index.load(store, changed, platform, certificates=certificates) is None


@pytest.mark.parametrize("size", [0, 100])
def test_lists_that_lost_their_end_are_fetched_again(world, again, site, store, platform, certificates, size):
    first = again()
    assert first.stanza("hello") is not None
    for item in first.lists:
        beside = item.path.with_name(f"{item.path.name}.names")
        for path in (item.path, *([beside] if beside.exists() else [])):
            path.write_bytes(path.read_bytes()[:size])
    assert Index.load(store, first.releases, platform, certificates=certificates) is None
    with pytest.raises(FetchError, match="were never fetched"):
        again(offline=True)
    second = again()
    assert second.versions("hello") == ("1.0-1", "1.0-1+deb13u1")
    assert second.releases == first.releases


def test_locked_releases_stay_loadable_after_newer_ones(world, again, store, platform, certificates):
    before = again().releases
    world.main.add(world.suites["trixie"], "new")
    world.publish(date=DATE + timedelta(minutes=1))
    assert again().stanza("new") is not None
    index = Index.load(store, before, platform, certificates=certificates)
    assert index is not None
    assert index.stanza("new") is None


def test_offline_takes_what_was_seen(world, again, site):
    releases = again().releases
    site.requests.clear()
    assert again(offline=True).releases == releases
    assert site.requests == []


def test_offline_with_nothing_seen(world, again):
    with pytest.raises(FetchError) as caught:
        again(offline=True)
    assert caught.value.hint == "run it once without --offline"


@pytest.mark.parametrize("kinds", [("",), (".gz",), (".xz",)])
def test_each_compression(world, again, kinds):
    world.publish(kinds=kinds)
    assert again().stanza("hello-doc") is not None


def test_a_signature_by_a_key_that_is_not_pinned(world, again, keys):
    world.main.publish(world.suites["trixie"], key=keys[1])
    with pytest.raises(VerificationError) as caught:
        again()
    assert "/debian/dists/trixie/InRelease is not signed by Debian's archive keys" in caught.value.message
    assert "Stack backtrace" not in caught.value.message


def test_the_pinned_keys_are_the_default(world, again):
    with pytest.raises(VerificationError, match="not signed by Debian's archive keys"):
        again(certificates=None)


def test_a_changed_release(world, again):
    path = world.main.root / "dists/trixie/InRelease"
    path.write_bytes(path.read_bytes().replace(b"Origin: Test", b"Origin: Tost"))
    with pytest.raises(VerificationError, match="not signed by Debian's archive keys"):
        again()


def test_text_outside_the_signed_part_counts_for_nothing(world, again):
    path = world.main.root / "dists/trixie/InRelease"
    path.write_bytes(b"Codename: evil\n" + path.read_bytes() + b"\nCodename: evil\n")
    assert again().stanza("hello") is not None


def test_a_release_that_is_no_message(world, again):
    (world.main.root / "dists/trixie/InRelease").write_bytes(b"<html>log in first</html>")
    with pytest.raises(VerificationError, match="trixie/InRelease is not signed"):
        again()


def test_an_expired_release(world, again):
    world.publish(fields={"Valid-Until": "Mon, 04 May 2026 12:30:00 UTC"})
    with pytest.raises(VerificationError) as caught:
        again()
    assert "was valid until 2026-05-04 12:30 UTC" in caught.value.message
    assert "clock" in (caught.value.hint or "")


def test_a_release_of_the_future(world, again):
    with pytest.raises(VerificationError) as caught:
        again(now=DATE - timedelta(days=2))
    assert caught.value.hint == "set this machine's clock"


def test_a_release_of_another_suite(world, again):
    folder = world.main.root / "dists"
    (folder / "trixie/InRelease").write_bytes((folder / "trixie-updates/InRelease").read_bytes())
    with pytest.raises(VerificationError, match="is a release of trixie-updates, not of trixie"):
        again()


def test_an_older_release_than_was_seen_is_passed_over(world, again):
    old = (world.main.root / "dists/trixie/InRelease").read_bytes()
    world.main.add(world.suites["trixie"], "fixed")
    world.publish(date=DATE + timedelta(minutes=5))
    newer = again()
    (world.main.root / "dists/trixie/InRelease").write_bytes(old)
    index = again()
    assert index.releases == newer.releases
    assert index.stanza("fixed") is not None


def test_a_list_that_is_not_the_one_signed(world, again):
    for path in (world.main.root / "dists/trixie/main/binary-amd64").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(VerificationError, match="its SHA-256 is"):
        again()


def test_a_list_that_unpacks_to_something_else(world, again, archives, site):
    """The compressed file is as signed, yet not a compression of the plain one: a bomb, say."""
    import gzip

    import pysequoia

    folder = world.main.root / "dists/trixie"
    bomb = gzip.compress(b"\0" * 5_000_000)
    digest = hashlib.sha256(bomb).hexdigest()
    (folder / "main/binary-amd64/Packages.gz").write_bytes(bomb)
    text = (
        "Codename: trixie\nDate: Mon, 04 May 2026 12:00:00 UTC\nSHA256:\n"
        f" {'0' * 64} 10 main/binary-amd64/Packages\n"
        f" {digest} {len(bomb)} main/binary-amd64/Packages.gz\n"
    )
    signer = world.main.key.signer()
    signed = pysequoia.sign(signer, text.encode(), mode=pysequoia.SignatureMode.CLEAR)
    (folder / "InRelease").write_bytes(signed)
    with pytest.raises(VerificationError, match="does not unpack to what its release names: 10 bytes"):
        again()
    address = site.url.replace("://", "://me:secret@")
    with pytest.raises(VerificationError, match="does not unpack to") as caught:
        again(archives=replace(archives, main=(f"{address}/debian/",)))
    assert f"{site.url}/debian/dists/trixie/main" in caught.value.message
    assert "secret" not in caught.value.message


def test_a_platform_that_the_suite_lacks(world, store, fetcher, archives, certificates, now):
    platform = Platform(architecture="riscv64")
    with pytest.raises(VerificationError, match="lists no main/binary-riscv64/Packages"):
        refresh(store, fetcher, archives, platform, certificates=certificates, now=now)


def test_the_next_address_is_taken(world, again, archives, site):
    others = replace(archives, main=(f"{site.url}/nowhere/", *archives.main))
    assert again(archives=others).stanza("hello") is not None


def test_a_mirror_that_is_away(again, archives):
    away = Archives(
        suite="trixie", main=("http://127.0.0.1:9/",), security=("http://127.0.0.1:9/",), snapshot=""
    )
    with pytest.raises(FetchError, match=r"http://127.0.0.1:9/dists/trixie/InRelease: connection refused"):
        again(archives=away)


def test_as_of_asks_the_snapshot_archive_which_redirects(make_world, again, site):
    make_world("photograph/").publish(
        date=DATE - timedelta(days=400), fields={"Valid-Until": "Mon, 05 May 2025 12:30:00 UTC"}
    )
    for archive in ("debian", "debian-security"):
        site.redirects[f"/archive/{archive}/20250401T000000Z/"] = f"/photograph/{archive}/"
    index = again(as_of=datetime(2025, 4, 1, tzinfo=UTC))
    assert {release.time for release in index.releases} == {"2025-03-30T12:00:00Z"}
    assert index.stanza("hello") is not None
    assert not any(path.startswith("/debian/") for path in site.requests)
    site.requests.clear()
    assert again(as_of=datetime(2025, 4, 1, tzinfo=UTC), offline=True).releases == index.releases
    assert site.requests == []


def test_as_of_refuses_what_is_younger(make_world, again, site):
    make_world("photograph/")
    site.redirects["/archive/debian"] = "/photograph/debian"
    for archive in ("debian", "debian-security"):
        site.redirects[f"/archive/{archive}/20250401T000000Z/"] = f"/photograph/{archive}/"
    site.redirects.pop("/archive/debian")
    with pytest.raises(VerificationError, match="is dated 2026-05-04 12:00, after the moment asked for"):
        again(as_of=datetime(2025, 4, 1, tzinfo=UTC))
