"""Whose lock is written, read, refused and left alone. Nothing is resolved here: the network is away."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from wardian import Project, RunRequest
from wardian.api import preparation, warm
from wardian.api.lockfile import LockFile
from wardian.api.preparation import _moment, _script_lock
from wardian.ecosystems.python.model import Interpreter, PythonLock, PythonPackage
from wardian.errors import (
    DamagedLockError,
    FetchError,
    LockError,
    NewerLockError,
    ResolveError,
    SpecError,
    StaleLockError,
    UserError,
)
from wardian.lock.model import Lock
from wardian.lock.text import read_lock, write_lock

from .conftest import HOST, OTHER, SPEC, part

COMMAND = RunRequest(target=None, arguments=("true",))
VERBS: dict[str, Callable[[Project], object]] = {
    "build": lambda project: project.build(),
    "run": lambda project: project.run(COMMAND),
    "add": lambda project: project.add(system=["file"]),
    "remove": lambda project: project.remove(system=["tree"]),
}


def damage(text: str, how: str) -> bytes:
    if how == "edited":
        return text.replace("2.2.1-1", "9.9.9-9").encode()
    if how == "in conflict":
        return f"<<<<<<< ours\n{text}=======\n{text}>>>>>>> theirs\n".encode()
    return {"empty": b"", "cut off": text[:200].encode(), "binary": b"\xff\x00"}[how]


@pytest.mark.parametrize("how", ["edited", "in conflict", "empty", "cut off", "binary"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_damaged_lock_is_an_error_and_stays(
    folder: Path, lock: Callable[..., str], opened: Callable[..., Project], verb: str, how: str
) -> None:
    damaged = damage(lock(), how)
    (folder / "wardian.lock").write_bytes(damaged)
    with pytest.raises(DamagedLockError) as caught:
        VERBS[verb](opened())
    assert caught.value.exit_status == 1
    assert caught.value.hint == "run `wardian lock` to write it anew"
    assert (folder / "wardian.lock").read_bytes() == damaged
    assert (folder / "wardian.toml").read_text() == SPEC


def test_locking_itself_may_write_a_damaged_lock_anew(
    folder: Path, lock: Callable[..., str], opened: Callable[..., Project]
) -> None:
    damaged = damage(lock(), "edited")
    (folder / "wardian.lock").write_bytes(damaged)
    with pytest.raises(UserError) as caught:  # it gets as far as the archive, which is away
        opened().lock()
    assert isinstance(caught.value, FetchError)
    assert (folder / "wardian.lock").read_bytes() == damaged
    file = LockFile(folder / "wardian.lock", folder)
    told: list[str] = []
    assert file.read_or_discard(told.append) is None
    assert told == [
        f"{folder}/wardian.lock was changed by hand or damaged: its checksum does not fit; resolving anew"
    ]


@pytest.mark.parametrize("verb", [*VERBS, "lock"])
def test_a_newer_lock_is_left_alone(
    folder: Path, lock: Callable[..., str], opened: Callable[..., Project], verb: str
) -> None:
    newer = lock().replace("version = 1\n", "version = 2\n", 1)
    (folder / "wardian.lock").write_text(newer)
    with pytest.raises(NewerLockError, match="by a newer wardian"):
        {**VERBS, "lock": lambda project: project.lock()}[verb](opened())
    assert (folder / "wardian.lock").read_text() == newer
    assert (folder / "wardian.toml").read_text() == SPEC


def test_the_word_newer_in_a_path_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "newer" / "wardian.lock"
    path.parent.mkdir()
    path.write_text("not toml [")
    assert LockFile(path, path.parent).read_or_discard(lambda _: None) is None


def test_a_stale_lock_is_resolved_again(lock: Callable[..., str], opened: Callable[..., Project]) -> None:
    lock(fits=False)
    with pytest.raises(StaleLockError, match="it was made from another spec"):
        opened().check_lock()
    with pytest.raises(StaleLockError):
        opened(locked=True).build()
    with pytest.raises(FetchError):
        opened().build()


def test_platforms(folder: Path, lock: Callable[..., str], opened: Callable[..., Project]) -> None:
    lock(OTHER)
    with pytest.raises(StaleLockError, match=f"is stale: it lacks {HOST}"):
        opened(locked=True).build()
    (folder / "wardian.toml").write_text(f'platforms = ["{OTHER}"]\n{SPEC}')
    lock(OTHER)
    for locked in (True, False):
        with pytest.raises(SpecError, match=f"platforms do not include this machine's, {HOST}") as caught:
            opened(locked=locked).build()
        assert caught.value.hint == f"add {HOST} to platforms"
    (folder / "wardian.lock").unlink()
    with pytest.raises(SpecError, match="do not include this machine's"):  # before anything is resolved
        opened().build()


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "0001-01-01T00:00:00+23:00"])
def test_a_date_that_is_none(opened: Callable[..., Project], text: str) -> None:
    with pytest.raises(LockError, match="is no date to lock as of"):
        opened().lock(as_of=text)


@pytest.mark.parametrize("text", ["9999-12-31", "9999-12-31T23:59:59Z"])
def test_a_date_to_come_is_none(opened: Callable[..., Project], text: str) -> None:
    with pytest.raises(LockError, match=f"'{text}' is no date to lock as of: it is still to come"):
        opened().lock(as_of=text)


def test_a_date_is_in_utc() -> None:
    assert _moment("2026-01-31T02:00:00+05:00").isoformat() == "2026-01-30T21:00:00+00:00"
    assert _moment("2026-01-31").isoformat() == "2026-01-31T00:00:00+00:00"


def test_a_link_out_of_the_project_is_refused(
    folder: Path, tmp_path: Path, lock: Callable[..., str], opened: Callable[..., Project]
) -> None:
    text = lock()
    for target in (tmp_path / "secret", tmp_path / "missing", tmp_path / "project-beside"):
        if target.name != "missing":
            target.write_text(text)
        (folder / "wardian.lock").unlink()
        (folder / "wardian.lock").symlink_to(os.path.relpath(target, folder))
        for verb in (*VERBS.values(), lambda project: project.lock(), lambda project: project.check_lock()):
            with pytest.raises(LockError, match=f"is a link that leads out of the project, to {target}"):
                verb(opened())
        with pytest.raises(LockError, match="leads out"):
            LockFile(folder / "wardian.lock", folder).write(read_lock(folder / "wardian.lock"))  # type: ignore[arg-type]
        assert target.name == "missing" or target.read_text() == text
    assert not (tmp_path / "missing").exists()


def test_a_link_within_the_project_is_followed(
    folder: Path, lock: Callable[..., str], opened: Callable[..., Project]
) -> None:
    text = lock()
    (folder / "locks").mkdir()
    (folder / "wardian.lock").rename(folder / "locks/a.lock")
    (folder / "wardian.lock").symlink_to("locks/a.lock")
    opened().check_lock()
    file = LockFile(folder / "wardian.lock", folder)
    content = file.read()
    assert content is not None
    file.write(content)
    assert (folder / "wardian.lock").is_symlink()
    assert (folder / "locks/a.lock").read_text() == text


def test_a_scripts_lock_may_not_lead_out_either(
    folder: Path, tmp_path: Path, opened: Callable[..., Project]
) -> None:
    (folder / "a.py").write_text("# /// script\n# dependencies = []\n# ///\n")
    (folder / "a.wardian.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LockError, match=r"a\.wardian\.lock is a link that leads out of the project"):
        opened().run(RunRequest(target="a.py"))


def test_a_script_and_a_notebook_of_one_name_have_a_lock_each(folder: Path) -> None:
    names = [
        _script_lock(folder / name).name for name in ("train.py", "train.ipynb", "v1.2.py", "v1.2.ipynb")
    ]
    assert names == [
        "train.wardian.lock",
        "train.ipynb.wardian.lock",
        "v1.2.wardian.lock",
        "v1.2.ipynb.wardian.lock",
    ]


def test_the_state_of_a_lock_is_that_of_what_was_read(folder: Path, lock: Callable[..., str]) -> None:
    lock()
    path = str(folder / "wardian.lock")
    file = LockFile(Path(path), folder)
    content = file.read()
    assert content is not None
    assert file.state == {path: warm.state(path)}
    lock()  # by somebody else, while a build is under way
    os.utime(path, (1, 1))
    assert file.state != {path: warm.state(path)}
    file.write(content)
    assert file.state == {path: warm.state(path)}


@pytest.mark.parametrize(
    ("files", "message", "is_inferred"),
    [
        ({"a.py": "import six"}, "there is no package 'six'", True),
        ({"a.py": "import six", "apt.txt": "graphvis\n"}, "no Debian package is called 'graphvis'", False),
        ({"a.py": "import six", "requirements.txt": "six\n"}, "there is no package 'six'", False),
        ({}, "numpy does not fit", False),
    ],
)
def test_a_failure_names_inference_where_it_is_about_what_was_inferred(
    folder: Path,
    opened: Callable[..., Project],
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    message: str,
    is_inferred: bool,
) -> None:
    (folder / "wardian.toml").unlink()
    for name, text in files.items():
        (folder / name).write_text(text)

    def fail(*_: object, **__: object) -> None:
        raise ResolveError(message, hint="did you mean another?")

    monkeypatch.setattr(preparation, "resolve_lock", fail)
    with pytest.raises(ResolveError) as caught:
        opened().lock()
    assert (caught.value.hint != "did you mean another?") == is_inferred


# --- names to upgrade ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [("pandsa", "did you mean pandas?"), ("tre", "did you mean tree?"), ("qqq", "name a package that is in")],
)
def test_a_name_to_upgrade_that_nothing_has(
    folder: Path, lock: Callable[..., str], opened: Callable[..., Project], name: str, hint: str
) -> None:
    (folder / "wardian.toml").write_text(f'{SPEC}[python]\npackages = ["Pandas>=2"]\n')
    locked = lock()
    with pytest.raises(LockError) as caught:
        opened().lock(upgrade=["tree", name])
    assert caught.value.exit_status == 1
    assert caught.value.message == (
        f"cannot upgrade {name!r}: no package of that name is locked or asked for"
    )
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)
    assert (folder / "wardian.lock").read_text() == locked
    (folder / "wardian.lock").unlink()
    with pytest.raises(UserError) as other:  # any package may come to be locked: the archive is asked
        opened().lock(upgrade=[name])
    assert not isinstance(other.value, LockError)


@pytest.mark.parametrize("name", ["tree", "file", "PANDAS", "six", "python", "toolz", "Ipy_Kernel"])
def test_names_to_upgrade(folder: Path, opened: Callable[..., Project], name: str) -> None:
    """Locked, asked for, or of the workbench; Python's names in any spelling."""
    (folder / "wardian.toml").write_text(
        '[system]\npackages = ["file=1:5.46-5"]\n[python]\npackages = ["pandas[plot]>=2"]\n'
        'requirements = ["r.txt"]\n'
    )
    (folder / "r.txt").write_text(f"six==1.17.0 --hash=sha256:{'ab' * 32}\n")
    python = PythonLock(
        interpreter=Interpreter(version="3.13.5", source="debian"),
        packages=(python_package("toolz"),),
        workbench=(python_package("ipy-kernel"),),
    )
    made = Lock(spec=f"sha256:{'0' * 64}", platforms=(replace(part(), python=python),))
    (folder / "wardian.lock").write_text(write_lock(made))
    with pytest.raises(UserError) as caught:  # it gets as far as the archive or the index, which is away
        opened().lock(upgrade=[name])
    assert not isinstance(caught.value, LockError)


def python_package(name: str) -> PythonPackage:
    return PythonPackage(
        name=name,
        version="1.0",
        file=f"{name.replace('-', '_')}-1.0-py3-none-any.whl",
        size=1,
        sha256="ab" * 32,
    )
