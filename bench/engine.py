"""The peer's engine: a Docker daemon of the bench's own, on a socket and in folders of its own.

It has no bridge and no packet filter rules, so nothing of the machine's network changes: builds and runs
use the host's network.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from bench import measure
from bench.measure import BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Debian's own command: another `docker` earlier on PATH may be anything.
_DOCKER = "/usr/bin/docker"
_NEEDED = (_DOCKER, "/usr/sbin/dockerd", "/usr/bin/mmdebstrap")
_START_LIMIT = 30.0  # seconds; it takes two on a quiet machine
_STOP_LIMIT = 20.0


class Engine:
    """A running daemon; a context manager. Needs root."""

    def __init__(self, work: Path) -> None:
        self._work = work
        work.mkdir(parents=True)
        self._log = (work / "dockerd.log").open("wb")
        self._daemon: subprocess.Popen[bytes] | None = None
        self.environment: Mapping[str, str] = {
            **os.environ,
            "DOCKER_HOST": f"unix://{work}/docker.sock",
            "DOCKER_CONFIG": str(work / "config"),
            "DOCKER_BUILDKIT": "1",
            "BUILDKIT_PROGRESS": "plain",
        }

    def __enter__(self) -> Engine:
        work = self._work
        self._daemon = subprocess.Popen(
            [
                "/usr/sbin/dockerd",
                *("--data-root", f"{work}/data", "--exec-root", f"{work}/exec"),
                *("--pidfile", f"{work}/docker.pid", "-H", f"unix://{work}/docker.sock"),
                *("--bridge", "none", "--iptables=false", "--ip6tables=false"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    @property
    def process(self) -> int:
        """The daemon's process id."""
        assert self._daemon is not None  # only asked for while entered
        return self._daemon.pid

    def docker(self, *arguments: str, folder: Path | None = None) -> measure.Timing:
        """Run the client; raises BenchError."""
        return measure.run([_DOCKER, *arguments], environment=self.environment, folder=folder)

    def start(self, *arguments: str, folder: Path) -> subprocess.Popen[bytes]:
        """Start the client, quiet."""
        return subprocess.Popen(
            [_DOCKER, *arguments],
            env=self.environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _wait(self) -> None:
        end = time.monotonic() + _START_LIMIT
        while True:
            try:
                self.docker("version")
                return
            except BenchError as error:
                ended = self._daemon is not None and self._daemon.poll() is not None
                if ended or time.monotonic() > end:
                    raise BenchError(f"dockerd does not start:\n{self._told()}") from error
            time.sleep(0.2)  # it has no other sign of being ready

    def _told(self) -> str:
        return "\n".join((self._work / "dockerd.log").read_text(errors="replace").splitlines()[-10:])

    def _stop(self) -> None:
        daemon = self._daemon
        if daemon is not None and daemon.poll() is None:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(_STOP_LIMIT)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        # Runs on the host's network leave the name of its namespace mounted, also after a good end.
        with contextlib.suppress(BenchError):
            measure.run(["umount", f"{self._work}/exec/netns/default"], environment=self.environment)
        self._log.close()


def check() -> None:
    """Raise BenchError where the peer cannot run."""
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        raise BenchError(
            f"the peer needs {', '.join(missing)}: `apt-get install docker.io mmdebstrap`, or --skip-peer"
        )
    if os.geteuid() != 0:
        raise BenchError("the peer's daemon needs root: run the bench as root, or with --skip-peer")
