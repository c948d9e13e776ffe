"""The Dockerfile that is written, built by real builders with nothing of wardian present."""

from __future__ import annotations

import ensurepip
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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.engines import Docker, Tool
from tests.export.conftest import SPEC, Small
from tests.export.project import source
from tests.main_job.servers import serving

from wardian.ecosystems.python.model import Interpreter
from wardian.export.dockerfile import write_dockerfile
from wardian.toolbox.patch import find_patchelf

pytestmark = [pytest.mark.network, pytest.mark.namespaces, pytest.mark.slow]

# What pip says of itself: who installed a package and why. A RECORD lists these files, so it differs too.
_INSTALLER = ("INSTALLER", "REQUESTED", "RECORD")
_MIRRORS = {"DEBIAN_MIRROR": "debian", "DEBIAN_SECURITY_MIRROR": "debian-security"}
_HASHES = "cd /opt/venv && find . -type f -exec sha256sum {} + && find . -type l -printf '%l  %p\\n'"


@dataclass(frozen=True, kw_only=True)
class Builder:
    """What builds, and what then runs and shows the image, which has the same storage."""

    name: str
    tool: Tool
    engine: Tool
    base: str

    def build(self, context: Path, small: Small, *, file: str = "Dockerfile", **more: str) -> str:
        """Build `context`; returns the image's name."""
        arguments = {"BASE": self.base, "PIP_INDEX_URL": small.index, **more}
        given = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
        name = f"wardian-export-{self.name}"
        self.tool(*self.tool.build, *given, "-t", name, "-f", str(context / file), str(context))
        return name

    def inspect(self, image: str) -> dict[str, Any]:
        """The configuration's `Config`, which Docker and podman show alike."""
        found: dict[str, Any] = json.loads(self.engine("image", "inspect", image))[0]["Config"]
        return found

    def run(self, image: str, script: str, *options: str) -> str:
        """What a shell script prints in a container of the image."""
        return self.engine.run(image, "-c", script, options=("--entrypoint", "sh", *options))


@pytest.fixture(params=["buildkit", "classic", "buildah", "podman"])
def builder(request: pytest.FixtureRequest) -> Builder:
    """Each builder in turn."""
    name = request.param
    if name in ("buildkit", "classic"):
        docker: Docker = request.getfixturevalue("docker")
        base = request.getfixturevalue("docker_base")
        tool = docker.having(name, docker.build, DOCKER_BUILDKIT="1" if name == "buildkit" else "0")
        return Builder(name=name, tool=tool, engine=docker, base=base)
    base = request.getfixturevalue("podman_base")
    return Builder(
        name=name,
        tool=request.getfixturevalue(name),
        engine=request.getfixturevalue("podman"),
        base=base,
    )


def test_what_is_built_is_what_is_locked(builder: Builder, small: Small, tmp_path: Path) -> None:
    context = tmp_path / "context"
    write_dockerfile(context, small.source)
    file = "Dockerfile.classic" if builder.name == "classic" else "Dockerfile"
    mirrors = {name: f"{small.archives}/mirror/{archive}" for name, archive in _MIRRORS.items()}
    dated = {"SNAPSHOT": f"{small.archives}/archive"}
    image = builder.build(context, small, file=file, **(mirrors if builder.name == "podman" else dated))
    _check_configuration(builder.inspect(image), small)
    assert builder.engine.run(image) == "alpha with beta 1.0\n"
    lock = small.source.locks[0]

    listed = builder.run(
        image, "dpkg-query --show --showformat='${Package} ${Version} ${db:Status-Abbrev}\\n'"
    )
    locked = [f"{package.name} {package.version} ii" for package in lock.debian.packages]
    assert sorted(listed.split(" \n")[:-1]) == sorted(locked)
    # As in Debian's own slim images: dpkg's filters leave documentation out, and its lists keep it.
    assert (
        builder.run(
            image, "dpkg --verify | grep -Ev ' /usr/share/(doc|man|info|locale|lintian)/'; dpkg --audit"
        )
        == ""
    )

    theirs, ours = _environment(builder.run(image, _HASHES)), _ours(small)
    differing = {path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)}
    # uv and pip write a script in words of their own.
    assert {path for path in differing if not path.endswith(_INSTALLER)} == {"./bin/alpha"}
    assert builder.run(image, "pip list --format=freeze --disable-pip-version-check").splitlines() == [
        "alpha==1.2",
        "beta==1.0",
    ]
    assert builder.run(image, "alpha; id -u; whoami; cd; pwd; touch file; cd /work; touch file") == (
        "alpha\n1000\nuser\n/home/user\n"
    )
    # As OpenShift runs it.
    assert builder.run(image, "alpha; cd; touch file; touch /work/file; id -u", "--user", "54321:0") == (
        "alpha\n54321\n"
    )
    _check_code(builder, image)


def _check_configuration(found: dict[str, Any], small: Small) -> None:
    execution = small.source.execution
    assert found["User"] == execution.user == "1000"
    assert found["WorkingDir"] == execution.directory == "/work/in $HOME/ner"
    assert tuple(found["Entrypoint"]) == execution.entrypoint == ("python", "-m", "alpha")
    assert tuple(found["Cmd"]) == execution.command == ("--all", "ü")
    assert tuple(sorted(found["ExposedPorts"])) == execution.ports == ("53/udp", "8080/tcp")
    assert dict(variable.split("=", 1) for variable in found["Env"]) == dict(execution.environment)
    assert dict(execution.environment)["GREETING"] == 'a "quoted" $HOME \\ back'
    labels = {name: text for name, text in found["Labels"].items() if not name.startswith("io.buildah.")}
    assert labels == execution.labels


def _environment(text: str) -> dict[str, str]:
    """Hash or target by path."""
    return {path: what for what, path in (line.split("  ", 1) for line in text.splitlines())}


def _ours(small: Small) -> dict[str, str]:
    """The same of the environment that wardian has built."""
    found = {}
    top = next(root for root in small.roots if (root / "opt/venv").exists()) / "opt/venv"
    for path in top.rglob("*"):
        name = f"./{path.relative_to(top)}"
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _check_code(builder: Builder, image: str) -> None:
    shown = "find . -printf '%p %y %m %U:%G %l\\n' | LC_ALL=C sort; cat wardian.toml"
    listing, _, text = builder.run(image, f"cd /work && {shown}").partition("name = ")
    assert listing.splitlines() == [
        ". d 775 1000:0 ",
        "./in $HOME d 755 0:0 ",
        "./in $HOME/ner d 775 1000:0 ",
        "./inner d 775 1000:0 ",
        "./inner/link l 777 1000:0 run.sh",
        "./inner/run.sh f 775 1000:0 ",
        "./wardian.toml f 664 1000:0 ",
    ]
    assert f"name = {text}" == SPEC


def test_the_short_one_builds(docker: Docker, docker_base: str, small: Small, tmp_path: Path) -> None:
    """On a base whose own sources are this machine's mirrors, and whose users have our name and id."""
    lines = [
        f"deb [check-valid-until=no] {small.archives}/mirror/debian trixie main",
        f"deb [check-valid-until=no] {small.archives}/mirror/debian-security trixie-security main",
    ]
    (tmp_path / "base").mkdir()
    (tmp_path / "base/sources.list").write_text("\n".join(lines) + "\n")
    (tmp_path / "base/Dockerfile").write_text(
        f"FROM {docker_base}\nCOPY sources.list /etc/apt/sources.list\n"
        "RUN useradd --uid 1000 --create-home node && useradd --uid 1500 --shell /bin/false user\n"
    )
    docker(*docker.build, "-t", "wardian-test-simple-base", str(tmp_path / "base"))
    context = tmp_path / "context"
    write_dockerfile(context, replace(small.source, base="wardian-test-simple-base:latest"), simple=True)
    given = ("--build-arg", f"PIP_INDEX_URL={small.index}")
    docker(*docker.build, *given, "-t", "wardian-export-simple", str(context))
    found = Builder(name="simple", tool=docker, engine=docker, base=docker_base)
    _check_configuration(found.inspect("wardian-export-simple"), small)
    assert docker.run("wardian-export-simple") == "alpha with beta 1.0\n"
    assert found.run("wardian-export-simple", "id -u; echo 1 + 1 | bc; ls /var/lib/apt/lists") == "1000\n2\n"
    users = found.run("wardian-export-simple", "getent passwd user 1000 node; stat -c %u:%g /home/user")
    assert users == "user:x:1000:1000:user:/home/user:/bin/bash\n" * 2 + "1000:1000\n"
    _check_code(found, "wardian-export-simple")


def _archive(scratch: Path) -> bytes:
    """The running Python in the layout of python-build-standalone's archives, with pip's wheel."""
    base, minor = Path(sys.base_prefix), "python{}.{}".format(*sys.version_info)
    left_out = {"test", "idlelib", "tkinter", "lib2to3", "site-packages", "dist-packages", "__pycache__"}
    program = shutil.copy((base / "bin" / minor).resolve(), scratch / "python")
    subprocess.run([find_patchelf(), "--set-rpath", "$ORIGIN/../lib", program], check=True)
    buffer = io.BytesIO()

    def wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if left_out & set(member.name.split("/")) or "/config-" in member.name else member

    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        archive.add(program, f"python/bin/{minor}")
        for library in (base / "lib").glob(f"lib{minor}.so*"):
            archive.add(library, f"python/lib/{library.name}")
        archive.add(base / "lib" / minor, f"python/lib/{minor}", filter=wanted)
        link = tarfile.TarInfo("python/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, minor
        archive.addfile(link)
    return buffer.getvalue()


def test_a_managed_python(
    docker: Docker, docker_base: str, small: Small, tmp_path: Path, need: Callable[[object, str], None]
) -> None:
    """The Python that runs the tests, which need not be the suite's."""
    need(
        any((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")), "ensurepip has no wheel of pip"
    )
    data, version = _archive(tmp_path), platform.python_version()
    locked = small.source.locks[0]
    assert locked.python
    managed = Interpreter(version=version, source="uv", key="own", sha256=hashlib.sha256(data).hexdigest())
    part = replace(locked, python=replace(locked.python, interpreter=managed))
    with serving(lambda _: (200, {}, data)) as server:
        text = "[image]\ncode = false\nbytecode = true\n"
        addresses = {part.platform: f"{server.address}/python.tar.gz"}
        write_dockerfile(tmp_path / "out", source(tmp_path / "project", text, part, interpreters=addresses))
        found = Builder(name="managed", tool=docker, engine=docker, base=docker_base)
        image = found.build(tmp_path / "out", small, SNAPSHOT=f"{small.archives}/archive")
    script = "python --version; which python; alpha; pip list --format=freeze --disable-pip-version-check"
    assert found.run(image, script).splitlines() == [
        f"Python {version}",
        "/opt/venv/bin/python",
        "alpha",
        "alpha==1.2",
        "beta==1.0",
    ]
    compiled = "find /opt -name '*.pyc' | grep -E '/(beta|os)\\.'"
    assert len(found.run(image, compiled).splitlines()) == 2
