"""From a launch record to a bundle, without a container: mounts, certificates, kept roots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wardian.errors import RunError
from wardian.runtime import launch


def record(folder: Path, **changes: Any) -> dict[str, Any]:
    made = {
        "identity": "p", "name": "p", "folder": str(folder), "bytecode": "", "apt": "", "environment": {},
        "mounts": [], "seccomp": {}, "layers": [str(folder)],
    }  # fmt: skip
    return {**made, **changes}


@pytest.mark.parametrize("target", ["/work", "//work", "///work/", "//", "/opt/../work", "//proc"])
def test_however_it_is_written_nothing_covers_the_project(tmp_path: Path, target: str) -> None:
    command = launch.Command(["true"], mounts=[(str(tmp_path), target, True)])
    with pytest.raises(RunError, match="nothing can be mounted at"):
        launch.configure(record(tmp_path), command, {})


def test_a_certificates_relative_name_is_our_own_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trusted.pem").touch()
    monkeypatch.chdir(tmp_path)
    outside = {"SSL_CERT_FILE": "trusted.pem", "PIP_CERT": str(tmp_path / "trusted.pem")}
    config = launch.configure(record(tmp_path), launch.Command(["true"], network=False), outside)
    mounted = {mount["source"]: mount["destination"] for mount in config["mounts"]}
    place = mounted[str(tmp_path / "trusted.pem")]
    assert {f"SSL_CERT_FILE={place}", f"PIP_CERT={place}"} <= set(config["process"]["env"])


def _keep(home: Path, layers: Path) -> list[str]:
    command = launch.Command(["true"], keep="trial")
    with launch.prepared(str(home), record(layers), command, print) as (root, _):
        return root.lowers


def test_a_kept_root_stays_with_its_layers(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    assert _keep(tmp_path, tmp_path / "first") == [str(tmp_path / "first")]
    assert _keep(tmp_path, tmp_path / "second") == [str(tmp_path / "first")]
    (tmp_path / "first").rmdir()
    with pytest.raises(RunError, match="stands on a layer that is gone"):
        _keep(tmp_path, tmp_path / "second")


@pytest.mark.parametrize("text", [b"", b'["/a', b"null", b"[1]", b'["\xff"]', b'"/a"', b'{"/a": 1}'])
def test_a_kept_root_whose_layers_are_unknown(tmp_path: Path, text: bytes) -> None:
    _keep(tmp_path, tmp_path)
    path = tmp_path / "kept/p/trial/layers.json"
    assert json.loads(path.read_text()) == [str(tmp_path)]
    path.write_bytes(text)
    with pytest.raises(RunError) as caught:
        _keep(tmp_path, tmp_path)
    assert caught.value.message == f"the kept root 'trial' is damaged: {path} does not say what it stands on"
    assert caught.value.hint == f"keep another name; what was written to it is in {path.parent}/upper"
