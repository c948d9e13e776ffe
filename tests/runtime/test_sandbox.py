"""Build steps in processes of their own, with a script in the OCI runtime's place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wardian.errors import HostError, RunError
from wardian.runtime import bundle, container, sandbox
from wardian.system.processes import module_command


def stand_in(folder: Path, script: str) -> Path:
    """A runtime that runs `script` on the host's own root, in the namespaces that it is started in."""
    path = folder / "toolbox/bin/crun"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def step(tmp_path: Path, script: str) -> tuple[int, str]:
    (tmp_path / "upper").mkdir()
    made = sandbox.Sandbox(
        runtime=stand_in(tmp_path, script), lowers=(), upper=tmp_path / "upper", folder=tmp_path / "steps"
    )
    return made.run(["step"], environment={})


@pytest.mark.namespaces
@pytest.mark.parametrize("status", [0, 1, 118])
def test_every_status_is_the_steps_own(tmp_path: Path, status: int) -> None:
    assert step(tmp_path, f"echo said; exit {status}") == (status, "said\n")


@pytest.mark.namespaces
def test_of_a_long_output_the_end_is_kept(tmp_path: Path) -> None:
    status, said = step(tmp_path, "head -c 5000000 /dev/zero | tr '\\0' y; echo; echo the end; exit 3")
    assert status == 3
    assert said.endswith("y\nthe end\n")
    assert len(said) == 1 << 20


@pytest.mark.parametrize("name", ["cafe", os.fsdecode(b"caf\xe9")])
def test_what_the_disk_refuses_is_the_hosts_fault(tmp_path: Path, name: str) -> None:
    tmp_path /= name
    tmp_path.mkdir()
    (tmp_path / "run").touch()  # where its files are to go
    config = bundle.root_config(["true"], environment={})
    root = container.Root([], str(tmp_path))
    with sandbox.start("/nosuch/crun", config, root, tmp_path) as process:
        assert process.stdout is not None
        said = process.stdout.read().decode()
    assert process.returncode == 1
    with pytest.raises(HostError) as caught:
        sandbox.check_refusal(tmp_path, said)
    shown = str(tmp_path).encode(errors="backslashreplace").decode()
    assert caught.value.message == f"cannot set up the container: {shown}/run: File exists"
    assert caught.value.hint == "run `wardian doctor`"


def test_a_step_ends_where_its_builder_is_gone(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(json.dumps({"parent": 1, "root": {}, "config": {}}))
    done = subprocess.run(module_command("wardian.runtime.sandbox", str(tmp_path)), check=False)
    assert done.returncode == 137
    assert not (tmp_path / "run").exists()


@pytest.mark.namespaces
def test_who_ignores_its_children_hears_of_the_end(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from wardian.runtime import bundle, container\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "runtime, folder = sys.argv[1:]\n"
        "config = bundle.root_config(['true'], environment={})\n"
        "status = container.run(runtime, config, container.Root([], folder), folder)\n"
        "print(status, signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN)\n"
    )
    (tmp_path / "bundle").mkdir()
    command = [sys.executable, "-c", program, str(stand_in(tmp_path, "exit 7")), str(tmp_path / "bundle")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("7 True\n", "")


@pytest.mark.parametrize("place", ["argument", "variable", "path"])
def test_a_name_that_is_no_utf8_is_refused(tmp_path: Path, place: str) -> None:
    name = os.fsdecode(b"caf\xe9")
    config = bundle.root_config(
        [name if place == "argument" else "true"],
        environment={"NAME": name} if place == "variable" else {},
        mounts=[bundle.bind(f"/{name}", "/mnt", read_only=True)] if place == "path" else (),
    )
    with pytest.raises(RunError) as caught:
        container.run(str(tmp_path / "bin/crun"), config, container.Root([], str(tmp_path)), str(tmp_path))
    assert "caf\\udce9' is not in UTF-8" in caught.value.message
    assert caught.value.hint
