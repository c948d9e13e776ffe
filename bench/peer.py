"""The peer: Docker Engine with BuildKit, its Dockerfile as its guides advise."""

from __future__ import annotations

import os
import tarfile
from contextlib import ExitStack
from typing import TYPE_CHECKING

import uv

from bench import dockerfile, measure, reference
from bench.dockerside import DockerfileSide
from bench.engine import Engine
from bench.measure import BenchError, PeakMemory

if TYPE_CHECKING:
    from pathlib import Path

    from bench.registry import Registry

IMAGE = "bench-reference"
# What these start runs inside containers.
_LAUNCHERS = ("runc", "containerd-shim-runc-v2")


class Peer(DockerfileSide):
    """Each method takes one figure; `first` and `memory` begin with the base image alone."""

    name = "peer"
    rows = frozenset(row.name for row in reference.ROWS) - {"slim-packed", "slim-unpacked"}

    def __init__(self, work: Path, *, bytecode: bool) -> None:
        super().__init__()
        self._work = work
        self._bytecode = bytecode
        self._begun = 0
        self._project = work / "project"
        self._project.mkdir(parents=True)
        (work / "secrets").mkdir(mode=0o700)
        self._arguments = dockerfile.write_secrets(work / "secrets", os.environ)
        self._images = make_images(work)
        self._stack = ExitStack()
        self._engine = self._start()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def version(self) -> str:
        """What was measured."""
        return f"Docker Engine {self._engine.docker('version', '-f', '{{.Server.Version}}').output.strip()}"

    def first(self) -> float:
        """Build with no layer and no cache mount of an earlier one."""
        self._begin()
        return self._build("--no-cache")

    def memory(self) -> float:
        """The same, watched: peak of the daemon's, containerd's and the client's memory, in MB."""
        self._begin()
        client = self._engine.start(*self._command("--no-cache"), folder=self._project)
        roots = [client.pid, self._engine.process]
        with PeakMemory(roots, programs=(), launchers=_LAUNCHERS) as peak:
            if client.wait():
                raise BenchError(f"docker build ended with status {client.returncode}")
        return peak.bytes / 1e6

    def run(self) -> float:
        """Start `true` in a container, on the host's network as ours is."""
        return self._engine.docker(*_run("true")).seconds

    def second_import(self) -> float:
        """Import pandas twice, each in a container of its own; the second one's seconds."""
        command = _run("python", "-c", reference.IMPORT)
        self._engine.docker(*command)
        return float(self._engine.docker(*command).output)

    def push(self, registry: Registry) -> float:
        """Push what is built, for the first time."""
        name = f"{registry.host}/peer:1"
        self._engine.docker("tag", IMAGE, name)
        return self._engine.docker("push", "--quiet", name).seconds

    def pull(self, registry: Registry) -> float:
        """Pull into an engine that has nothing, and start `true`."""
        self._stack.close()
        self._engine = self._start()
        name = f"{registry.host}/peer:1"
        pulled = self._engine.docker("pull", "--quiet", name)
        started = self._engine.docker("run", "--rm", "--network", "host", name, "true")
        return pulled.seconds + started.seconds

    def _begin(self) -> None:
        """A new engine with new folders, which has the base image; the earlier one is stopped."""
        self._stack.close()
        self._engine = self._start()
        for name, archive in self._images.items():
            self._engine.docker("import", str(archive), name)
        self._declare(reference.Contents())
        os.sync()

    def _start(self) -> Engine:
        self._begun += 1
        return self._stack.enter_context(Engine(self._work / f"engine-{self._begun}"))

    def _declare(self, contents: reference.Contents) -> None:
        dockerfile.write_project(self._project, contents, bytecode=self._bytecode)

    def _command(self, *more: str) -> list[str]:
        return ["build", "--network", "host", *self._arguments, "-t", IMAGE, *more, "."]

    def _build(self, *more: str) -> float:
        return self._engine.docker(*self._command(*more), folder=self._project).seconds


def make_images(work: Path) -> dict[str, Path]:
    """Archives of the images that the Dockerfile begins with, by name."""
    return {dockerfile.BASE: _make_base(work), dockerfile.UV: _pack_uv(work)}


def _make_base(work: Path) -> Path:
    """A base image like the published slim ones, which are pulled beforehand: it is not timed."""
    archive = work / "base.tar"
    lines = dockerfile.sources(os.environ)
    command = ["/usr/bin/mmdebstrap", "--quiet", "--variant=minbase", reference.SUITE, str(archive), *lines]
    measure.run(command, environment=os.environ)
    return archive


def _pack_uv(work: Path) -> Path:
    archive = work / "uv.tar"
    with tarfile.open(archive, "w") as file:
        file.add(uv.find_uv_bin(), "uv")
    return archive


def _run(*command: str) -> tuple[str, ...]:
    return ("run", "--rm", "--network", "host", IMAGE, *command)
