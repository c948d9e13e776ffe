"""`--image`: images of others, made by hand and by real tools, run by a plain user and by root."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.main_job.machine import Account, expect, make_account, refused

ACCOUNTS = ("root", "plain") if os.geteuid() == 0 else ("plain",)
PROGRAMS = ("sh", "cat", "env", "id", "ls", "pwd", "sleep", "stat", "true")
PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1234:1235:an app:/srv/app:/bin/sh\n"
GROUP = "root:x:0:\napp:x:1235:\nstaff:x:50:app\n"
# Loads an archive into the store of whoever runs it.
LOAD = """
import os, sys
from pathlib import Path
from wardian.image.library import Library
from wardian.image.load import load
from wardian.store.store import Store
from wardian.system.progress import Silent
from wardian.system.variables import home
load(Library(Store.open(home(os.environ))), Path(sys.argv[1]), Silent())
"""

pytestmark = [pytest.mark.network, pytest.mark.namespaces]

Files = Mapping[str, bytes | str | None]


def tar(files: Files, links: Mapping[str, str] | None = None) -> bytes:
    """A layer of those files; None makes a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            data = content.encode() if isinstance(content, str) else content or b""
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.mode, info.size = 0o755, len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return out.getvalue()


def write_archive(
    path: Path, name: str, layers: Sequence[bytes], config: Mapping[str, Any], architecture: str
) -> None:
    """A docker archive (manifest.json, one configuration, layers)."""
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    content = {
        "architecture": architecture,
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    manifest = [
        {"Config": "config.json", "RepoTags": [name], "Layers": [f"{n}.tar" for n in range(len(layers))]}
    ]
    files: dict[str, bytes | str | None] = {f"{n}.tar": layer for n, layer in enumerate(layers)}
    path.write_bytes(
        tar({"manifest.json": json.dumps(manifest), "config.json": json.dumps(content), **files})
    )


def host_programs(names: Sequence[str]) -> dict[str, bytes | str | None]:
    """Programs of this machine with the libraries that they need, at their places."""
    files: dict[str, bytes | str | None] = {}
    for name in names:
        program = shutil.which(name)
        assert program, name
        files[f"bin/{name}"] = Path(program).read_bytes()
        needed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", needed):
            files[library.lstrip("/")] = Path(library).read_bytes()
    return files


def host_architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


@dataclass(frozen=True, kw_only=True)
class Guests:
    """An account, and images that are loaded into its store."""

    account: Account
    folder: Path
    base: bytes

    def load(
        self,
        name: str,
        *,
        layers: Sequence[bytes] = (),
        base: bool = True,
        architecture: str = "",
        **config: Any,
    ) -> None:
        path = self.folder / f"{self.account.name}-{name.replace('/', '-').replace(':', '-')}.tar"
        architecture = architecture or host_architecture()
        write_archive(path, name, [self.base, *layers] if base else layers, config, architecture)
        self.load_archive(path)
        path.unlink()

    def load_archive(self, path: Path) -> None:
        path.chmod(0o644)
        python = self.account.program.resolve().parent / "python"
        expect(self.account.execute([str(python), "-c", LOAD, str(path)], cwd=self.account.home))

    def run(self, *words: str, status: int = 0, verb: str = "run", **options: Any) -> str:
        """`wardian run --image WORDS…`: its standard output."""
        result = self.account.wardian(verb, "--image", *words, cwd=self.account.home, **options)
        return str(expect(result, status).stdout)

    def fail(self, *words: str, verb: str = "run") -> str:
        """Its error; the status is 1."""
        return refused(self.account.wardian(verb, "--image", *words, cwd=self.account.home))


@pytest.fixture(scope="session")
def base_layer(need: Callable[[object, str], None]) -> bytes:
    """Some programs, users and files."""
    need(shutil.which("ldd") and all(map(shutil.which, PROGRAMS)), "ldd and common programs")
    return tar({**host_programs(PROGRAMS), "etc/passwd": PASSWD, "etc/group": GROUP, "opt/low": "low"})


@pytest.fixture(scope="session", params=ACCOUNTS)
def guests(request: pytest.FixtureRequest, session_root: Path, base_layer: bytes) -> Guests:
    folder = session_root / f"guests-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    return Guests(account=make_account(session_root, request.param), folder=folder, base=base_layer)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for this test's image."""
    return "guest/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")


def test_what_the_image_says(guests: Guests, name: str) -> None:
    guests.load(
        name,
        Entrypoint=["sh", "-c", 'echo "$0 $*"; pwd; echo "$A $HOME"; id -u'],
        Cmd=["from", "the image"],
        Env=["A=1", "PATH=/bin"],
        WorkingDir="/srv/not/there yet",
        User="app",
    )
    assert guests.run(name) == "from the image\n/srv/not/there yet\n1 /srv/app\n1234\n"
    assert guests.run(name, "--", "from", "us").startswith("from us\n")
    assert guests.run(name, "from", "us").startswith("from us\n")
    assert guests.run(name, "--entrypoint", "id", "--", "-g") == "1235\n"
    assert guests.run(name, "--entrypoint", "", "pwd") == "/srv/not/there yet\n"
    assert guests.run(name, "--workdir", "/opt", "--entrypoint", "ls") == "low\n"
    assert "HOME=/x" in guests.run(name, "-e", "HOME=/x", "--entrypoint", "env")


def test_users(guests: Guests, name: str) -> None:
    guests.load(name, Cmd=["sh", "-c", "id -u; id -g; echo $HOME"])
    assert guests.run(name) == "0\n0\n/root\n"
    for user, seen in {
        "app": "1234\n1235\n/srv/app\n",
        "app:staff": "1234\n50\n/srv/app\n",
        "1234": "1234\n1235\n/srv/app\n",
        "1234:77": "1234\n77\n/srv/app\n",
        "4321": "4321\n0\n/\n",
        "0": "0\n0\n/root\n",
    }.items():
        assert guests.run(name, "--user", user) == seen
    guests.load(name, Cmd=["id", "-u"], User="1234")
    assert guests.run(name) == "1234\n"
    assert guests.run(name, "--root") == "0\n"
    assert "has no user 'nobody'; it has app, root" in guests.fail(name, "--user", "nobody")
    assert "has no group 'wheel'; it has app, root, staff" in guests.fail(name, "--user", "app:wheel")


def test_root_inside_is_emulated(guests: Guests, name: str) -> None:
    guests.load(name)
    host = f"{guests.account.uid}"
    script = "stat -c %u /opt/low; echo x > /etc/passwd; echo made > /new; ls /new; cat /proc/self/uid_map"
    owner, made, *mapped = guests.run(name, "--", "sh", "-c", script).split()
    assert (owner, made) == ("0", "/new")
    assert mapped == ["0", host, "1"] or mapped == ["0", "0", "1"]
    assert guests.run(name, "--", "sh", "-c", "ls / ; cat /etc/passwd").endswith(PASSWD)  # thrown away


def test_layers_hide_what_is_below(guests: Guests, name: str) -> None:
    layers = [
        tar({"etc/gone": "1", "tree/low": "1", "opaque/low": "1", "kept": "low"}),
        tar(
            {"etc/.wh.gone": "", ".wh.tree": "", "opaque/.wh..wh..opq": "", "opaque/new": "2", "kept": "new"}
        ),
        tar({"tree/again": "3"}),
    ]
    guests.load(name, layers=layers)
    listing = guests.run(name, "--", "sh", "-c", "ls /etc/gone; ls /tree /opaque; cat /kept; exit 0")
    assert listing.replace("\n\n", "\n") == "/opaque:\nnew\n/tree:\nagain\nnew"


def test_many_layers(guests: Guests, name: str) -> None:
    layers = [tar({f"many/{number}": str(number), "top": str(number)}) for number in range(126)]
    guests.load(name, layers=layers)
    assert guests.run(name, "--", "sh", "-c", "ls /many | cat; cat /top").split("\n")[-1] == "125"


def test_nothing_of_the_host_but_what_is_mounted(guests: Guests, name: str) -> None:
    folder = guests.account.project("mounted", {"file": "mine"})
    guests.load(name)
    assert "work" not in guests.run(name, "--", "ls", "/").split()
    options = ["-v", f"{folder}:/work", "-v", f"{folder}:/data:ro"]
    script = "cat /work/file; echo more > /work/new; echo x > /data/no 2>/dev/null || echo refused"
    assert guests.run(name, *options, "--", "sh", "-c", script) == "minerefused\n"
    assert (folder / "new").stat().st_uid == guests.account.uid
    assert "it would cover /proc" in guests.fail(name, "-v", f"{folder}:/proc", "--", "true")


def test_kept_roots(guests: Guests, name: str) -> None:
    guests.load(name)
    guests.run(name, "--keep", "one", "--", "sh", "-c", "echo kept > /file")
    assert guests.run(f"docker.io/{name}:latest", "--keep", "one", "--", "cat", "/file") == "kept\n"
    assert "/file" in guests.run(name, "--keep", "two", "--", "sh", "-c", "cat /file 2>&1; exit 0")


def test_another_image_of_that_name_is_noticed(guests: Guests, name: str) -> None:
    for text in ("first", "second", "first"):
        guests.load(name, layers=[tar({"text": text})])
        assert guests.run(name, "--", "cat", "/text") == text


def test_a_second_start_is_quick(guests: Guests, name: str) -> None:
    guests.load(name)
    guests.run(name, "--", "true")
    times = []
    for _ in range(5):
        begin = time.monotonic()
        guests.run(name, "--", "true")
        times.append(time.monotonic() - begin)
    assert min(times) < 0.5  # 0.07 on a quiet machine; preparing it again would take longer


def test_a_layer_that_is_gone_is_unpacked_again(guests: Guests, name: str) -> None:
    layer = tar({"text": name})
    guests.load(name, layers=[layer])
    assert guests.run(name, "--", "cat", "/text") == name
    diff_id = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    key = hashlib.sha256(f"layer\n{diff_id}".encode()).hexdigest()[:40]
    shutil.rmtree(guests.account.store / "snapshots" / key)
    assert guests.run(name, "--", "cat", "/text") == name


def test_shells(guests: Guests, name: str) -> None:
    guests.load(name, User="app", Entrypoint=["true"])
    assert guests.run(name, verb="shell", input="id -u\nexit 3\n", status=3) == "1234\n"
    guests.load(name, base=False, layers=[tar({"file": "x"})])
    assert "has no shell" in guests.fail(name, verb="shell")


def test_what_cannot_be_run(guests: Guests, name: str) -> None:
    guests.load(name)
    assert "does not say what to run" in guests.fail(name)
    said = guests.fail(name, "nosuch")
    assert "cannot start 'nosuch'" in said
    assert f"in `wardian shell --image {name}`" in said
    other = "arm64" if host_architecture() == "amd64" else "amd64"
    guests.load(name, architecture=other, Cmd=["true"])
    assert f"is for linux/{other}, and this machine is linux/{host_architecture()}" in guests.fail(name)
    assert "there is no image 'never-heard-of'" in guests.fail("never-heard-of", "--pull", "never")
    assert "never-heard-of" in guests.fail("never-heard-of", "--offline")
    assert "the network is not to be used" in guests.fail(name, "--offline", "--pull", "always")
    assert "is no image reference" in guests.fail("Not/A:Name!")


def test_an_image_of_nothing(guests: Guests, name: str) -> None:
    guests.load(name, base=False)
    assert "cannot start 'true'" in guests.fail(name, "true")


HOSTILE = {
    "a link to the host's": {"etc/passwd": "/../../../../../etc/passwd"},
    "a link to itself": {"etc/passwd": "passwd"},
    "a folder that leads out": {"etc": "/proc/1/root/etc"},
}


@pytest.mark.parametrize("links", HOSTILE.values(), ids=HOSTILE)
def test_files_that_are_read_in_the_image_lie_in_it(
    guests: Guests, name: str, links: Mapping[str, str]
) -> None:
    layer = tar({".wh.etc": ""} if "etc" in links else {"etc/.wh.passwd": ""})
    guests.load(name, layers=[layer, tar({}, links)], Cmd=["true"])
    assert "has no user 'daemon'" in guests.fail(name, "--user", "daemon")
    if "etc" not in links:  # else there is no place for the host's resolv.conf, and the runtime refuses it
        guests.run(name, "--user", "5")


def test_a_file_of_users_that_never_ends(guests: Guests, name: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("etc/passwd")
        info.type = tarfile.FIFOTYPE
        archive.addfile(info)
    guests.load(name, layers=[out.getvalue()], Cmd=["true"])
    guests.run(name)


def test_a_layer_that_leads_out(guests: Guests, name: str) -> None:
    outside = guests.folder / "outside"
    guests.load(name, layers=[tar({f"../../../../../../../../../..{outside}": "x"})], Cmd=["true"])
    message = guests.fail(name)
    assert "the layer has a member whose name leads out of it" in message
    assert "hint: do not trust this image" in message
    assert not outside.exists()


def test_from_python(guests: Guests, name: str) -> None:
    guests.load(name, Entrypoint=["sh", "-c", "exit $0"], Cmd=["3"])
    program = f"""
import sys, wardian
sys.stdout.write(str(wardian.run_image({name!r})))
sys.stdout.write(str(wardian.run_image({name!r}, wardian.RunRequest(target=None, arguments=["4"]))))
try:
    wardian.run_image({name!r}, pull="sometimes")
except wardian.WardianError as error:
    sys.stdout.write(error.hint)
"""
    python = guests.account.program.resolve().parent / "python"
    result = expect(guests.account.execute([str(python), "-c", program], cwd=guests.account.home))
    assert result.stdout == "34write one of missing, always, never"


def test_options_of_images_and_of_projects(guests: Guests) -> None:
    account = guests.account
    for words, message in {
        ("run", "--user", "app", "--", "true"): "--user is for --image alone",
        ("run", "--pull", "always", "--", "true"): "--pull is for --image alone",
        ("shell", "--entrypoint", "sh"): "--entrypoint is for --image alone",
        ("run", "--image", "x", "-p", "a=1", "n.ipynb"): "-p and --output are for notebooks",
        ("run", "--image", "x", "--pull", "sometimes"): "invalid choice",
    }.items():
        assert message in refused(account.wardian(*words, cwd=account.home))


@pytest.fixture(scope="session")
def registry(session_root: Path, need: Callable[[object, str], None]) -> Iterator[str]:
    """A real registry on this machine: its host and port."""
    program = shutil.which("docker-registry") or shutil.which("registry")
    need(program, "docker-registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = session_root / f"guests-registry-{os.getpid()}"
    folder.mkdir()
    configuration = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "log": {"level": "error"},
    }
    (folder / "config.yml").write_text(json.dumps(configuration))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [str(program), "serve", str(folder / "config.yml")], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        for _ in range(200):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"localhost:{port}"
    finally:
        process.terminate()
        process.wait()


DOCKERFILE = """\
FROM {base}
RUN useradd --uid 1500 --create-home worker && rm -rf /usr/share/doc/* && ln -s /usr/bin/env /bin/my-env
RUN rm -rf /var/lib/dpkg/info && mkdir /var/lib/dpkg/info && echo new > /var/lib/dpkg/info/new
RUN setcap cap_net_raw+ep /bin/cat 2>/dev/null; mkfifo /pipe; chmod 4755 /bin/cat; echo old > /old
ENV FROM_IMAGE=yes
USER worker
WORKDIR /home/worker/deep
ENTRYPOINT ["sh", "-c", "id -un; pwd; echo $FROM_IMAGE; ls /var/lib/dpkg/info /usr/share/doc; cat /old"]
"""
SAID = "worker\n/home/worker/deep\nyes\n/usr/share/doc:\n\n/var/lib/dpkg/info:\nnew\nold\n"


def test_an_image_that_docker_pushed(
    guests: Guests, registry: str, docker: Any, docker_base: str, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.format(base=docker_base))
    name = f"{registry}/made-by/docker:1"
    docker("build", "--network", "host", "-t", name, str(tmp_path))
    docker("push", name)
    result = expect(guests.account.wardian("run", "--image", name, cwd=guests.account.home))
    assert result.stdout.startswith(SAID)
    assert guests.run(name, "--user", "root", "--entrypoint", "id", "--", "-un") == "root\n"
    (tmp_path / "Dockerfile").write_text(f'FROM {name}\nENTRYPOINT ["echo", "newer"]\n')
    docker("build", "--network", "host", "-t", name, str(tmp_path))
    docker("push", name)
    assert guests.run(name).startswith(SAID)
    assert guests.run(name, "--pull", "always") == "newer\n"
    assert guests.run(name) == "newer\n"


def test_an_image_that_podman_saved(guests: Guests, podman: Any, podman_base: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.format(base=podman_base))
    podman(*podman.build, "-t", "localhost/made-by-podman:1", str(tmp_path))
    archive = guests.folder / "podman.tar"
    archive.unlink(missing_ok=True)
    podman("save", "--format", "oci-archive", "-o", str(archive), "localhost/made-by-podman:1")
    guests.load_archive(archive)
    assert guests.run("localhost/made-by-podman:1").startswith(SAID)


def test_a_registry_that_is_not_there(guests: Guests) -> None:
    assert "hint" in guests.fail("localhost:1/nothing", "true")


def test_a_tag_that_does_not_exist(guests: Guests, registry: str) -> None:
    message = guests.fail(f"{registry}/nothing:1", "true")
    assert f"{registry}/nothing" in message
    assert "hint" in message
