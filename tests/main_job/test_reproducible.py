"""Same lock, same bytes: whoever builds, wherever, by whatever way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .machine import Account, expect
from .trees import assert_same_images

pytestmark = pytest.mark.slow

SPEC = '[python]\npackages = ["six", "markupsafe"]\n[system]\npackages = ["file"]\n'


@pytest.fixture(scope="module")
def made(accounts: dict[str, Account], worker: str) -> tuple[Path, dict[str, Path]]:
    """A built project of the plain user's, and its parts."""
    plain = accounts["plain"]
    folder = plain.project(f"reproducible-{worker}", {"wardian.toml": SPEC})
    return folder, plain.snapshots(plain.build(folder))


def _again(account: Account, made: tuple[Path, dict[str, Path]], folder: Path, **options: object) -> None:
    """Build the same lock as another account, in another store and folder; nothing may differ."""
    for name in ("wardian.toml", "wardian.lock"):
        shutil.copyfile(made[0] / name, folder / name)
    account.own(folder)
    image = account.build(folder, **options)
    assert (folder / "wardian.lock").read_bytes() == (made[0] / "wardian.lock").read_bytes()
    assert_same_images(made[1], account.snapshots(image))


def test_root_and_a_plain_user_build_the_same_bytes(
    made: tuple[Path, dict[str, Path]], rooted: Account, project: Callable[..., Path]
) -> None:
    other = rooted.having(
        WARDIAN_HOME=str(rooted.home / "another/store, with odd ünï characters"),
        TZ="Asia/Tokyo",
        LANG="tr_TR.UTF-8",
        LC_ALL="C",
        PYTHONHASHSEED="7",
        SOURCE_DATE_EPOCH="0",
        DEBIAN_FRONTEND="readline",
        TMPDIR=str(rooted.home),
    )
    try:
        _again(other, made, project(user=other), umask=0o077)
    finally:
        shutil.rmtree(other.home / "another")


def test_a_group_writable_umask_changes_nothing(
    made: tuple[Path, dict[str, Path]], plain: Account, project: Callable[..., Path], folder_name: str
) -> None:
    other = plain.having(WARDIAN_HOME=str(plain.home / folder_name), TZ="America/New_York")
    try:
        _again(other, made, project(user=other), umask=0o002)
    finally:
        shutil.rmtree(other.store)


def test_a_system_package_added_later_gives_what_a_fresh_build_gives(
    plain: Account, project: Callable[..., Path], folder_name: str
) -> None:
    """The lock has one stage more then; a store that never saw the earlier stages builds the same."""
    folder = project({"wardian.toml": SPEC})
    plain.build(folder)
    expect(plain.wardian("add", "--system", "tree", "fonts-dejavu-core", cwd=folder))
    grown = plain.build(folder)
    assert {part["name"] for part in grown["reused"]} >= {"base", "system", "python"}
    other = plain.having(WARDIAN_HOME=str(plain.home / folder_name))
    try:
        _again(other, (folder, plain.snapshots(grown)), project(user=other, more="-fresh"))
    finally:
        shutil.rmtree(other.store)
