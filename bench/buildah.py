"""The second peer: buildah, which builds the same Dockerfile without a daemon; podman runs what it built."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from bench import dockerfile, measure, reference
from bench.dockerside import DockerfileSide
from bench.measure import BenchError
from bench.peer import IMAGE, make_images

if TYPE_CHECKING:
    from pathlib import Path

    from bench.registry import Registry

# Podman's own are above what some machines allow.
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
_NEEDED = ("buildah", "podman", "runc", "/usr/bin/mmdebstrap")


class Buildah(DockerfileSide):
    """Each method takes one figure; `first` begins with the base image alone."""

    name = "buildah"
    rows = frozenset(row.name for row in reference.ROWS) - {"memory", "slim-packed", "slim-unpacked"}

    def __init__(self, work: Path, *, bytecode: bool) -> None:
        super().__init__()
        self._work = work
        self._bytecode = bytecode
        self._begun = 0
        self._storage = work
        self._project = work / "project"
        self._project.mkdir(parents=True)
        (work / "secrets").mkdir(mode=0o700)
        self._arguments = dockerfile.write_secrets(work / "secrets", os.environ)
        self._images = make_images(work)

    def version(self) -> str:
        """What was measured."""
        return self._run("buildah", "--version").output.split(" (")[0]

    def first(self) -> float:
        """Build with no layer and no cache mount of an earlier one."""
        self._begin()
        for name, archive in self._images.items():
            self._run("podman", "import", "--quiet", str(archive), name)
        self._declare(reference.Contents())
        os.sync()
        return self._build("--no-cache")

    def memory(self) -> float:
        """It is not taken: what is buildah's and what runs inside cannot be told apart by program."""
        raise BenchError("the memory of buildah is not measured")

    def run(self) -> float:
        """Start `true` in a container, on the host's network as ours is."""
        return self._start("true").seconds

    def second_import(self) -> float:
        """Import pandas twice, each in a container of its own; the second one's seconds."""
        command = ("python", "-c", reference.IMPORT)
        self._start(*command)
        return float(self._start(*command).output)

    def push(self, registry: Registry) -> float:
        """Push what is built, for the first time."""
        target = f"docker://{registry.host}/buildah:1"
        return self._run("buildah", "push", "--quiet", "--tls-verify=false", IMAGE, target).seconds

    def pull(self, registry: Registry) -> float:
        """Pull into an empty storage, and start `true`."""
        self._begin()
        name = f"{registry.host}/buildah:1"
        pulled = self._run("podman", "pull", "--quiet", "--tls-verify=false", name)
        return pulled.seconds + self._start("true", image=name).seconds

    def close(self) -> None:
        """Unmount what the storages leave mounted."""
        for number in range(1, self._begun + 1):
            with contextlib.suppress(BenchError):
                measure.run(
                    ["umount", "--lazy", f"{self._work}/{number}/root/overlay"], environment=os.environ
                )

    def _begin(self) -> None:
        self._begun += 1
        self._storage = self._work / str(self._begun)
        (self._storage / "tmp").mkdir(parents=True)

    def _declare(self, contents: reference.Contents) -> None:
        dockerfile.write_project(self._project, contents, bytecode=self._bytecode, copied=True)

    def _build(self, *more: str) -> float:
        command = ["build", "--quiet", "--layers", "--runtime", "runc", "--network", "host", *self._arguments]
        return self._run("buildah", *command, "-t", IMAGE, *more, ".").seconds

    def _start(self, *command: str, image: str = IMAGE) -> measure.Timing:
        settings = ("--runtime", "runc", "--cgroup-manager", "cgroupfs")
        return self._run("podman", *settings, "run", "--rm", *_LIMITS, "--network", "host", image, *command)

    def _run(self, program: str, *arguments: str) -> measure.Timing:
        storage = ("--root", f"{self._storage}/root", "--runroot", f"{self._storage}/run")
        # Cache mounts lie below TMPDIR.
        environment = {**os.environ, "TMPDIR": f"{self._storage}/tmp"}
        command = [program, *storage, "--storage-driver", "overlay", *arguments]
        return measure.run(command, environment=environment, folder=self._project)


def check() -> None:
    """Raise BenchError where buildah cannot run."""
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        raise BenchError(f"buildah needs {', '.join(missing)}: `apt-get install buildah podman mmdebstrap`")
