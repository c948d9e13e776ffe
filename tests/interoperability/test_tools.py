"""Others' tools take the image, agree on what it is, and run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.engines import Docker, Tool
from tests.main_job.machine import expect, locked

from . import listing
from .conftest import SAID, Fern, Need

# What a container has and its image has not: Docker makes them when it makes a container.
_CONTAINERS = {
    *(".dockerenv", "dev/console", "dev/pts", "dev/shm"),
    *("etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"),
}


@pytest.fixture(scope="session")
def skopeo(need: Need) -> Callable[..., str]:
    """`skopeo("inspect", …)`."""
    need(shutil.which("skopeo"), "skopeo is not installed")

    def call(verb: str, *words: str) -> str:
        return _call("skopeo", verb, *words)

    return call


@pytest.fixture(scope="session")
def rootfs(fern: Fern, session_root: Path) -> listing.Tree:
    """The file tree, as wardian itself writes it."""
    archive = session_root / f"fern-{fern.digest[-12:]}.tar"
    with locked(session_root / "fern.lock"):
        if not archive.exists():
            new = fern.account.home / "rootfs.tar"
            words = ("export", "rootfs", "--image", "fern", "-o", str(new), "--force")
            expect(fern.account.wardian(*words, cwd=fern.folder))
            shutil.move(new, archive)
    with archive.open("rb") as file:
        return listing.of_archive(file)


@pytest.fixture
def archive(fern: Fern, tmp_path: Path) -> Path:
    """What `wardian save` writes."""
    path = fern.account.home / f"fern-{os.getpid()}.tar"
    expect(fern.account.wardian("save", "--image", "fern", "-o", str(path), cwd=fern.folder))
    return Path(shutil.move(path, tmp_path / "fern.tar"))


def _call(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@contextmanager
def _exported(command: list[str], environment: dict[str, str]) -> Iterator[Any]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        yield process.stdout
        assert process.wait(120) == 0, command


def test_skopeo_inspects(fern: Fern, skopeo: Callable[..., str]) -> None:
    remote = f"docker://{fern.name}"
    seen = json.loads(skopeo("inspect", "--tls-verify=false", remote))
    assert seen["Digest"] == fern.digest
    assert seen["Layers"] == [layer.digest for layer in fern.image.manifest.layers]
    assert seen["Labels"]["com.example.team"] == "re search"
    assert seen["Labels"]["org.opencontainers.image.title"] == "fern"
    assert {"PORT=8080", "GREETING=hello from the case"} <= set(seen["Env"])
    assert seen["RepoTags"] == ["1.0"]
    configuration = json.loads(skopeo("inspect", "--tls-verify=false", "--config", remote))
    assert _known(configuration) == _known(fern.configuration)
    raw = skopeo("inspect", "--tls-verify=false", "--raw", remote)
    assert raw.encode() == fern.library.read(fern.image.descriptor, "the manifest")


def test_skopeo_copies(fern: Fern, skopeo: Callable[..., str], tmp_path: Path) -> None:
    for place in (
        f"oci:{tmp_path}/oci:1.0",
        f"dir:{tmp_path}/dir",
        f"docker-archive:{tmp_path}/a.tar:fern:1",
    ):
        skopeo("copy", "--quiet", "--src-tls-verify=false", f"docker://{fern.name}", place)
        seen = json.loads(skopeo("inspect", place.removesuffix(":fern:1")))
        # The older archive format has no place for manifests: there it is made anew.
        assert place.startswith("docker-archive") or seen["Digest"] == fern.digest
        configuration = json.loads(skopeo("inspect", "--config", place.removesuffix(":fern:1")))
        assert _known(configuration) == _known(fern.configuration)


def _known(configuration: dict[str, Any]) -> dict[str, Any]:
    """Without what has no value: some tools write that and some leave it out."""
    found: dict[str, Any] = {}
    for key, value in configuration.items():
        told = _known(value) if isinstance(value, dict) and key != "ExposedPorts" else value
        if told not in (None, "", {}, []):
            found[key] = told
    return found


def test_skopeo_copies_what_is_saved(
    fern: Fern, archive: Path, skopeo: Callable[..., str], tmp_path: Path
) -> None:
    skopeo("copy", "--quiet", f"oci-archive:{archive}:latest", f"dir:{tmp_path}/dir")
    assert json.loads(skopeo("inspect", f"dir:{tmp_path}/dir"))["Digest"] == fern.digest
    seen = json.loads(skopeo("inspect", f"docker-archive:{archive}:fern:latest"))
    assert seen["Env"] == fern.configuration["config"]["Env"]


def test_umoci_unpacks_the_same_tree(fern: Fern, rootfs: listing.Tree, need: Need, tmp_path: Path) -> None:
    need(shutil.which("umoci"), "umoci is not installed")
    if os.geteuid() != 0:
        pytest.skip("optional: only root can give files to others, and the tests run as a plain user")
    layout = fern.account.home / f"layout-{os.getpid()}"
    expect(fern.account.wardian("export", "oci", "--image", "fern", "-o", str(layout), cwd=fern.folder))
    try:
        _call("umoci", "unpack", "--image", f"{layout}:latest", str(tmp_path / "bundle"))
    finally:
        shutil.rmtree(layout)
    listing.assert_same(rootfs, listing.of_folder(tmp_path / "bundle/rootfs"))
    runtime = json.loads((tmp_path / "bundle/config.json").read_text())
    assert runtime["process"]["args"] == ["python", "main.py", "--all"]
    assert runtime["process"]["user"]["uid"] == 1000
    assert runtime["process"]["cwd"] == "/work"


def test_docker_loads_and_runs(fern: Fern, docker: Docker, archive: Path, rootfs: listing.Tree) -> None:
    assert docker("load", "--input", str(archive)).endswith("Loaded image: fern:latest\n")
    _check_engine(docker, "fern:latest", fern)
    container = docker("create", *docker.containers, "fern:latest").strip()
    with _exported([*docker.command, "export", container], dict(docker.environment)) as file:
        seen = listing.of_archive(file)
    docker("rm", container)
    listing.assert_same(_without(rootfs, _CONTAINERS), _without(seen, _CONTAINERS))


def test_docker_pulls_and_runs(fern: Fern, docker: Docker) -> None:
    said = docker("pull", fern.name)
    assert f"Digest: {fern.digest}\n" in said
    _check_engine(docker, fern.name, fern)
    repository = fern.name.rpartition(":")[0]
    assert f"{repository}@{fern.digest}" in _inspect(docker, fern.name)["RepoDigests"]


def test_podman_loads_and_runs(fern: Fern, podman: Tool, archive: Path) -> None:
    assert "fern:latest" in podman("load", "--input", str(archive))
    _check_engine(podman, "fern:latest", fern)


def test_podman_pulls_and_runs(fern: Fern, podman: Tool) -> None:
    podman("pull", "--quiet", "--tls-verify=false", fern.name)
    _check_engine(podman, fern.name, fern)
    assert _inspect(podman, fern.name)["Digest"] == fern.digest


def _inspect(engine: Tool, image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine("image", "inspect", image))[0]
    return found


def _check_engine(engine: Tool, image: str, fern: Fern) -> None:
    """It is the same image, and it runs, as its user and as one that nobody knows."""
    seen = _inspect(engine, image)
    assert f"sha256:{seen['Id'].removeprefix('sha256:')}" == fern.identity
    assert seen["RootFS"]["Layers"] == fern.configuration["rootfs"]["diff_ids"]
    told = fern.configuration["config"]
    for key in ("User", "Env", "Entrypoint", "Cmd", "WorkingDir", "ExposedPorts", "Labels"):
        assert seen["Config"][key] == told[key], key
    assert engine.run(image) == SAID
    assert engine.run(image, "a", "b") == SAID.replace("--all", "a b")
    script = "whoami; cd; pwd; touch file; cd /work; touch file; cat data/*.txt"
    as_sh = ("--entrypoint", "sh")
    assert engine.run(image, "-c", script, options=as_sh) == "user\n/home/user\n42\n"
    # As OpenShift runs images: a user that no file knows, in the group 0.
    script = "id -u; id -g; cd; pwd; touch file; cd /work; touch file; python main.py"
    said = engine.run(image, "-c", script, options=(*as_sh, "--user", "12345:0"))
    assert said == "12345\n0\n/home/user\n" + SAID.replace("1000:1000", "12345:0").replace(" --all", "")


@pytest.fixture
def containers(fern: Fern, buildah: Tool) -> Iterator[tuple[str, str]]:
    """Two working containers: some kernels refuse to mount one again that has been mounted."""
    made = [buildah("from", "--quiet", "--tls-verify=false", fern.name).strip() for _ in range(2)]
    yield made[0], made[1]
    buildah("rm", *made)


def test_buildah_takes_it_as_a_base(
    fern: Fern, buildah: Tool, rootfs: listing.Tree, containers: tuple[str, str]
) -> None:
    first, second = containers
    seen = json.loads(buildah("inspect", first))
    assert seen["FromImageDigest"] == fern.digest
    assert seen["FromImageID"] == fern.identity.removeprefix("sha256:")
    assert seen["OCIv1"]["config"]["Entrypoint"] == ["python", "main.py"]
    place = Path(buildah("mount", first).strip())
    listing.assert_same(_without(rootfs), _without(listing.of_folder(place)))
    buildah("umount", first)
    assert buildah("run", "--isolation", "chroot", second, "--", "python", "main.py", "--all") == SAID


def _without(tree: listing.Tree, names: Collection[str] = ()) -> dict[str, listing.Node]:
    """Without `/` itself too, which no layer holds: it is as whoever unpacks makes it."""
    return {path: node for path, node in tree.items() if path != "." and path not in names}
