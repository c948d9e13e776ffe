"""A Debian archive of the tests' own: tiny packages, signed with a key made on the spot, served by HTTP."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pysequoia
import pytest

from wardian.ecosystems.debian.archives import Archives
from wardian.ecosystems.debian.tools import ensure_toolbox
from wardian.image.platform import Platform
from wardian.project.configuration import read_configuration
from wardian.store.store import Store
from wardian.system.http import Fetcher, Pace
from wardian.toolbox.toolbox import Toolbox, _key

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
PACK = {"": bytes, ".gz": partial(gzip.compress, mtime=0), ".xz": lzma.compress}


def ar(members: dict[str, bytes]) -> bytes:
    """An ar archive in the format of deb(5)."""
    out = b"!<arch>\n"
    for name, data in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data
        out += b"\n" * (len(data) % 2)
    return out


def tar(files: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    """A tar archive; a TarInfo stands for itself."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def deb(control: str, files: dict[str, bytes | tarfile.TarInfo], *, kind: str = ".xz") -> bytes:
    """A package with that control file."""
    members = {
        "debian-binary": b"2.0\n",
        f"control.tar{kind}": PACK[kind](tar({"./control": control.encode()})),
    }
    return ar({**members, f"data.tar{kind}": PACK[kind](tar(files))})


@dataclass
class Suite:
    """What one suite holds: stanza texts, `fields` of its release, and which compressions it offers."""

    codename: str
    stanzas: list[str] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("", ".gz", ".xz")
    date: datetime = NOW


@dataclass
class Mirror:
    """An archive below `root`, written by `publish`."""

    root: Path
    key: pysequoia.Tsk

    def add(
        self, suite: Suite, name: str, version: str = "1.0", *, control: str = "", **keywords: object
    ) -> bytes:
        """Build a package, put it into the pool and list it; more control fields in `control`."""
        files = keywords.pop("files", {f"./usr/share/{name}/file": name.encode()})
        text = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: nobody\n{control}"
        data = deb(f"{text}Description: a test\n", files, **keywords)
        path = f"pool/main/{name[0]}/{name}/{name}_{version.replace(':', '%3a')}_amd64.deb"
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        listed = f"{text}Filename: {path}\nSize: {len(data)}\nSHA256: {digest}\nDescription: a test\n"
        suite.stanzas.append(listed)
        return data

    def publish(self, suite: Suite, *, key: pysequoia.Tsk | None = None, by_hash: bool = True) -> bytes:
        """Write the suite's lists and its signed release, which is returned."""
        folder = self.root / "dists" / suite.codename
        plain = "\n".join(suite.stanzas).encode()
        lines = []
        for kind in ("", ".gz", ".xz"):
            path, data = f"main/binary-amd64/Packages{kind}", PACK[kind](plain)
            digest = hashlib.sha256(data).hexdigest()
            if kind in suite.kinds or kind == "":
                lines.append(f" {digest} {len(data)} {path}")
            if kind in suite.kinds:
                places = [folder / path]
                places += [folder / "main/binary-amd64/by-hash/SHA256" / digest] if by_hash else []
                for place in places:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(data)
        fields = {
            "Origin": "Test",
            "Codename": suite.codename,
            "Date": suite.date.strftime("%a, %d %b %Y %H:%M:%S UTC"),
            "Acquire-By-Hash": "yes" if by_hash else "no",
            **suite.fields,
        }
        text = "".join(f"{name}: {value}\n" for name, value in fields.items())
        text += "SHA256:\n" + "\n".join(lines) + "\n"
        signer = (key or self.key).signer()
        signed = pysequoia.sign(signer, text.encode(), mode=pysequoia.SignatureMode.CLEAR)
        (folder / "InRelease").write_bytes(signed)
        # As mirrors do: the server's Last-Modified, by which we ask, has no finer steps than seconds.
        os.utime(folder / "InRelease", (suite.date.timestamp(), suite.date.timestamp()))
        return signed


@dataclass
class Site:
    """An HTTP server over a folder; `redirects` are by prefix; `requests` are the paths asked for."""

    url: str
    requests: list[str]
    redirects: dict[str, str]
    refused: set[str]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    root = tmp_path / "site"
    root.mkdir(exist_ok=True)
    made = Site(url="", requests=[], redirects={}, refused=set())

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            made.requests.append(self.path)
            if any(part in self.path for part in made.refused):
                self.send_error(404)
                return
            for prefix, target in made.redirects.items():
                if self.path.startswith(prefix):
                    self.send_response(302)
                    self.send_header("Location", target + self.path.removeprefix(prefix))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
            super().do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    made.url = f"http://127.0.0.1:{http.server_address[1]}"
    yield made
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture(scope="session")
def keys() -> tuple[pysequoia.Tsk, pysequoia.Tsk]:
    """The archive's key, and another's."""
    return pysequoia.Tsk.generate("Archive of the tests"), pysequoia.Tsk.generate("Somebody else")


@pytest.fixture
def certificates(keys: tuple[pysequoia.Tsk, ...]) -> list[pysequoia.Cert]:
    return [keys[0].extract_certificate()]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    with Fetcher(environment={}, pace=Pace(attempts=2, pause=0.01, patience=1, stall=2)) as made:
        yield made


@pytest.fixture
def platform() -> Platform:
    return Platform(architecture="amd64")


@pytest.fixture
def archives(site: Site) -> Archives:
    return Archives(
        suite="trixie",
        main=(f"{site.url}/debian/",),
        security=(f"{site.url}/debian-security/",),
        snapshot=f"{site.url}/archive/{{archive}}/{{time}}/",
    )


@dataclass
class World:
    """Two archives with their three suites, as `archives` reaches them."""

    main: Mirror
    security: Mirror
    suites: dict[str, Suite]

    def publish(self, **changes: object) -> None:
        """Publish all suites; `changes` are set on each first."""
        for name, suite in self.suites.items():
            self.suites[name] = replace(suite, **changes)
            mirror = self.security if name.endswith("-security") else self.main
            mirror.publish(self.suites[name])


@pytest.fixture
def make_world(tmp_path: Path, keys: tuple[pysequoia.Tsk, ...]) -> Callable[[str], World]:
    def make(below: str = "") -> World:
        root = tmp_path / "site" / below
        names = ("trixie", "trixie-updates", "trixie-security")
        made = World(
            main=Mirror(root=root / "debian", key=keys[0]),
            security=Mirror(root=root / "debian-security", key=keys[0]),
            suites={name: Suite(codename=name) for name in names},
        )
        made.main.add(made.suites["trixie"], "hello", "1.0-1")
        made.main.add(made.suites["trixie"], "hello-doc", "1.0-1")
        made.security.add(made.suites["trixie-security"], "hello", "1.0-1+deb13u1")
        made.publish()
        return made

    return make


@pytest.fixture
def world(make_world: Callable[[str], World]) -> World:
    return make_world("")


@pytest.fixture
def now() -> datetime:
    return NOW + timedelta(hours=1)


@pytest.fixture(scope="session")
def real_toolbox(tmp_path_factory: pytest.TempPathFactory) -> Toolbox:
    """The toolbox from the archives that this machine is configured for."""
    store = Store.open(tmp_path_factory.mktemp("toolbox"))
    with Fetcher(environment=os.environ) as fetcher:
        return ensure_toolbox(store, fetcher, read_configuration(os.environ), Platform.host())


@pytest.fixture
def toolbox(store: Store, real_toolbox: Toolbox) -> Toolbox:
    """The same in the test's own store, where `resolve` finds it."""
    (store.toolbox() / _key(store, Platform.host())).symlink_to(real_toolbox.root)
    found = Toolbox.find(store, Platform.host())
    assert found is not None
    return found
