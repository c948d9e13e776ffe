from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from wardian.ecosystems.python.model import Interpreter
from wardian.ecosystems.python.program import Uv, open_uv
from wardian.ecosystems.python.pylock import Target
from wardian.ecosystems.python.resolve import Request
from wardian.image.platform import Platform
from wardian.project.configuration import Configuration, read_configuration
from wardian.store.store import Store
from wardian.system.http import Fetcher, Pace

from .package_index import PackageIndex, serving

# The root is the host's, but for the folders that a sandbox's mounts go into: /opt, /wardian, /root.
_SET_UP = """
set -e
mount -t tmpfs none "$ROOT"; mkdir "$ROOT/opt" "$ROOT/wardian" "$ROOT/root" "$ROOT/tmp"
for name in usr etc dev proc; do mkdir "$ROOT/$name"; mount --rbind "/$name" "$ROOT/$name"; done
for name in bin sbin lib lib64; do
    if [ -L "/$name" ]; then cp -a "/$name" "$ROOT/"; continue; fi
    mkdir "$ROOT/$name"; mount --rbind "/$name" "$ROOT/$name"
done
"""


@dataclass
class HostSandbox:
    """The install step's sandbox with the host's own system as image: namespaces, no OCI runtime."""

    root: Path
    seen: list[tuple[list[str], dict[str, str], bool]]
    shown: list[tuple[Path, str, bool]] = field(default_factory=list)

    def run(
        self,
        arguments: Sequence[str],
        *,
        mounts: Sequence[tuple[Path, str, bool]] = (),
        environment: Mapping[str, str],
        network: bool = False,
    ) -> tuple[int, str]:
        self.seen.append((list(arguments), dict(environment), network))
        lines = [_SET_UP]
        for source, target, _ in (*self.shown, *mounts):
            make = "mkdir -p" if source.is_dir() else "mkdir -p $(dirname $T); touch"
            lines.append(f'T="$ROOT{target}"; {make} "$T"; mount --rbind "{source}" "$T"')
        lines.append('exec chroot "$ROOT" env -i "$@"')
        given = [f"{name}={value}" for name, value in environment.items()]
        namespaces = ["-Urm"] if network else ["-Urm", "-n"]
        shell = ["sh", "-c", "\n".join(lines), "sh"]
        result = subprocess.run(
            ["unshare", *namespaces, *shell, *given, *arguments],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "ROOT": str(self.root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return result.returncode, result.stdout


@pytest.fixture
def sandbox(tmp_path: Path) -> HostSandbox:
    if subprocess.run(["unshare", "-Urm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("user namespaces are forbidden here")
    root = tmp_path / "root"
    root.mkdir()
    return HostSandbox(root=root, seen=[])


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    with serving() as served:
        yield served


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user with nothing configured, who does not wait long."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("SSL_") or name == "PATH"}
    return {**kept, "HOME": str(tmp_path / "home"), "UV_HTTP_RETRIES": "1", "UV_HTTP_TIMEOUT": "1"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def uv(store: Store, index: PackageIndex, environment: dict[str, str]) -> Iterator[Uv]:
    """uv on the tests' own index."""
    with Fetcher(environment=environment, pace=Pace(attempts=2, pause=0.01, stall=1)) as fetcher:
        yield open_uv(store, Configuration(python_index=index.url), environment=environment, fetcher=fetcher)


@pytest.fixture
def real_uv(store: Store) -> Iterator[Uv]:
    """uv on the indexes that this machine is configured for."""
    with Fetcher(environment=os.environ) as fetcher:
        yield open_uv(store, read_configuration(os.environ), environment=os.environ, fetcher=fetcher)


@pytest.fixture
def target() -> Target:
    return Target(python="3.13.5", platform=Platform(architecture="amd64"), glibc=(2, 41))


@pytest.fixture
def request_for(target: Target):
    """Make a request for requirements, with the defaults that most tests want."""

    def make(*requirements: str, **options: object) -> Request:
        interpreter = Interpreter(version=target.python, source="debian")
        return Request(requirements=requirements, **{"interpreter": interpreter, "target": target, **options})

    return make


@pytest.fixture
def host_target() -> tuple[Interpreter, Target]:
    """The Python that /usr/bin/python3 is here, which the sandbox has too."""
    said = subprocess.run(
        ["/usr/bin/python3", "-c", "import platform; print(platform.python_version())"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    version = said.stdout.strip()
    found = Target(python=version, platform=Platform.host(), glibc=(2, 36))
    return Interpreter(version=version, source="debian"), found
