"""The public Python API, which the command line uses as well."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import SIX
from .machine import Account, expect

USE = """
import json, sys
import wardian

folder, home = sys.argv[1:]
project = wardian.Project.open(folder, home=home)
lock = project.lock()
image = project.build()
again = project.build()
try:
    wardian.Project.open(folder, home=home).run(wardian.RunRequest(target="absent"))
except wardian.WardianError as error:
    refused = [type(error).__name__, error.exit_status]
command = ("python", "-c", "import six; raise SystemExit(5)")
status = project.run(wardian.RunRequest(target=None, arguments=command))
print(json.dumps({
    "name": project.name, "spec": list(project.spec.python.packages), "lock": str(lock.path),
    "platforms": [str(each) for each in lock.platforms], "parts": [part.name for part in image.parts],
    "again": [part.reused for part in again.parts], "refused": refused, "status": status,
    "images": [record.name for record in wardian.images(home)],
    "pruned": wardian.prune(home, dry_run=True).bytes, "schema": sorted(wardian.schema()["properties"])[:2],
}))
"""


def test_a_project_is_opened_locked_built_and_run(plain: Account, project: Callable[..., Path]) -> None:
    folder = project({"wardian.toml": 'name = "mine"\n' + SIX})
    python = plain.program.resolve().parent / "python"
    result = plain.execute(
        [str(python), "-W", "error", "-c", USE, str(folder), str(plain.store)], cwd=plain.home
    )
    said = json.loads(expect(result).stdout)
    assert said["name"] == "mine"
    assert said["spec"] == ["six"]
    assert said["lock"] == str(folder / "wardian.lock")
    assert said["platforms"] == ["linux/amd64"]
    assert said["parts"] == ["base", "python"]
    assert said["again"] == [True, True]
    assert said["refused"] == ["RunError", 1]
    assert said["status"] == 5
    assert "mine" in said["images"]


def test_it_is_typed_and_installed_whole(plain: Account) -> None:
    import wardian

    assert set(wardian.__all__) >= {"Project", "Lock", "Image", "RunRequest"}
    found = list(plain.program.resolve().parent.parent.glob("lib/python*/site-packages/wardian/py.typed"))
    assert len(found) == 1
    keys = list(found[0].parent.glob("ecosystems/debian/keys/*.asc"))
    assert keys


def test_the_installed_command_tells_its_version_and_verbs(plain: Account) -> None:
    import wardian

    assert expect(plain.wardian("--version", cwd=plain.home)).stdout == f"wardian {wardian.__version__}\n"
    shown = expect(plain.wardian("--help", cwd=plain.home)).stdout
    for verb in ("init", "add", "remove", "lock", "build", "run", "shell", "ls", "prune", "doctor", "schema"):
        assert f"  {verb} " in shown
        assert "wardian " in expect(plain.wardian(verb, "--help", cwd=plain.home)).stdout


def test_the_plain_user_has_no_container_program(plain: Account) -> None:
    """The test of the tests: what the plain user's PATH holds."""
    if plain.uid == 0:
        pytest.skip("optional: there is only root")
    search = plain.variables["PATH"]
    assert [path.name for folder in search.split(":") for path in Path(folder).iterdir()] == ["wardian"]
    for name in ("docker", "podman", "crun", "runc", "bwrap", "apt-get", "tar", "dpkg"):
        assert shutil.which(name, path=search) is None
