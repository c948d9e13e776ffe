"""Locking: what makes a lock stale, what it keeps, what it refuses."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import SIX
from .machine import Account, expect, refused


def _versions(folder: Path, platform: str = "linux/amd64") -> dict[str, str]:
    lock = tomllib.loads((folder / "wardian.lock").read_text())["platform"][platform]
    return {package["name"]: package["version"] for package in lock["python"]["packages"]}


@pytest.fixture
def locked(project: Callable[..., Path], plain: Account) -> Path:
    """A small project with its lock."""
    folder = project({"wardian.toml": SIX})
    expect(plain.wardian("lock", cwd=folder))
    return folder


def test_locking_again_changes_nothing(locked: Path, plain: Account) -> None:
    before = (locked / "wardian.lock").stat()
    result = expect(plain.wardian("lock", "--json", cwd=locked), json_output=True)
    assert result["changes"] == []
    after = (locked / "wardian.lock").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    expect(plain.wardian("lock", "--check", cwd=locked))


def test_a_stale_lock_is_noticed_and_brought_up_to_date(locked: Path, plain: Account) -> None:
    before = (locked / "wardian.lock").read_text()
    (locked / "wardian.toml").write_text('[python]\npackages = ["six", "toolz"]\n')
    for words in (["lock", "--check"], ["build", "--locked"], ["run", "--locked", "--", "true"]):
        said = refused(plain.wardian(*words, cwd=locked))
        assert "wardian.lock is stale: it was made from another spec" in said
        assert "hint: run `wardian lock`" in said
    assert (locked / "wardian.lock").read_text() == before
    assert expect(plain.wardian("lock", "--check", "--json", cwd=locked), 1).stdout.startswith("{")
    expect(plain.wardian("lock", cwd=locked))
    assert set(_versions(locked)) == {"six", "toolz"}


def test_what_does_not_affect_packages_leaves_the_lock_fresh(locked: Path, plain: Account) -> None:
    text = 'name = "other"\n# a comment\n[env]\nA = "1"\n[tasks]\nt = "true"\n' + SIX
    (locked / "wardian.toml").write_text(text)
    expect(plain.wardian("lock", "--check", cwd=locked))


def test_a_requirement_file_counts(project: Callable[..., Path], plain: Account) -> None:
    folder = project({"requirements.txt": "six\n"})
    expect(plain.wardian("lock", cwd=folder))
    (folder / "requirements.txt").write_text("# comment\n\nsix\n")
    expect(plain.wardian("lock", "--check", cwd=folder))
    (folder / "requirements.txt").write_text("six>1\n")
    refused(plain.wardian("lock", "--check", cwd=folder))


def test_without_a_lock(project: Callable[..., Path], plain: Account) -> None:
    folder = project({"wardian.toml": SIX})
    assert "there is no " in refused(plain.wardian("lock", "--check", cwd=folder))
    assert "there is no " in refused(plain.wardian("build", "--locked", cwd=folder))
    assert not (folder / "wardian.lock").exists()


def test_versions_that_fit_are_kept_until_an_upgrade(project: Callable[..., Path], plain: Account) -> None:
    folder = project({"wardian.toml": '[python]\npackages = ["six==1.16.0", "toolz==0.12.0"]\n'})
    expect(plain.wardian("lock", cwd=folder))
    (folder / "wardian.toml").write_text('[python]\npackages = ["six", "toolz", "wheel"]\n')
    expect(plain.wardian("lock", cwd=folder))
    assert (_versions(folder)["six"], _versions(folder)["toolz"]) == ("1.16.0", "0.12.0")
    expect(plain.wardian("lock", "--upgrade", "six", cwd=folder))
    assert _versions(folder)["six"] != "1.16.0"
    assert _versions(folder)["toolz"] == "0.12.0"
    expect(plain.wardian("lock", "--upgrade", cwd=folder))
    assert _versions(folder)["toolz"] != "0.12.0"


def test_a_lock_edited_by_hand(locked: Path, plain: Account) -> None:
    lock = locked / "wardian.lock"
    fresh = lock.read_text()
    edited = re.sub(r'(name = "six", version = ")[^"]+', r"\g<1>9.9", fresh)
    assert edited != fresh
    lock.write_text(edited)
    for words in (["lock", "--check"], ["build", "--locked"]):
        said = refused(plain.wardian(*words, cwd=locked))
        assert "wardian.lock was changed by hand or damaged: its checksum does not fit" in said
        assert "hint: run `wardian lock`" in said
    assert lock.read_text() == edited
    expect(plain.wardian("lock", cwd=locked))
    assert lock.read_text() == fresh


@pytest.mark.parametrize("text", ["", "not toml [", "version = 1\n", "\x00\x01"])
def test_a_lock_that_is_none(locked: Path, plain: Account, text: str) -> None:
    (locked / "wardian.lock").write_text(text)
    assert "wardian.lock" in refused(plain.wardian("build", "--locked", cwd=locked))
    expect(plain.wardian("lock", cwd=locked))
    expect(plain.wardian("lock", "--check", cwd=locked))


@pytest.mark.parametrize(
    "words", [["lock"], ["lock", "--check"], ["build"], ["run", "--", "true"], ["add", "toolz"]]
)
def test_a_lock_of_a_newer_version_is_left_alone(locked: Path, plain: Account, words: list[str]) -> None:
    lock = locked / "wardian.lock"
    newer = lock.read_text().replace("version = 1", "version = 99", 1)
    lock.write_text(newer)
    spec = (locked / "wardian.toml").read_text()
    said = refused(plain.wardian(*words, cwd=locked))
    assert "was written by a newer wardian (lock version 99, this one knows 1)" in said
    assert "hint: upgrade wardian" in said
    assert lock.read_text() == newer
    assert (locked / "wardian.toml").read_text() == spec


def test_a_lock_with_a_hostile_path(locked: Path, plain: Account) -> None:
    lock = locked / "wardian.lock"
    text = re.sub(r'path = "pool/[^"]+"', 'path = "../../../etc/passwd"', lock.read_text(), count=1)
    rest = re.sub(r'^checksum = "[^"]*"\n', "", text, flags=re.M)
    digest = hashlib.sha256(rest.encode()).hexdigest()
    lock.write_text(re.sub(r'^checksum = "[^"]*"', f'checksum = "sha256:{digest}"', text, flags=re.M))
    said = refused(plain.wardian("build", "--locked", cwd=locked))
    assert "is no lock that wardian wrote" in said
    assert "'../../../etc/passwd' is no path" in said


def test_an_unknown_debian_package(locked: Path, plain: Account) -> None:
    before = (locked / "wardian.toml").read_text(), (locked / "wardian.lock").read_text()
    said = refused(plain.wardian("add", "--system", "graphvis", cwd=locked))
    assert "graphvis" in said
    assert "graphviz" in said[said.index("hint: ") :]
    assert ((locked / "wardian.toml").read_text(), (locked / "wardian.lock").read_text()) == before


def test_an_unknown_python_package(locked: Path, plain: Account) -> None:
    before = (locked / "wardian.toml").read_text(), (locked / "wardian.lock").read_text()
    said = refused(plain.wardian("add", "pandsa", cwd=locked))
    assert "pandsa" in said
    assert "pandas" in said[said.index("hint: ") :]
    assert "://" not in said
    assert ((locked / "wardian.toml").read_text(), (locked / "wardian.lock").read_text()) == before


def test_requirements_that_conflict(project: Callable[..., Path], plain: Account) -> None:
    folder = project({"wardian.toml": '[python]\npackages = ["six==1.16.0", "six>=1.17"]\n'})
    said = refused(plain.wardian("build", cwd=folder))
    assert "six==1.16.0" in said
    assert "six>=1.17" in said
    assert len(said) < 1500
    assert not (folder / "wardian.lock").exists()


def test_debian_packages_that_conflict(project: Callable[..., Path], plain: Account) -> None:
    folder = project({"wardian.toml": '[system]\npackages = ["exim4-daemon-light", "postfix"]\n'})
    said = refused(plain.wardian("lock", cwd=folder))
    assert "exim4" in said
    assert "postfix" in said
    assert len(said) < 2500
    assert not (folder / "wardian.lock").exists()


def test_a_version_that_is_not_there(project: Callable[..., Path], plain: Account) -> None:
    folder = project({"wardian.toml": '[system]\npackages = ["tree=9.9"]\n'})
    said = refused(plain.wardian("lock", cwd=folder))
    assert "Debian package tree has no version 9.9" in said
    assert "hint: there is " in said


def test_a_wrong_spec_is_told_with_its_place(project: Callable[..., Path], plain: Account) -> None:
    folder = project({"wardian.toml": 'name = "x"\n\n[python]\npackges = ["six"]\n'})
    said = refused(plain.wardian("lock", cwd=folder))
    assert "wardian.toml:4: python.packges: unknown key" in said
    assert "packages" in said


def test_another_architecture_is_locked_without_running_it(
    project: Callable[..., Path], plain: Account
) -> None:
    folder = project({"wardian.toml": '[python]\npackages = ["markupsafe"]\n[system]\npackages = ["file"]\n'})
    result = expect(
        plain.wardian("lock", "--platform", "linux/arm64", "--json", cwd=folder), json_output=True
    )
    assert result["platforms"] == ["linux/amd64", "linux/arm64"]
    tables = tomllib.loads((folder / "wardian.lock").read_text())["platform"]
    for platform, debian, tag in (("linux/amd64", "amd64", "x86_64"), ("linux/arm64", "arm64", "aarch64")):
        packages = tables[platform]["debian"]["packages"]
        assert {package["architecture"] for package in packages} == {debian, "all"}
        assert any(package["name"] == "file" for package in packages)
        assert [tag in package["file"] for package in tables[platform]["python"]["packages"]] == [True]
    expect(plain.wardian("lock", "--check", cwd=folder))
    image = plain.build(folder)
    assert image["platform"] == "linux/amd64"
    # It stays locked when more is added.
    expect(plain.wardian("add", "six", cwd=folder))
    assert set(tomllib.loads((folder / "wardian.lock").read_text())["platform"]) == {
        "linux/amd64",
        "linux/arm64",
    }


def test_only_another_architecture_cannot_be_built(project: Callable[..., Path], plain: Account) -> None:
    folder = project({"wardian.toml": 'platforms = ["linux/arm64"]\n' + SIX})
    expect(plain.wardian("lock", cwd=folder))
    said = refused(plain.wardian("build", cwd=folder))
    assert "the spec's platforms do not include this machine's, linux/amd64" in said


def test_an_unknown_platform(locked: Path, plain: Account) -> None:
    assert "linux/z80" in refused(plain.wardian("lock", "--platform", "linux/z80", cwd=locked))
