from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wardian.ecosystems.python import interpreter as interpreters
from wardian.ecosystems.python.install import install
from wardian.ecosystems.python.model import Interpreter
from wardian.ecosystems.python.pylock import Target
from wardian.errors import BuildError, FetchError, ResolveError, SpecError, VerificationError
from wardian.image.platform import Platform

from .package_index import Served

AMD64 = Platform(architecture="amd64")
SUITE = Interpreter(version="3.13.5", source="debian")
VERSION = ".".join(map(str, sys.version_info[:3]))
# What a small program does without; test and friends are most of the library.
LEFT_OUT = {
    "test",
    "idlelib",
    "tkinter",
    "lib2to3",
    "ensurepip",
    "site-packages",
    "dist-packages",
    "__pycache__",
}


def entry(
    address: str, version: str, machine: str = "x86_64", *, sha256: str | None = None, build: str = "20250106"
):
    """One interpreter as uv's list of downloads has it."""
    major, minor, patch = map(int, version.split("."))
    name = f"cpython-{version}%2B{build}-{machine}-unknown-linux-gnu-install_only_stripped.tar.gz"
    return {
        "name": "cpython", "arch": {"family": machine, "variant": None}, "os": "linux", "libc": "gnu",
        "major": major, "minor": minor, "patch": patch, "prerelease": "", "variant": None, "build": build,
        "url": f"{address}/download/{build}/{name}", "sha256": sha256,
    }  # fmt: skip


@pytest.fixture
def listing(uv, index, tmp_path):
    """uv, with a list of downloads of the test's own."""

    def listing(*entries):
        path = tmp_path / "downloads.json"
        path.write_text(json.dumps({f"cpython-{number}": entry for number, entry in enumerate(entries)}))
        return replace(uv, environment={**uv.environment, "UV_PYTHON_DOWNLOADS_JSON_URL": str(path)})

    return listing


def choose(uv, asked, **options):
    return interpreters.choose(
        uv, **{"asked": asked, "suite_version": "3.13.5", "platform": AMD64, **options}
    )


@pytest.mark.parametrize("asked", ["", "3", "3.13", "3.13.5", ">=3.11", ">=3.11,<4", "~=3.13.0", "==3.13.*"])
def test_the_suites_own_where_it_will_do(uv, asked):
    assert choose(uv, asked) == SUITE


@pytest.mark.parametrize("asked", ["3.x", "python3.12", "latest", ">=3.11 <3"])
def test_what_is_no_version(uv, asked):
    with pytest.raises(SpecError, match="is no Python version") as caught:
        choose(uv, asked)
    assert '"3.12"' in caught.value.hint


def test_the_newest_managed_one_that_fits(listing, index):
    digest = "ab" * 32
    entries = [entry(index.address, version, sha256=digest) for version in ("3.12.7", "3.12.10", "3.14.0")]
    uv = listing(*entries, entry(index.address, "3.12.11", "aarch64", sha256="cd" * 32))
    found = choose(uv, "3.12")
    assert (found.version, found.source, found.build, found.sha256) == ("3.12.10", "uv", "20250106", digest)
    assert "x86_64" in found.key
    assert choose(uv, "3.12", platform=Platform(architecture="arm64")).version == "3.12.11"
    assert choose(uv, "<3.13").version == "3.12.10"


def test_as_of_a_day_there_are_the_builds_of_before(listing, index):
    builds = {"3.12.7": "20241008", "3.12.8": "20250106", "3.12.9": "20250212T1200"}
    uv = listing(*(entry(index.address, name, sha256="ab" * 32, build=day) for name, day in builds.items()))
    assert choose(uv, "3.12", as_of=datetime(2025, 1, 7, tzinfo=UTC)).version == "3.12.8"
    assert choose(uv, "3.12", as_of=datetime(2025, 1, 6, tzinfo=UTC)).version == "3.12.7"
    assert choose(uv, "3.12", as_of=datetime(2025, 2, 13, tzinfo=UTC)).version == "3.12.9"
    with pytest.raises(ResolveError, match=r"no Python 3\.12 .* uv manages none of before 2024-01-01"):
        choose(uv, "3.12", as_of=datetime(2024, 1, 1, tzinfo=UTC))


def test_a_locked_one_is_kept_while_it_fits(listing, index):
    uv = listing(entry(index.address, "3.12.10", sha256="ab" * 32))
    kept = Interpreter(version="3.12.7", source="uv", key="k", build="20240101", sha256="cd" * 32)
    assert choose(uv, "3.12", keep=kept) == kept
    assert choose(uv, "3.12", keep=kept, upgrade=True).version == "3.12.10"
    assert choose(uv, ">=3.12.8,<3.13", keep=kept).version == "3.12.10"
    assert choose(uv, "3", keep=kept) == SUITE


def test_no_python_fits(listing, index):
    uv = listing(entry(index.address, "3.12.10", sha256="ab" * 32))
    with pytest.raises(ResolveError, match=r"no Python 3\.9 for linux/amd64: .* uv manages 3\.12"):
        choose(uv, "3.9")


def test_the_digest_comes_from_the_release(listing, index):
    told = entry(index.address, "3.12.10")
    name = told["url"].rpartition("/")[2].replace("%2B", "+")
    sums = f"{'0' * 64}  other.tar.gz\n{'12' * 32}  {name}\n".encode()
    index.files["/download/20250106/SHA256SUMS"] = Served(content=sums, sha256=None, size=None)
    assert choose(listing(told), "3.12").sha256 == "12" * 32


def test_the_digest_comes_from_the_bytes_where_nobody_tells_it(listing, index):
    told = entry(index.address, "3.12.10")
    index.files[told["url"].removeprefix(index.address)] = Served(content=b"bytes", sha256=None, size=None)
    assert choose(listing(told), "3.12").sha256 == hashlib.sha256(b"bytes").hexdigest()


def test_a_mirror_takes_the_place_of_the_usual_host(uv, index):
    mirror = f"{index.address}/mirror"
    listed = interpreters._list(uv, AMD64, mirror)
    best = next(entry for entry in listed if entry.version.startswith("3.12."))
    assert best.address.startswith(mirror)
    folder, _, name = best.address.removeprefix(index.address).rpartition("/")
    sums = f"{'34' * 32}  {name.replace('%2B', '+')}\n".encode()
    index.files[f"{folder}/SHA256SUMS"] = Served(content=sums, sha256=None, size=None)
    assert choose(uv, f"=={best.version}", mirror=mirror).sha256 == "34" * 32


def python_archive(extra=()) -> bytes:
    """The running Python in the layout of python-build-standalone's install_only archives."""
    base, minor = Path(sys.base_prefix), "python{}.{}".format(*sys.version_info)
    buffer = io.BytesIO()

    def wanted(member):
        return None if LEFT_OUT & set(member.name.split("/")) or "/config-" in member.name else member

    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        archive.add((base / "bin" / minor).resolve(), f"python/bin/{minor}")
        archive.add(base / "lib" / minor, f"python/lib/{minor}", filter=wanted)
        link = tarfile.TarInfo("python/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, minor
        archive.addfile(link)
        for member, content in extra:
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def archive() -> bytes:
    return python_archive()


@pytest.mark.namespaces
def test_fetches_unpacks_and_installs_into(listing, index, store, archive, sandbox, request_for, tmp_path):
    digest = hashlib.sha256(archive).hexdigest()
    told = entry(index.address, VERSION, Platform.host().machine, sha256=digest)
    index.files[told["url"].removeprefix(index.address)] = Served(content=archive, sha256=None, size=None)
    uv = listing(told)
    found = choose(uv, f"=={VERSION}", platform=Platform.host())
    path = interpreters.fetch(uv, store, found, platform=Platform.host())
    root = tmp_path / "opt/python"
    interpreters.unpack(path, root)
    said = subprocess.run(
        [root / "bin/python3", "-IBc", "import sys, json; print(sys.base_prefix)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip() == str(root)
    made = tmp_path / "made"
    sandbox.shown = [(root, "/opt/python", True)]
    target = Target(python=VERSION, platform=Platform.host(), glibc=(2, 36))
    install(uv, (), interpreter=found, target=target, sandbox=sandbox, into=made, below=())
    assert (made / "bin/python3").readlink() == Path("/opt/python/bin/python3")
    assert (made / "pyvenv.cfg").read_text().startswith("home = /opt/python/bin\n")
    asked = len(index.requests)
    assert interpreters.fetch(uv, store, found, platform=Platform.host()) == path
    assert len(index.requests) == asked


def test_an_archive_that_is_not_the_locked_one(listing, index, store):
    told = entry(index.address, "3.12.10", sha256="ab" * 32)
    index.files[told["url"].removeprefix(index.address)] = Served(content=b"other", sha256=None, size=None)
    uv = listing(told)
    found = choose(uv, "3.12")
    with pytest.raises(VerificationError, match="its SHA-256 is"):
        interpreters.fetch(uv, store, found, platform=AMD64)
    assert not store.content(found.sha256).exists()


def test_a_locked_build_that_uv_no_longer_lists(listing, index, store):
    """Its address is made from that of another one."""
    content = b"the bytes"
    locked = Interpreter(
        version="3.12.7", source="uv", key="cpython-3.12.7-linux-x86_64-gnu", build="20241008",
        sha256=hashlib.sha256(content).hexdigest(),
    )  # fmt: skip
    gone = entry(index.address, "3.12.7", build="20241008")["url"]
    index.files[gone.removeprefix(index.address)] = Served(content=content, sha256=None, size=None)
    uv = listing(entry(index.address, "3.14.0", sha256="ab" * 32))
    assert interpreters.fetch(uv, store, locked, platform=AMD64).read_bytes() == content


def test_nobody_knows_where(listing, store, index):
    locked = Interpreter(version="3.12.7", source="uv", key="k", build="20241008", sha256="ab" * 32)
    with pytest.raises(FetchError, match="knows no place"):
        interpreters.fetch(listing(entry(index.address, "3.12.7", "aarch64")), store, locked, platform=AMD64)


def packed(tmp_path: Path, *members: tuple[str, bytes, str]) -> Path:
    """A small archive: (name, type, content or link target)."""
    path = tmp_path / "archive.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, content in (("python/bin/python3", tarfile.REGTYPE, "x"), *members):
            member = tarfile.TarInfo(name)
            member.type = kind
            data = b""
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                member.linkname = content
            else:
                data = content.encode()
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", tarfile.REGTYPE, "x")],
        [("python/../../evil", tarfile.REGTYPE, "x")],
        [("/tmp/evil", tarfile.REGTYPE, "x")],
        [("elsewhere/evil", tarfile.REGTYPE, "x")],
        [("python/link", tarfile.SYMTYPE, "/etc")],
        [("python/link", tarfile.SYMTYPE, "../../evil")],
        [("python/a/b", tarfile.SYMTYPE, "."), ("python/link", tarfile.SYMTYPE, "a/b/../../../evil")],
        [("python/lib", tarfile.SYMTYPE, "b/../outside"), ("python/b", tarfile.SYMTYPE, ".")],
        [("python/link", tarfile.SYMTYPE, "x" * 5000)],
        [("python/hard", tarfile.LNKTYPE, "../../../etc/passwd")],
        [("python/hard", tarfile.LNKTYPE, "python/nothing")],
        [("python/pipe", tarfile.FIFOTYPE, "")],
        [("python/device", tarfile.CHRTYPE, "")],
    ],
)
def test_members_that_leave_their_root(tmp_path, members):
    settings = tmp_path / "into/outside/python3.13/_sysconfigdata_x.py"
    settings.parent.mkdir(parents=True)
    settings.write_text("/install")
    with pytest.raises((VerificationError, BuildError)):
        interpreters.unpack(packed(tmp_path, *members), tmp_path / "into/python")
    assert not list(tmp_path.rglob("evil"))
    assert settings.read_text() == "/install"


def test_no_file_is_written_through_a_link(tmp_path):
    members = [("python/link", tarfile.SYMTYPE, "bin"), ("python/link/evil", tarfile.REGTYPE, "x")]
    with pytest.raises((VerificationError, BuildError)):
        interpreters.unpack(packed(tmp_path, *members), tmp_path / "into/python")


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08" + b"0" * 40])
def test_what_is_no_archive(tmp_path, content):
    path = tmp_path / "archive"
    path.write_bytes(content)
    with pytest.raises(BuildError, match=r"cannot unpack archive|holds no python"):
        interpreters.unpack(path, tmp_path / "into")
