"""Python in the container: byte code, scripts with an environment of their own, tasks, interpreters."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import SIX, Bench
from .machine import Account, expect, refused
from .servers import serving

TASKS = """
[python]
packages = ["six"]

[env]
COLOUR = "green"

[tasks]
greet = "echo hello"
line = "echo first && echo $COLOUR"
words = ["python", "-c", "import sys; print(sys.argv[1:])"]
placed = 'echo "<$1>" "$@" end'
full = { command = "echo $COLOUR $SIZE", description = "Say both", env = { SIZE = "big" } }
failing = "exit 7"
"""


@pytest.fixture
def tasks(project: Callable[..., Path], plain: Account) -> Bench:
    """A project with tasks."""
    return Bench(plain, project({"wardian.toml": TASKS}))


def test_byte_code_is_kept_with_the_environment_and_never_ships(bench: Bench) -> None:
    bench.run("--", "python", "-c", "import six, json, decimal")
    result = expect(bench.wardian("run", "--", "python", "-v", "-c", "import six, json, decimal"))
    for name in ("six", "json/__init__", "decimal"):
        lines = [line for line in result.stderr.splitlines() if f"/{name}.cpython-" in line]
        assert any("matches" in line for line in lines), name
    assert "wrote " not in "".join(
        line for line in result.stderr.splitlines() if "/six." in line or "/json/" in line
    )
    image = bench.account.build(bench.folder)
    for path in bench.account.snapshots(image).values():
        assert not list(path.rglob("*.pyc"))
    assert not list(bench.folder.rglob("*.pyc"))


def test_the_projects_own_modules_are_imported_fresh(plain_bench: Bench) -> None:
    for number in (1, 2):
        (plain_bench.folder / "mine.py").write_text(f"value = {number}\n")
        os.utime(plain_bench.folder / "mine.py", (number, number))  # Python looks at seconds only
        assert plain_bench.run("--", "python", "-c", "import mine; print(mine.value)") == f"{number}\n"
    assert not (plain_bench.folder / "__pycache__").exists()


def test_the_environment_is_a_virtual_environment(bench: Bench) -> None:
    script = "import sys, os; print(sys.prefix, sys.prefix != sys.base_prefix, os.environ['VIRTUAL_ENV'])"
    assert bench.run("--", "python", "-c", script) == "/opt/venv True /opt/venv\n"
    assert bench.sh("command -v python; command -v python3").split() == [
        "/opt/venv/bin/python",
        "/opt/venv/bin/python3",
    ]


def test_scripts_take_arguments_and_their_status_passes(plain_bench: Bench) -> None:
    (plain_bench.folder / "script.py").write_text("import sys\nprint(sys.argv[1:])\nsys.exit(3)\n")
    assert plain_bench.run("script.py", "--epochs", "3", "-v", status=3) == "['--epochs', '3', '-v']\n"


def test_a_script_that_does_not_exist(plain_bench: Bench) -> None:
    (plain_bench.folder / "training.py").touch()
    said = refused(plain_bench.wardian("run", "trainin.py"))
    assert "the script trainin.py does not exist" in said
    assert "hint: did you mean training.py" in said


def test_a_script_with_metadata_has_an_environment_of_its_own(plain_bench: Bench) -> None:
    script = '# /// script\n# requires-python = ">=3.11"\n# dependencies = ["toolz"]\n# ///\n'
    script += "import toolz\ntry:\n    import six\nexcept ImportError:\n    print('own', toolz.__name__)\n"
    (plain_bench.folder / "own.py").write_text(script)
    before = (plain_bench.folder / "wardian.lock").read_bytes()
    assert plain_bench.run("own.py") == "own toolz\n"
    assert plain_bench.run("--locked", "own.py", "x") == "own toolz\n"
    assert (plain_bench.folder / "wardian.lock").read_bytes() == before
    assert "toolz" in (plain_bench.folder / "own.wardian.lock").read_text()
    assert plain_bench.run("--", "python", "-c", "import six; print(six.__name__)") == "six\n"


def test_tasks_run_with_arguments_and_variables(tasks: Bench) -> None:
    assert tasks.run("greet") == "hello\n"
    assert tasks.run("greet", "a b", "c") == "hello a b c\n"
    assert tasks.run("line") == "first\ngreen\n"
    assert tasks.run("words", "a b", "--x") == "['a b', '--x']\n"
    assert tasks.run("placed", "one", "two") == "<one> one two end\n"
    assert tasks.run("full") == "green big\n"
    assert tasks.run("-e", "SIZE=small", "full") == "green small\n"
    tasks.run("failing", status=7)


def test_a_task_that_does_not_exist(tasks: Bench) -> None:
    said = refused(tasks.wardian("run", "greeet"))
    assert "there is no task, script or notebook 'greeet'" in said
    assert "hint: did you mean greet" in said
    said = refused(tasks.wardian("run", "ls"))
    assert "wardian run -- ls" in said


def test_a_changed_task_is_used_at_once(tasks: Bench) -> None:
    tasks.run("greet")
    path = tasks.folder / "wardian.toml"
    path.write_text(path.read_text().replace("echo hello", "echo changed"))
    assert tasks.run("greet") == "changed\n"


def test_mounts_of_the_spec(project: Callable[..., Path], plain: Account) -> None:
    text = SIX + '[mounts]\n"/data" = "data:ro"\n"/out" = "out"\n'
    here = Bench(plain, project({"wardian.toml": text, "data/file": "x\n", "out/there": ""}))
    assert (
        here.sh("cat /data/file; touch /data/no 2>/dev/null || echo closed; echo y > /out/made")
        == "x\nclosed\n"
    )
    assert (here.folder / "out/made").read_text() == "y\n"


def test_detection_from_imports(project: Callable[..., Path], plain: Account) -> None:
    here = Bench(
        plain, project({"main.py": "import six\nfrom yaml import safe_load\nprint(safe_load('a: 1'))\n"})
    )
    result = expect(here.wardian("run", "main.py"))
    assert result.stdout == "{'a': 1}\n"
    assert "PyYAML" in result.stderr or "pyyaml" in result.stderr
    assert not (here.folder / "wardian.toml").exists()
    expect(here.wardian("init"))
    assert "six" in (here.folder / "wardian.toml").read_text()


def _python_archive(scratch: Path) -> bytes:
    """The running Python in the layout of python-build-standalone's install_only archives."""
    base, minor = Path(sys.base_prefix), "python{}.{}".format(*sys.version_info)
    left_out = {
        "test", "idlelib", "tkinter", "lib2to3", "ensurepip", "site-packages", "dist-packages", "__pycache__"
    }  # fmt: skip
    buffer = io.BytesIO()

    def wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if left_out & set(member.name.split("/")) or "/config-" in member.name else member

    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        archive.add(_relocatable((base / "bin" / minor).resolve(), scratch), f"python/bin/{minor}")
        for library in (base / "lib").glob(f"lib{minor}.so*"):
            archive.add(library, f"python/lib/{library.name}")
        archive.add(base / "lib" / minor, f"python/lib/{minor}", filter=wanted)
        link = tarfile.TarInfo("python/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, minor
        archive.addfile(link)
    return buffer.getvalue()


def _relocatable(program: Path, scratch: Path) -> Path:
    """A copy that looks for its libraries beside it, as those of python-build-standalone do."""
    from wardian.toolbox.patch import find_patchelf

    copy = Path(shutil.copy(program, scratch / "python"))
    subprocess.run([find_patchelf(), "--set-rpath", "$ORIGIN/../lib", copy], check=True)
    return copy


def test_a_managed_python(plain: Account, folder_name: str, tmp_path: Path) -> None:
    """Of a list of downloads and a server of the test's own, which has the Python that runs the tests."""
    version, machine = platform.python_version(), platform.machine()
    base = "bookworm" if version.startswith("3.13") else "trixie"
    data = _python_archive(tmp_path)
    name = f"cpython-{version}%2B20250106-{machine}-unknown-linux-gnu-install_only_stripped.tar.gz"
    with serving(lambda path: (200, {}, data) if path.endswith(name) else (404, {}, b"")) as server:
        listed = {
            "name": "cpython", "arch": {"family": machine, "variant": None}, "os": "linux", "libc": "gnu",
            "major": sys.version_info[0], "minor": sys.version_info[1], "patch": sys.version_info[2],
            "prerelease": "", "variant": None, "build": "20250106",
            "url": f"{server.address}/download/20250106/{name}", "sha256": hashlib.sha256(data).hexdigest(),
        }  # fmt: skip
        text = f'base = "debian:{base}"\n[python]\nversion = "=={version}"\npackages = ["six"]\n'
        folder = plain.project(
            folder_name, {"wardian.toml": text, "downloads.json": json.dumps({"cpython-one": listed})}
        )
        here = Bench(plain.having(UV_PYTHON_DOWNLOADS_JSON_URL=str(folder / "downloads.json")), folder)
        image = here.account.build(folder)
    assert {part["name"] for part in image["built"]} >= {"interpreter", "python"}
    script = "import six, sys; print(sys.version.split()[0], sys.base_prefix, sys.prefix, six.__name__)"
    assert here.run("--", "python", "-c", script) == f"{version} /opt/python /opt/venv six\n"
    assert here.account.build(folder)["built"] == []
    lock = (folder / "wardian.lock").read_text()
    assert hashlib.sha256(data).hexdigest() in lock
    assert "://" not in lock


@pytest.mark.network
def test_a_package_that_is_there_as_source_only_is_built_inside(
    project: Callable[..., Path], plain: Account
) -> None:
    # Its index is reached by name, from within the build sandbox.
    bench = Bench(plain, project({"requirements.txt": "docopt==0.6.2\n"}))
    told = expect(
        bench.wardian("run", "--", "python", "-W", "ignore", "-c", "import docopt; print(docopt.__file__)")
    )
    assert told.stdout == "/opt/venv/lib/python3.13/site-packages/docopt.py\n"
