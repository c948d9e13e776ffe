"""What tests of all rooms share: missing parts that fail in CI, and a folder common to all workers."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

pytest_plugins = ("tests.engines",)

# Set by .ci/run: there a part that is missing is a failure, not a reason to skip.
REQUIRED = os.environ.get("WARDIAN_TEST_REQUIRE") == "1"
# A folder that outlives the session, so that a developer's next session finds parts built already.
KEPT_ROOT = "WARDIAN_TEST_ROOT"
SESSION = "WARDIAN_TEST_SESSION"  # names this session, for what a kept folder has to have anew
_ROOT = pytest.StashKey[Path]()


def _need(part: object, reason: str) -> None:
    """Skip the test where `part` is missing (false); in CI, fail it."""
    if not part:
        _give_up(reason)


def _give_up(reason: str) -> NoReturn:
    if REQUIRED:
        pytest.fail(f"missing here, and CI has to have it: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def need() -> Callable[[object, str], None]:
    """`need(part, reason)`: skip where `part` is missing (false); in CI, fail."""
    return _need


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Turn the skips of all rooms into failures in CI, save those that say that they are optional."""
    report = yield
    if REQUIRED and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if "optional" not in reason:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: a part is missing here, and CI has to have it: {reason}"
    return report


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: the time in an archive would name a test otherwise in every process."""
    return argname if isinstance(val, bytes) else None


def pytest_configure(config: pytest.Config) -> None:
    """Make the session's folder, once: workers (pytest-xdist) are told its path."""
    # Named, it may be another user's to write; of its default place hypothesis warns then, which fails tests.
    examples = DirectoryBasedExampleDatabase(config.rootpath / ".hypothesis/examples")
    settings.register_profile("wardian", database=examples)
    settings.load_profile("wardian")
    if hasattr(config, "workerinput"):
        config.stash[_ROOT] = Path(config.workerinput["wardian_root"])
        return
    os.environ[SESSION] = str(os.getpid())  # workers inherit it
    if kept := os.environ.get(KEPT_ROOT):
        config.stash[_ROOT] = Path(kept)
        config.stash[_ROOT].mkdir(parents=True, exist_ok=True)
    else:
        config.stash[_ROOT] = Path(tempfile.mkdtemp(prefix="wardian-tests-"))
    # Other users work in folders of their own below it.
    config.stash[_ROOT].chmod(0o755)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell a worker the session's folder."""
    node.workerinput["wardian_root"] = str(node.config.stash[_ROOT])  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the session's folder; overlays leave folders in it that nobody may read."""
    if hasattr(config, "workerinput") or os.environ.get(KEPT_ROOT) or _ROOT not in config.stash:
        return
    for parent, folders, _ in os.walk(config.stash[_ROOT]):
        for name in folders:
            path = os.path.join(parent, name)
            if not os.path.islink(path) and os.stat(path).st_mode & stat.S_IRWXU != stat.S_IRWXU:
                os.chmod(path, 0o700)
    shutil.rmtree(config.stash[_ROOT])


@pytest.fixture(scope="session")
def session_root(pytestconfig: pytest.Config) -> Path:
    """A folder common to all workers of this session, removed at its end; others may enter it."""
    return pytestconfig.stash[_ROOT]
