"""Real container tools for tests of all rooms: a Docker daemon, buildah and podman, and a Debian base image.

They are shared by all workers of a session (pytest-xdist): the first that needs one starts it, the last that
leaves stops it. All they keep lies in the session's folder; nothing of the machine's own Docker, of its
network or of its packet filter is touched. All of it needs root.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wardian.ecosystems.debian.archives import find_archives
from wardian.project.configuration import read_configuration

BASE = "wardian-test-base:latest"  # what every engine calls the base image
SUITE = "trixie"
# Debian's own commands: another `docker` earlier on PATH may be anything.
DOCKER, DOCKERD = "/usr/bin/docker", "/usr/sbin/dockerd"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_START_LIMIT = 60.0  # seconds; it takes two on a quiet machine
_STOP_LIMIT = 30.0
_COMMAND_LIMIT = 300.0

Need = Callable[[object, str], None]


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A container tool's command line, with the storage and variables it is to use."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    build: tuple[str, ...] = ("build",)
    containers: tuple[str, ...] = ("--network", "host")

    def call(self, *words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever the end is."""
        return _call([*self.command, *words], environment=self.environment, folder=folder)

    def __call__(self, *words: str, folder: Path | None = None) -> str:
        """Run it; its standard output. Fails with all it said where it does not succeed."""
        return _output(self.call(*words, folder=folder))

    def run(self, image: str, *words: str, options: Sequence[str] = ()) -> str:
        """What a command prints in a new container of `image`, which is removed then."""
        return self("run", "--rm", *self.containers, *options, image, *words)

    def having(self, name: str, build: tuple[str, ...] = ("build",), **variables: str) -> Tool:
        """The same tool with other variables."""
        return replace(self, name=name, build=build, environment={**self.environment, **variables})


@dataclass(frozen=True, kw_only=True)
class Docker(Tool):
    """A Docker client whose daemon listens at `socket`."""

    socket: Path


def _call(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(command),
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_COMMAND_LIMIT,
        check=False,
    )


def _output(result: subprocess.CompletedProcess[str]) -> str:
    told = f"{result.stdout[-6000:]}\n{result.stderr[-6000:]}"
    said = f"{' '.join(result.args)}: status {result.returncode}\n{told}"
    assert result.returncode == 0, said
    return result.stdout


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock among the session's workers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def engines_folder(session_root: Path, need: Need) -> Path:
    """Where the engines keep what they have; without root the test is skipped."""
    if os.geteuid() != 0:
        pytest.skip("optional: only root can start a Docker daemon, and the tests run as a plain user")
    folder = session_root / "engines"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def base_archive(engines_folder: Path, need: Need) -> Path:
    """A Debian base image as a root file system's tar: the essential and required packages, and `ed`."""
    need(shutil.which("mmdebstrap"), "mmdebstrap is not installed")
    need(Path(_KEYRING).exists(), "debian-archive-keyring is not installed")
    archive = engines_folder / "base.tar"
    with _locked(engines_folder / "base.lock"):
        if not archive.exists():
            archives = find_archives(read_configuration(os.environ), suite=SUITE, now=datetime.now(UTC))
            lines = [
                f"deb [signed-by={_KEYRING}] {archives.bases(archive_name)[0]} {release} main"
                for archive_name, release in archives.releases
            ]
            new = archive.with_suffix(".new.tar")
            command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ed", SUITE, str(new), *lines]
            _output(_call(command, environment=os.environ))
            new.rename(archive)
    return archive


@pytest.fixture(scope="session")
def docker(engines_folder: Path, need: Need) -> Iterator[Docker]:
    """A Docker daemon of the session's own, with the host's network alone; builds with BuildKit."""
    need(Path(DOCKERD).exists() and Path(DOCKER).exists(), "docker.io is not installed")
    folder = engines_folder / "docker"
    folder.mkdir(exist_ok=True)
    variables = {
        "DOCKER_HOST": f"unix://{folder}/docker.sock",
        "DOCKER_CONFIG": str(folder / "config"),
        "DOCKER_BUILDKIT": "1",
        "BUILDKIT_PROGRESS": "plain",
    }
    made = Docker(
        name="docker",
        command=(DOCKER,),
        environment={**os.environ, **variables},
        build=("build", "--network", "host"),
        socket=folder / "docker.sock",
    )
    with _shared(folder, start=lambda: _start(made, folder), stop=lambda: _stop(folder)):
        yield made


@contextmanager
def _shared(folder: Path, *, start: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    """What the first of the session's workers starts and the last one stops."""
    mine = folder / "users" / str(os.getpid())
    with _locked(folder / "lock"):
        mine.parent.mkdir(exist_ok=True)
        if not any(mine.parent.iterdir()):
            start()
        mine.touch()
    yield
    with _locked(folder / "lock"):
        mine.unlink()
        if not any(mine.parent.iterdir()):
            stop()


def _start(docker: Docker, folder: Path) -> None:
    """Start the daemon as nobody's child, for it may outlive the worker that starts it."""
    with (folder / "dockerd.log").open("ab") as log:
        subprocess.run(
            [
                *("setsid", "--fork", DOCKERD),
                *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"),
                *("--pidfile", f"{folder}/docker.pid", "-H", f"unix://{docker.socket}"),
                *("--bridge", "none", "--iptables=false", "--ip6tables=false"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=True,
        )
    end = time.monotonic() + _START_LIMIT
    while docker.call("version").returncode:  # it has no other sign of being ready
        if time.monotonic() > end:
            told = (folder / "dockerd.log").read_text(errors="replace").splitlines()[-15:]
            _stop(folder)
            pytest.fail("dockerd does not start:\n" + "\n".join(told))
        time.sleep(0.2)


def _stop(folder: Path) -> None:
    with suppress(OSError, ValueError):
        pid = int((folder / "docker.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + _STOP_LIMIT
        while _runs(pid):
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
    # Containers on the host's network leave the name of its namespace mounted, also after a good end.
    _unmount(folder)


def _unmount(folder: Path) -> None:
    """Unmount all that is mounted below `folder`, the innermost first; who still uses it lets go later."""
    for _ in range(3):  # one mount may hide another
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        places = [line.split()[4] for line in lines]
        for place in sorted((place for place in places if place.startswith(f"{folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture(scope="session")
def storage(engines_folder: Path) -> Iterator[tuple[str, ...]]:
    """Options of podman and buildah for storage of the session's own, which they leave mounted."""
    folder = engines_folder / "containers"
    folder.mkdir(exist_ok=True)
    with _shared(folder, start=lambda: None, stop=lambda: _unmount(folder)):
        yield (
            *("--root", str(folder / "storage"), "--runroot", str(folder / "run")),
            *("--storage-driver", "overlay"),
        )


@pytest.fixture(scope="session")
def podman(engines_folder: Path, storage: tuple[str, ...], need: Need) -> Tool:
    """Podman with storage of the session's own; no daemon."""
    need(shutil.which("podman"), "podman is not installed")
    need(shutil.which("runc") or shutil.which("crun"), "no OCI runtime is installed")
    runtime = "runc" if shutil.which("runc") else "crun"
    return Tool(
        name="podman",
        command=("podman", *storage, "--runtime", runtime, "--cgroup-manager", "cgroupfs"),
        environment=_variables(engines_folder),
        # `chroot` needs neither a working cgroup nor a network of its own.
        build=("build", "--network", "host", "--isolation", "chroot", "--format", "docker"),
        # Podman asks for more open files than a machine may allow even root.
        containers=(
            *("--network", "host"),
            *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"),
        ),
    )


@pytest.fixture(scope="session")
def buildah(engines_folder: Path, storage: tuple[str, ...], need: Need) -> Tool:
    """Buildah with the same storage as podman."""
    need(shutil.which("buildah"), "buildah is not installed")
    return Tool(
        name="buildah",
        command=("buildah", *storage),
        environment=_variables(engines_folder),
        build=("build", "--network", "host", "--isolation", "chroot"),
    )


def _variables(folder: Path) -> dict[str, str]:
    """Their caches, which outlive a build, lie in the folder for temporary files."""
    (folder / "temporary").mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(folder / "temporary")}


@pytest.fixture(scope="session")
def docker_base(docker: Docker, base_archive: Path) -> str:
    """The name of the base image in the Docker daemon."""
    with _locked(base_archive.parent / "docker-base.lock"):
        if docker.call("image", "inspect", BASE).returncode:
            docker("import", str(base_archive), BASE)
    return BASE


@pytest.fixture(scope="session")
def podman_base(podman: Tool, base_archive: Path) -> str:
    """The name of the base image in the storage of podman and buildah."""
    name = f"localhost/{BASE}"
    with _locked(base_archive.parent / "podman-base.lock"):
        if podman.call("image", "exists", name).returncode:
            podman("import", str(base_archive), name)
    return name
