"""A small project that is locked and built, and servers for who builds its Dockerfile."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.main_job.servers import Answer, serving
from tests.python.package_index import PackageIndex, wheel
from tests.python.package_index import serving as serving_packages

from wardian import Project
from wardian.ecosystems.debian.archives import Archives, find_archives
from wardian.export.source import Source
from wardian.image.entry import Entry
from wardian.lock.text import read_lock
from wardian.project.configuration import read_configuration
from wardian.project.detect import detect
from wardian.system.http import Fetcher, MissingError

SPEC = """\
name = "small"

[system]
packages = ["bc"]

[python]
packages = ["alpha", "beta>=1"]

[env]
GREETING = 'a "quoted" $HOME \\ back'

[image]
entrypoint = ["python", "-m", "alpha"]
command = ["--all", "ü"]
ports = [8080, "53/udp"]
workdir = "/work/in $HOME/ner"
labels = { "com.example.team" = "re search", "odd key" = 'x "$HOME" \\ # z' }
env = { PORT = "8080" }
"""
LICENCED = b"""\
Metadata-Version: 2.4
Name: alpha
Version: 1.2
License-Expression: MIT OR Apache-2.0
Author-email: Alpha Authors <alpha@example.org>
Requires-Dist: beta
"""


@dataclass(frozen=True, kw_only=True)
class Small:
    """The project as it was exported, and the roots of its image's snapshots from bottom to top."""

    source: Source
    roots: tuple[Path, ...]
    index: str
    archives: str


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def index() -> Iterator[PackageIndex]:
    """A package index with two packages, of which one has a script and a licence."""
    with serving_packages() as served:
        members = {
            "alpha/__init__.py": b"def main():\n    print('alpha')\n",
            "alpha/__main__.py": b"import beta\nprint('alpha with beta', beta.version)\n",
            "alpha/data.txt": "größe\n".encode(),
        }
        scripts = "[console_scripts]\nalpha = alpha:main\n"
        alpha = wheel("alpha", "1.2", requires=("beta",), members=members, entry_points=scripts)
        served.add("alpha", "alpha-1.2-py3-none-any.whl", _licenced(alpha))
        served.add_wheel("beta", "1.0")
        yield served


def _licenced(content: bytes) -> bytes:
    """A wheel with LICENCED for its METADATA."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for item in old.infolist():
            name = item.filename
            new.writestr(
                item, LICENCED if name.endswith("/METADATA") else _without_hash(name, old.read(item))
            )
    return made.getvalue()


def _without_hash(name: str, content: bytes) -> bytes:
    """Of a RECORD, nothing on METADATA's bytes: hashes are optional (PEP 376)."""
    if not name.endswith("/RECORD"):
        return content
    return re.sub(rb"(/METADATA),.*", rb"\1,,", content)


@pytest.fixture(scope="session")
def archives(session_root: Path) -> Iterator[str]:
    """A stand-in for the dated snapshot archive and for mirrors: it has what this machine's mirrors have."""
    kept = session_root / "pool"
    kept.mkdir(exist_ok=True)
    found = find_archives(read_configuration(os.environ), suite="trixie", now=datetime.now(UTC))
    with (
        Fetcher(environment=os.environ) as fetcher,
        serving(lambda path: _answer(path, found, fetcher, kept)) as server,
    ):
        yield server.address


def _answer(path: str, archives: Archives, fetcher: Fetcher, kept: Path) -> Answer:
    """Of `/mirror/ARCHIVE/…` and `/archive/ARCHIVE/TIME/…`."""
    _, kind, archive, rest = path.split("/", 3)
    if kind == "archive":
        time, _, rest = rest.partition("/")
        assert re.fullmatch(r"\d{8}T\d{6}Z", time)
    file = kept / hashlib.sha256(f"{archive}/{rest}".encode()).hexdigest()
    if not rest.startswith("pool/") or not file.exists():
        try:
            body = fetcher.get(f"{archives.bases(archive)[0]}{rest}").body
        except MissingError:
            return 404, {}, b""
        if not rest.startswith("pool/"):
            return 200, {}, body
        new = file.with_suffix(f".{os.getpid()}.{id(body)}")
        new.write_bytes(body)
        new.rename(file)
    return 200, {}, file.read_bytes()


@pytest.fixture(scope="session")
def small(session_root: Path, index: PackageIndex, archives: str) -> Small:
    """The project, locked and built once for all workers."""
    root = session_root / "export"
    root.mkdir(exist_ok=True)
    folder, home = root / "small", root / "store"
    environment = {**os.environ, "WARDIAN_PYTHON_INDEX": index.url}
    with _locked(root / "lock"):
        if not folder.exists():
            (folder / "inner").mkdir(parents=True)
            (folder / "wardian.toml").write_text(SPEC)
            (folder / "inner/run.sh").write_text("#!/bin/sh\necho ran\n")
        Project.open(folder, home=home, environment=environment).build()
    lock = read_lock(folder / "wardian.lock")
    assert lock
    source = Source(folder=folder, detection=detect(folder), locks=lock.platforms, code=CODE)
    return Small(source=source, roots=_roots(home, folder), index=index.url, archives=archives)


# What the selection of the project's files gives.
CODE = (
    Entry(path="work/inner", kind="directory", mode=0o775, source="inner"),
    Entry(path="work/inner/run.sh", kind="file", mode=0o775, source="inner/run.sh"),
    Entry(path="work/inner/link", kind="symlink", mode=0o777, target="run.sh"),
    Entry(path="work/wardian.toml", kind="file", mode=0o664, source="wardian.toml"),
)


def _roots(home: Path, folder: Path) -> tuple[Path, ...]:
    from wardian.build.image import read_records
    from wardian.store.store import Store

    store = Store.open(home)
    record = next(found for _, found in read_records(store) if found.project == str(folder))
    return tuple(store.snapshot(key) / "root" for key in record.layers)
