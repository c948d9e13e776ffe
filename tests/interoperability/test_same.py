"""The same lock gives the same image, byte for byte, whoever builds it, where and how; which is checked."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.main_job.machine import Account, expect, refused

from wardian.image.library import Library, StoredImage
from wardian.store.store import Store

from .conftest import FILES, SPEC

_SPEC = SPEC.replace('"fern"', '"same"')
_FILES = {**FILES, "wardian.toml": _SPEC, "tool": "#!/bin/sh\n", "deep/er/x.txt": "x\n"}


def _inspect(account: Account, folder: Path, **options: Any) -> dict[str, Any]:
    """The project's image, built and packed."""
    found: dict[str, Any] = expect(
        account.wardian("image", "inspect", "--json", cwd=folder, **options), json_output=True
    )
    return found


@pytest.fixture(scope="module")
def made(builder: Account) -> tuple[Path, dict[str, Any]]:
    """A project folder, and the image that it gives."""
    folder = builder.project(f"same-{os.getpid()}", _FILES)
    (folder / "tool").chmod(0o755)
    return folder, _inspect(builder, folder)


@pytest.fixture
def elsewhere(accounts: dict[str, Account]) -> Iterator[Account]:
    """Somebody else with a new store, another home, language, time zone and temporary folder."""
    account = accounts["plain"]
    folder = account.home / f"elsewhere, ünï-{os.getpid()}"
    account.own_folder(folder)
    yield account.having(
        HOME=str(folder),
        WARDIAN_HOME=str(folder / "store"),
        TMPDIR=str(folder),
        TZ="Asia/Tokyo",
        LANG="tr_TR.UTF-8",
        LC_ALL="C",
        PYTHONHASHSEED="7",
        SOURCE_DATE_EPOCH="1",
    )
    shutil.rmtree(folder, ignore_errors=True)


def test_whoever_builds(made: tuple[Path, dict[str, Any]], elsewhere: Account, need: Any) -> None:
    need(shutil.which("taskset"), "taskset is not installed (util-linux)")
    folder = Path(elsewhere.variables["HOME"], "another", "folder")
    shutil.copytree(made[0], folder, copy_function=shutil.copyfile)  # other times, other modes
    (folder / "tool").chmod(0o700)
    (folder / "main.py").chmod(0o600)
    elsewhere.own(folder.parent)
    command = ["/usr/bin/taskset", "--cpu-list", str(min(os.sched_getaffinity(0))), str(elsewhere.program)]
    result = elsewhere.execute([*command, "image", "inspect", "--json"], cwd=folder, umask=0o077)
    seen = expect(result, json_output=True)
    assert seen["layers"] == made[1]["layers"]
    assert seen["config"] == made[1]["config"]
    assert seen == made[1]


def test_nothing_in_it_is_newer_than_what_was_locked(
    builder: Account, made: tuple[Path, dict[str, Any]]
) -> None:
    """The clock of whoever builds leaves no trace: the latest time is that of the locked archive."""
    library = Library(Store.open(builder.store))
    image = library.resolve(made[1]["name"])
    for member in _members(library, image):
        assert member.mtime <= _seconds(image.configuration.created), member.name


def _members(library: Library, image: StoredImage) -> Iterator[tarfile.TarInfo]:
    for layer in image.manifest.layers:
        with tarfile.open(library.blob(layer.digest)) as archive:
            yield from archive


def _seconds(time: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(time).timestamp()


def test_building_twice_is_compared(elsewhere: Account) -> None:
    folder = Path(elsewhere.variables["HOME"], "twice")
    folder.mkdir()
    for name, text in {"wardian.toml": _SPEC, "main.py": "print()\n"}.items():
        (folder / name).write_text(text)
    elsewhere.own(folder)
    built = expect(elsewhere.wardian("build", "--json", cwd=folder), json_output=True)
    _tamper(elsewhere.snapshots(built)["python"])
    said = refused(elsewhere.wardian("build", "--verify", cwd=folder))
    path = r"opt/venv/lib/python3\.\d+/site-packages/six\.py"
    assert re.match(
        rf"error: same:latest built twice is not the same: {path} in the layer '.*': "
        "its content differs from byte 0 on\n\nhint: ",
        said,
    )


def _tamper(snapshot: Path) -> None:
    """Change a byte of a file in the store, before the layers are packed."""
    path = next(snapshot.rglob("six.py"))
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    status = path.stat()
    path.unlink()  # it is linked to a cache, which is to stay as it is
    path.write_bytes(data)
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_building_twice_gives_the_same(builder: Account, made: tuple[Path, dict[str, Any]]) -> None:
    result = expect(builder.wardian("build", "--verify", "--json", cwd=made[0]), json_output=True)
    digest = made[1]["manifest"]["digest"]
    assert result == {"name": made[1]["name"], "digest": digest, "difference": None}
