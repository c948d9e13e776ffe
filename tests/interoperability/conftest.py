"""One small image of ours, pushed to a real registry, for others' tools to look at and to run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.main_job.machine import Account, expect, locked, make_account
from tests.registry.servers import PROGRAM, RealRegistry, running_registry

from wardian.image.library import Library, StoredImage
from wardian.store.store import Store

Need = Callable[[object, str], None]

ACCOUNTS = ("root", "plain") if os.geteuid() == 0 else ("plain",)
SPEC = """\
name = "fern"

[python]
packages = ["six"]

[system]
packages = ["bc"]

[env]
GREETING = "hello from the case"

[image]
entrypoint = ["python", "main.py"]
command = ["--all"]
ports = [8080, "53/udp"]
labels = { "com.example.team" = "re search" }
env = { PORT = "8080" }
"""
MAIN = """\
import os, subprocess, sys

import six

answer = subprocess.run(["bc"], input="6*7\\n", capture_output=True, text=True, check=True).stdout.strip()
user = f"{os.getuid()}:{os.getgid()}"
print("fern", answer, six.text_type("six"), user, os.getcwd(), os.environ["PORT"], *sys.argv[1:])
"""
SAID = "fern 42 six 1000:1000 /work 8080 --all\n"
FILES = {"wardian.toml": SPEC, "main.py": MAIN, "data/größe.txt": "42\n"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that is here builds, from the configured mirrors, in user namespaces."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.network)
            item.add_marker(pytest.mark.namespaces)
            item.add_marker(pytest.mark.slow)


@dataclass(frozen=True, kw_only=True)
class Fern:
    """The example as it was pushed: its name in the registry, what it is, and whose store has it."""

    name: str
    digest: str
    image: StoredImage
    account: Account
    folder: Path

    @property
    def library(self) -> Library:
        """The store that it was built in."""
        return Library(Store.open(self.account.store))

    @property
    def identity(self) -> str:
        """The configuration's digest, which engines call the image's id."""
        return str(self.image.manifest.config.digest)

    @property
    def configuration(self) -> dict[str, Any]:
        """The configuration's JSON."""
        found: dict[str, Any] = json.loads(self.image.configuration.encode())
        return found


@pytest.fixture(scope="session")
def accounts(session_root: Path) -> dict[str, Account]:
    """Who can build here, by name."""
    return {name: make_account(session_root, name) for name in ACCOUNTS}


@pytest.fixture(scope="session")
def builder(accounts: dict[str, Account]) -> Account:
    """Who builds what others look at."""
    return accounts[ACCOUNTS[0]]


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, need: Need) -> Iterator[RealRegistry]:
    """A registry of this worker's."""
    need(os.path.exists(PROGRAM), "docker-registry is not installed")
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def fern(builder: Account, session_root: Path, registry: RealRegistry) -> Fern:
    """The example, built once for all workers, in this worker's registry."""
    name = f"{registry.host}/cases/fern:1.0"
    with locked(session_root / "interoperability.lock"):
        folder = builder.home / "projects/fern"
        files = {path: folder / path for path in FILES}
        if any(not path.exists() or path.read_text() != FILES[name] for name, path in files.items()):
            folder = builder.project("fern", FILES)
        pushed = expect(builder.wardian("push", "--json", name, cwd=folder), json_output=True)
    library = Library(Store.open(builder.store))
    image = library.resolve("fern")
    assert str(image.descriptor.digest) == pushed["digest"]
    return Fern(name=name, digest=pushed["digest"], image=image, account=builder, folder=folder)
