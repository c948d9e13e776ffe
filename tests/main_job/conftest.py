from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from .machine import STARTED, Account, expect, make_account

ACCOUNTS = ("root", "plain") if os.geteuid() == 0 else ("plain",)

# One small Python package and nothing of Debian's beyond the base.
SIX = '[python]\npackages = ["six"]\n'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that is here builds, from the configured mirrors, in user namespaces."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.network)
            item.add_marker(pytest.mark.namespaces)


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


@pytest.fixture(scope="session")
def accounts(session_root: Path, need: Callable[[object, str], None]) -> dict[str, Account]:
    """Who can run wardian here, by name."""
    return {name: make_account(session_root, name) for name in ACCOUNTS}


@pytest.fixture(scope="session")
def plain(accounts: dict[str, Account]) -> Account:
    """A user without any privilege."""
    return accounts["plain"]


@pytest.fixture
def rooted(accounts: dict[str, Account]) -> Account:
    """Root; only where the tests run as root."""
    if "root" not in accounts:
        pytest.skip("optional: only root can do this, and the tests run as a plain user")
    return accounts["root"]


@pytest.fixture(scope="session", params=ACCOUNTS)
def account(request: pytest.FixtureRequest, accounts: dict[str, Account]) -> Account:
    """Each of those who can run wardian here, in turn."""
    return accounts[request.param]


@pytest.fixture(scope="session")
def worker() -> str:
    """A name of this worker's own, for folders."""
    return os.environ.get("PYTEST_XDIST_WORKER", "alone")


@pytest.fixture
def folder_name(request: pytest.FixtureRequest, worker: str) -> str:
    """A name for this test's project folder."""
    kept = [letter if letter.isalnum() else "-" for letter in request.node.name]
    return f"{''.join(kept)[:60].strip('-').lower()}-{worker}"


@pytest.fixture
def project(plain: Account, folder_name: str) -> Callable[..., Path]:
    """Make a project folder of this test's own: `project({"wardian.toml": …}, user=…)`."""

    def make(files: Mapping[str, str] | None = None, *, user: Account = plain, more: str = "") -> Path:
        return user.project(folder_name + more, files)

    return make


@pytest.fixture
def wardian(plain: Account) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line to its end: `wardian("build", cwd=…, user=…, env=…, input=…)`."""

    def run(
        *words: str, cwd: Path, user: Account = plain, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        return user.wardian(*words, cwd=cwd, **options)

    return run


class Bench:
    """A built project, and commands in it."""

    def __init__(self, account: Account, folder: Path) -> None:
        self.account = account
        self.folder = folder

    def wardian(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run wardian in the project."""
        return self.account.wardian(*words, cwd=self.folder, **options)

    def run(self, *words: str, status: int = 0, **options: Any) -> str:
        """`wardian run WORDS…`, which has to end with that status; returns its standard output."""
        result: subprocess.CompletedProcess[str] = expect(self.wardian("run", *words, **options), status)
        return result.stdout

    def sh(self, script: str, *options: str, **more: Any) -> str:
        """What a shell script in the container prints; it has to succeed."""
        return self.run(*options, "--", "sh", "-c", script, **more)


def _bench(account: Account, worker: str) -> Bench:
    made = Bench(account, account.project(f"bench-{worker}", {"wardian.toml": SIX}))
    account.build(made.folder)
    return made


@pytest.fixture(scope="session")
def benches(worker: str) -> dict[str, Bench]:
    """What `bench` and `plain_bench` have built."""
    return {}


@pytest.fixture
def bench(account: Account, worker: str, benches: dict[str, Bench]) -> Bench:
    """A small project that is built, of each account in turn."""
    if account.name not in benches:
        benches[account.name] = _bench(account, worker)
    return benches[account.name]


@pytest.fixture
def plain_bench(plain: Account, worker: str, benches: dict[str, Bench]) -> Bench:
    """The plain user's small project that is built."""
    if "plain" not in benches:
        benches["plain"] = _bench(plain, worker)
    return benches["plain"]
