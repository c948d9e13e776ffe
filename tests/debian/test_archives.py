"""Where archives are looked for: configuration, the host's own sources, the dated archive."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from wardian.ecosystems.debian.archives import Archives, find_archives
from wardian.errors import SpecError
from wardian.project.configuration import Configuration

NOW = datetime(2026, 5, 4, 12, 30, 1, tzinfo=UTC)
SNAPSHOT = "http://dated.example/{archive}/{time}/"


@pytest.fixture
def host(tmp_path: Path):
    def write(**files: str) -> Path:
        folder = tmp_path / "etc/apt/sources.list.d"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            place = folder.parent if name == "sources_list" else folder
            (place / name.replace("_", ".")).write_text(text)
        return tmp_path

    return write


def find(root: Path, **keywords: str) -> Archives:
    configuration = Configuration(debian_snapshot=SNAPSHOT, **keywords)
    return find_archives(configuration, suite="trixie", now=NOW, root=root)


def test_nothing_configured_asks_the_dated_archive(tmp_path):
    archives = find(tmp_path)
    assert archives.main == ("http://dated.example/debian/20260504T123001Z/",)
    assert archives.security == ("http://dated.example/debian-security/20260504T123001Z/",)


def test_deb822_sources(host):
    root = host(
        debian_sources="""\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
 http://other.example/debian-security/
Suites: bookworm-security
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
    )
    archives = find(root)
    assert archives.main == ("http://mirror.example/debian/",)
    assert archives.security == (
        "http://mirror.example/debian-security/",
        "http://other.example/debian-security/",
        "http://dated.example/debian-security/20260504T123001Z/",
    )


def test_one_line_sources(host):
    root = host(
        sources_list="""\
# deb http://commented.example/debian trixie main
deb [arch=amd64 signed-by=/debian-archive-keyring.gpg] https://a.example/debian/ stable main  # x
deb-src https://source.example/debian trixie main
deb http://a.example/debian-security stable/updates main
deb http://b.example/debian-all trixie main non-free
"""
    )
    archives = find(root)
    assert archives.main == ("https://a.example/debian/", "http://b.example/debian-all/")
    assert archives.security[0] == "http://a.example/debian-security/"


def test_others_archives_are_passed_over(host):
    root = host(
        sources_list="""\
deb https://download.third.example/linux/debian bookworm stable
deb [signed-by=/etc/apt/keyrings/third.gpg] https://packages.third.example/debian/12/prod bookworm main
deb http://archive.third.example/ubuntu noble main
deb http://apt.third.example/debian bookworm-pgdg main
deb cdrom:[Debian]/ bookworm main
broken line
""",
        off_sources="Enabled: no\nTypes: deb\nURIs: http://off/debian\nSuites: sid\nComponents: main\n",
        junk_sources="\x00\xff: nonsense\n continued\n",
    )
    assert find(root).main == ("http://dated.example/debian/20260504T123001Z/",)


def test_mirror_lists_and_files(host):
    root = host(
        cloud_sources="""\
Types: deb
URIs: mirror+file:///etc/apt/mirrors/debian.list
Suites: trixie
Components: main

Types: deb
URIs: copy:/srv/debian
Suites: trixie
Components: main
"""
    )
    (root / "etc/apt/mirrors").mkdir()
    (root / "etc/apt/mirrors/debian.list").write_text("# first\nhttp://cloud.example/debian\tpriority:1\n")
    assert find(root).main == ("http://cloud.example/debian/", "file:/srv/debian/")


def test_the_configuration_wins(host):
    root = host(sources_list="deb http://host.example/debian trixie main\n")
    archives = find(
        root, debian_archive="http://mine.example/debian", debian_security="http://mine.example/s"
    )
    assert archives.main == ("http://mine.example/debian/",)
    assert archives.security == ("http://mine.example/s/",)
    beside = find(root, debian_archive="http://mine.example/debian")
    assert beside.security[0] == "http://mine.example/debian-security/"


def test_pool_files_are_looked_for_in_photographs_from_after_and_at_the_release(tmp_path):
    archives = find(tmp_path, debian_archive="http://mine.example/debian")
    assert archives.pool("debian", "pool/a.deb", published=datetime(2025, 1, 1, tzinfo=UTC)) == (
        "http://mine.example/debian/pool/a.deb",
        "http://dated.example/debian/20250102T000000Z/pool/a.deb",
        "http://dated.example/debian/20250101T000000Z/pool/a.deb",
    )


def test_the_vendors_dated_archive_is_the_default(tmp_path):
    archives = find_archives(Configuration(), suite="bookworm", now=NOW, root=tmp_path)
    assert archives.main[0].startswith("https://")
    assert archives.main[0].endswith("/archive/debian/20260504T123001Z/")
    assert archives.releases[2] == ("debian-security", "bookworm-security")


def test_what_cannot_be_used(tmp_path):
    with pytest.raises(SpecError) as caught:
        find_archives(Configuration(), suite="buster", now=NOW, root=tmp_path)
    assert caught.value.hint == "use one of trixie, bookworm"
    with pytest.raises(SpecError, match=r"lacks \{archive\} or \{time\}"):
        find_archives(
            Configuration(debian_snapshot="http://x.example/"), suite="trixie", now=NOW, root=tmp_path
        )
