"""A registry of the bench's own on loopback, and what its folder tells of pushes: bytes and image sizes."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure import BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping

_START_LIMIT = 15.0  # seconds
_TYPES = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """A running docker-registry with an empty folder; a context manager."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._process: subprocess.Popen[bytes] | None = None
        self.host = ""

    def __enter__(self) -> Registry:
        self._work.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{probe.getsockname()[1]}"
        settings = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self._work / "data")}},
            "http": {"addr": self.host},
        }
        (self._work / "config.yml").write_text(json.dumps(settings))  # YAML reads JSON
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(self._work / "config.yml")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + _START_LIMIT
        while True:
            try:
                with urllib.request.urlopen(f"http://{self.host}/v2/", timeout=1):
                    return self
            except OSError as error:
                if time.monotonic() > end:
                    self.__exit__()
                    raise BenchError("docker-registry does not start") from error
            time.sleep(0.05)  # it has no other sign of being ready

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def bytes(self) -> int:
        """What all blobs hold."""
        return sum(path.stat().st_size for path in (self._work / "data").rglob("data") if path.is_file())

    def packed(self, name: str) -> float:
        """The layers of `name` as they travel, in MB."""
        return sum(int(layer["size"]) for layer in self._manifest(name)["layers"]) / 1e6

    def unpacked(self, name: str) -> float:
        """What the files of all layers of `name` hold, in MB, counted as Docker does: layer by layer."""
        total = 0
        for layer in self._manifest(name)["layers"]:
            digest = layer["digest"].partition(":")[2]
            path = self._work / f"data/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
            with gzip.open(path) as plain, tarfile.open(fileobj=plain, mode="r|") as archive:
                total += sum(member.size for member in archive if member.isreg())
        return total / 1e6

    def _manifest(self, name: str) -> Mapping[str, Any]:
        repository, _, tag = name.partition(":")
        address = f"http://{self.host}/v2/{repository}/manifests/{tag}"
        request = urllib.request.Request(address, headers={"Accept": _TYPES})
        with urllib.request.urlopen(request, timeout=10) as answer:
            content: Mapping[str, Any] = json.load(answer)
        return content


def check() -> None:
    """Raise BenchError where there is no registry to push to."""
    if shutil.which("docker-registry", path=os.environ.get("PATH", os.defpath)) is None:
        raise BenchError("pushes need docker-registry: `apt-get install docker-registry`, or leave them out")
