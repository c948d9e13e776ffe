"""The checks: real trials of the kernel, and made-up /proc and /sys folders for what this machine is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wardian.api.diagnosis import diagnose as diagnose_all
from wardian.errors import FetchError
from wardian.runtime.doctor import cgroups, kernel, network, storage, trial
from wardian.runtime.doctor.check import Check
from wardian.runtime.doctor.diagnose import diagnose
from wardian.runtime.doctor.network import Probe
from wardian.system.http import Fetcher

STEPS = ("unshare", "map", "mounts", "proc", "overlay", "replace", "nested")
WORKING = dict.fromkeys(STEPS, 0)
EPERM, ENOSPC, EACCES, EINVAL, ENODEV = 1, 28, 13, 22, 19


def make_host(folder: Path, files: dict[str, str]) -> Path:
    """A root folder with the given files, and a kernel that has user namespaces."""
    for name, content in {"proc/self/ns/user": "", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


@pytest.mark.namespaces
def test_this_machine(tmp_path: Path) -> None:
    home = tmp_path / "home"
    checks = diagnose({}, home, programs={"python": lambda: Path(sys.executable)}, temporary=tmp_path)
    assert [check.name for check in checks] == [
        "kernel",
        "store",
        "disk space",
        "temporary files",
        "user namespaces",
        "seccomp",
        "overlayfs",
        "hard links",
        "limits",
        "python",
        "certificates",
    ]
    failed = [check for check in checks if check.ok is False]
    assert failed == []
    assert all(check.hint for check in checks if not check.ok)
    assert list(home.iterdir()) == []
    assert str(home) not in Path("/proc/self/mounts").read_text()


@pytest.mark.namespaces
def test_trial_takes_every_step(tmp_path: Path) -> None:
    assert trial.attempt(tmp_path) == WORKING
    assert list(tmp_path.iterdir()) == []


@pytest.mark.namespaces
@pytest.mark.parametrize(("limit", "step"), [("user", "unshare"), ("mnt", "unshare"), ("pid", "unshare")])
def test_limit_of_the_kernel(tmp_path: Path, limit: str, step: str) -> None:
    """In a user namespace of our own we may forbid further ones, as an administrator does outside."""
    program = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from wardian.system import namespace\n"
        "from wardian.runtime.doctor import kernel, trial\n"
        "import os\n"
        "user, group = os.getuid(), os.getgid()\n"
        "namespace.unshare(namespace.CLONE_NEWUSER)\n"
        "namespace.map_only(user, group)\n"
        f"Path('/proc/sys/user/max_{limit}_namespaces').write_text('0')\n"
        "steps = trial.attempt(Path(sys.argv[1]))\n"
        "check = kernel.check_namespaces(Path('/'), steps)\n"
        "print(json.dumps([steps, check.ok, check.message, check.hint]))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    steps, ok, message, hint = json.loads(output)
    assert steps == {step: ENOSPC}
    assert ok is False
    assert message == (f"making one fails: No space left on device; user.max_{limit}_namespaces is 0")
    assert hint == (
        f"run: echo user.max_{limit}_namespaces=15000 | sudo tee /etc/sysctl.d/60-userns.conf "
        "&& sudo sysctl --system"
    )


@pytest.mark.parametrize(
    ("files", "steps", "message", "hint"),
    [
        (
            {"proc/sys/kernel/unprivileged_userns_clone": "0\n"},
            {"unshare": EPERM},
            "making one fails: Operation not permitted; kernel.unprivileged_userns_clone is 0",
            "run: echo kernel.unprivileged_userns_clone=1 | sudo tee",
        ),
        (
            {
                "proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n",
                "proc/sys/kernel/unprivileged_userns_clone": "1\n",
            },
            {"unshare": 0, "map": EACCES},
            (
                "mapping the user's id into it fails: Permission denied; AppArmor restricts them "
                "(kernel.apparmor_restrict_unprivileged_userns is 1)"
            ),
            "run: echo kernel.apparmor_restrict_unprivileged_userns=0 | sudo tee",
        ),
        (
            {".dockerenv": ""},
            {"unshare": EPERM},
            "making one fails: Operation not permitted; this is a container (docker), and its rules forbid",
            "start that container with --security-opt seccomp=unconfined",
        ),
        (
            {"run/.containerenv": ""},
            {"unshare": 0, "map": 0, "mounts": 0, "proc": EPERM, "overlay": 0, "replace": 0},
            (
                "mounting /proc inside it fails: Operation not permitted; this is a container (podman), "
                "and its rules forbid it"
            ),
            "start that container with --security-opt seccomp=unconfined --security-opt unmask=ALL",
        ),
        (
            {"var/run/secrets/kubernetes.io/token": ""},
            {"unshare": EPERM},
            "making one fails: Operation not permitted; this is a container (kubernetes), and its rules",
            "give the pod hostUsers: false",
        ),
        (
            {"run/systemd/container": "lxc\n"},
            {"unshare": EPERM},
            "making one fails: Operation not permitted; this is a container (lxc), and its rules forbid it",
            "allow nesting in that container's settings",
        ),
        (
            {"sys/fs/selinux/enforce": "1"},
            {"unshare": EACCES},
            "making one fails: Permission denied; SELinux is enforcing, and may be what forbids it",
            "look for a denied user_namespace with: sudo ausearch -m avc -ts recent",
        ),
        (
            {"proc/self/status": "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"},
            {"unshare": EPERM},
            "making one fails: Operation not permitted; this process runs under a system call filter",
            "run wardian outside the sandbox",
        ),
        (
            {},
            {**WORKING, "nested": ENOSPC},
            "making one inside another fails: No space left on device; there are too many of them",
            "raise user.max_user_namespaces",
        ),
        ({}, {"unshare": EPERM}, "making one fails: Operation not permitted", "ask whoever administers"),
        ({}, {"unshare": 0}, "mapping the user's id into it fails: no answer", "ask whoever administers"),
    ],
)
def test_what_forbids_namespaces(
    tmp_path: Path, files: dict[str, str], steps: dict[str, int], message: str, hint: str
) -> None:
    check = kernel.check_namespaces(make_host(tmp_path, files), steps)
    assert check.ok is False
    assert check.message.startswith(message)
    assert check.hint is not None
    assert check.hint.startswith(hint)


def test_kernel_without_namespaces(tmp_path: Path) -> None:
    check = kernel.check_namespaces(tmp_path, {"unshare": EINVAL})
    assert check.message == "making one fails: Invalid argument; the kernel has none (CONFIG_USER_NS)"


def test_setting_that_does_not_matter_is_not_blamed(tmp_path: Path) -> None:
    host = make_host(tmp_path, {"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"})
    assert kernel.check_namespaces(host, WORKING).ok is True


@pytest.mark.parametrize(
    ("release", "ok", "message"),
    [
        ("6.12.0-amd64", True, "Linux 6.12.0-amd64 on "),
        ("5.12.1", True, "Linux 5.12.1 on "),
        (
            "5.10.0-32-amd64",
            None,
            "Linux 5.10.0-32-amd64 is older than 5.12, the oldest that is known to work",
        ),
        ("5.15.153.1-microsoft-standard-WSL2", True, "Linux 5.15.153.1-microsoft-standard-WSL2 on "),
        ("4.4.0-19041-Microsoft", False, "4.4.0-19041-Microsoft is WSL 1, which is no Linux kernel"),
    ],
)
def test_kernel(tmp_path: Path, release: str, ok: bool | None, message: str) -> None:
    check = kernel.check_kernel(make_host(tmp_path, {"proc/sys/kernel/osrelease": f"{release}\n"}))
    assert check.ok is ok
    assert check.message.startswith(message)


def test_seccomp(tmp_path: Path) -> None:
    host = make_host(
        tmp_path, {"proc/sys/kernel/seccomp/actions_avail": "kill_process errno user_notif allow\n"}
    )
    assert kernel.check_seccomp(host).ok is True
    assert kernel.check_seccomp(tmp_path / "elsewhere").ok is False


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw,relatime shared:9 - nfs4 server:/home rw
31 22 0:41 / /mnt/my\\040disk rw - btrfs /dev/sdb rw
"""


@pytest.mark.parametrize(
    ("path", "kind"), [("/home/x/y", "nfs4"), ("/homeless", "ext4"), ("/mnt/my disk/a", "btrfs")]
)
def test_filesystem(tmp_path: Path, path: str, kind: str) -> None:
    host = make_host(tmp_path, {"proc/self/mountinfo": MOUNTS})
    assert storage.filesystem(host, Path(path)) == kind


@pytest.mark.parametrize(
    ("steps", "files", "message", "hint"),
    [
        ({"overlay": EINVAL}, {}, "Invalid argument", "set WARDIAN_HOME to a folder on a local disk"),
        (
            {"overlay": 0, "replace": 95},
            {},
            "Operation not supported",
            "set WARDIAN_HOME to a folder on a local disk",
        ),
        ({"overlay": ENODEV}, {"proc/filesystems": "\text4\n"}, "No such device", "load the kernel's module"),
        (
            {"overlay": EINVAL},
            {"proc/self/mountinfo": "1 1 0:1 / / rw - overlay overlay rw\n"},
            "Invalid argument",
            "set WARDIAN_HOME to a volume",
        ),
        (
            {"overlay": EPERM},
            {"proc/filesystems": "nodev\toverlay\n"},
            "Operation not permitted",
            "upgrade the kernel",
        ),
    ],
)
def test_overlay(
    tmp_path: Path, steps: dict[str, int], files: dict[str, str], message: str, hint: str
) -> None:
    check = storage.check_overlay(make_host(tmp_path, files), Path("/home/x"), steps)
    assert check.ok is False
    assert check.message.endswith(message)
    assert check.hint is not None
    assert check.hint.startswith(hint)


def test_store_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file/home"
    checks = by_name(diagnose({}, home, programs={}, temporary=tmp_path))
    assert checks["store"].ok is False
    assert checks["store"].message == f"{home} cannot be written: Not a directory"
    assert checks["store"].hint == "set WARDIAN_HOME to a folder that you can write"
    assert checks["user namespaces"].ok is None
    assert checks["overlayfs"].ok is None
    assert checks["hard links"].ok is None


@pytest.mark.namespaces
@pytest.mark.parametrize(
    ("options", "name", "ok", "message"),
    [
        ("noexec,size=9g", "store", False, "is on a file system whose programs may not be executed (noexec)"),
        ("size=20m", "disk space", False, "0.0 GB free at "),
        ("size=2g", "disk space", None, "2.1 GB free at "),
        ("size=9g,nr_inodes=1000", "disk space", False, " more files"),
        ("size=9g,nr_inodes=100000", "disk space", None, " more files"),
        ("size=20m", "temporary files", None, "0.0 GB free at "),
    ],
)
def test_small_and_closed_disks(
    tmp_path: Path, options: str, name: str, ok: bool | None, message: str
) -> None:
    """On a real file system of that kind, in a user namespace that may mount one."""
    program = (
        "import json, os, sys\n"
        "from pathlib import Path\n"
        "from wardian.system import namespace\n"
        "from wardian.runtime.doctor import storage\n"
        "user, group = os.getuid(), os.getgid()\n"
        "namespace.unshare(namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS)\n"
        "namespace.map_only(user, group)\n"
        "folder, options = sys.argv[1:]\n"
        "flags = namespace.MS_NOEXEC if options.startswith('noexec,') else 0\n"
        "namespace.mount('tmpfs', folder, 'tmpfs', flags, options.removeprefix('noexec,'))\n"
        "checks = storage.check_storage(Path(folder, 'home'), Path(folder))\n"
        "print(json.dumps({check.name: [check.ok, check.message, check.hint] for check in checks}))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), options]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found, told, hint = json.loads(output)[name]
    assert found is ok
    assert message in told
    assert hint


@pytest.mark.parametrize(
    ("files", "version", "ok"),
    [
        (
            {
                "sys/fs/cgroup/cgroup.controllers": "cpu memory",
                "proc/self/cgroup": "0::/user.slice/a.scope\n",
                "sys/fs/cgroup/user.slice/cgroup.procs": "",
                "sys/fs/cgroup/user.slice/cgroup.subtree_control": "cpu memory pids",
                "sys/fs/cgroup/user.slice/a.scope/cgroup.procs": "",
                "sys/fs/cgroup/user.slice/a.scope/cgroup.subtree_control": "",
            },
            "v2",
            True,
        ),
        (
            {
                "sys/fs/cgroup/cgroup.controllers": "cpu memory",
                "proc/self/cgroup": "0::/user.slice/a.scope\n",
                "sys/fs/cgroup/user.slice/cgroup.procs": "",
                "sys/fs/cgroup/user.slice/cgroup.subtree_control": "memory pids",
                "sys/fs/cgroup/user.slice/a.scope/cgroup.procs": "",
                "sys/fs/cgroup/user.slice/a.scope/cgroup.subtree_control": "",
            },
            "v2",
            None,
        ),
        (
            {
                "sys/fs/cgroup/memory/a/cgroup.procs": "",
                "sys/fs/cgroup/cpu,cpuacct/a/cgroup.procs": "",
                "sys/fs/cgroup/cpu/a/cgroup.procs": "",
                "proc/self/cgroup": "4:memory:/a\n2:cpu,cpuacct:/a\n",
            },
            "v1",
            True,
        ),
        (
            {
                "sys/fs/cgroup/memory/a/cgroup.procs": "",
                "sys/fs/cgroup/unified/cgroup.procs": "",
                "proc/self/cgroup": "4:memory:/a\n0::/\n",
            },
            "hybrid",
            None,
        ),
        ({}, "", None),
    ],
)
def test_cgroups(tmp_path: Path, files: dict[str, str], version: str, ok: bool | None) -> None:
    host = make_host(tmp_path, files)
    check = cgroups.check_cgroups(host)
    assert cgroups.find_version(host) == version
    assert check.ok is ok
    assert ok or check.hint


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.pem"
    path.write_text("no certificate\n")
    return path


def test_certificates_that_are_none(bundle: Path) -> None:
    check = network.check_certificates({"SSL_CERT_FILE": str(bundle)})
    assert check.ok is False
    assert check.message.startswith(f"the certificates that SSL_CERT_FILE names cannot be read: {bundle}: ")
    assert check.hint == "set SSL_CERT_FILE to a file of certificates in PEM form, or unset it"


def test_certificates_that_do_not_exist(tmp_path: Path) -> None:
    check = network.check_certificates({"REQUESTS_CA_BUNDLE": str(tmp_path / "none.pem")})
    assert check.ok is False
    assert check.message.endswith("none.pem: No such file or directory")


def test_certificates_of_the_system(tmp_path: Path) -> None:
    assert network.check_certificates({}).message == "those that the system trusts"
    found = network.check_certificates({"SSL_CERT_DIR": str(tmp_path)})
    assert (found.ok, found.message) == (True, f"{tmp_path} (SSL_CERT_DIR)")


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/good" else 404)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_probes(server: str) -> None:
    fetcher = Fetcher(environment={})

    def probe(path: str) -> Probe:
        return Probe(name=path, address=server, reach=lambda: void(fetcher.get(f"{server}/{path}")))

    good, bad = network.check_probes([probe("good"), probe("bad")])
    fetcher.close()
    assert good.ok is True
    assert good.message.startswith(f"{server} answers in 0.")
    assert bad.ok is False
    assert f"{server}/bad" in bad.message
    assert bad.hint


def test_a_probe_that_the_disk_fails() -> None:
    def reach() -> None:
        raise PermissionError(13, "Permission denied", "/store/cache")

    (check,) = network.check_probes([Probe(name="index", address="the index", reach=reach)])
    assert check.ok is False
    assert check.message == "the index cannot be asked: /store/cache: Permission denied"
    assert check.hint


def test_a_store_that_cannot_be_used_is_no_matter_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = {
        "WARDIAN_HOME": str(tmp_path / "file/home"),
        "WARDIAN_CONFIG": str(tmp_path / "none.toml"),
        "WARDIAN_DEBIAN_ARCHIVE": f"file://{tmp_path}/archive",
        "WARDIAN_DEBIAN_SECURITY": f"file://{tmp_path}/security",
        "HOME": str(tmp_path),
    }
    (tmp_path / "none.toml").touch()
    checks = by_name(diagnose_all(environment))
    assert "configuration" not in checks
    assert "archive" in checks["trixie"].message
    assert checks["store"].ok is False
    for name in ("Python index", "hard links"):
        assert (checks[name].ok, checks[name].hint) == (None, "mend the store first")
        assert checks[name].message == "not tried, because the store's folder cannot be written"


def test_a_configuration_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    environment = {
        "WARDIAN_HOME": str(tmp_path / "home"),
        "WARDIAN_CONFIG": str(tmp_path / "none.toml"),
        "HOME": str(tmp_path),
    }
    checks = by_name(diagnose_all(environment))
    assert checks["configuration"].ok is False
    assert "that WARDIAN_CONFIG names does not exist" in checks["configuration"].message
    assert checks["store"].ok is True


def test_a_store_in_a_folder_that_may_not_be_entered(tmp_path: Path) -> None:
    """As another user: nothing is forbidden to root."""
    tmp_path.chmod(0)
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from wardian.runtime.doctor.diagnose import diagnose\n"
        "if os.geteuid() == 0:\n"
        "    os.setgroups([])\n"
        "    os.setresgid(65534, 65534, 65534)\n"
        "    os.setresuid(65534, 65534, 65534)\n"
        "for check in diagnose({}, Path(sys.argv[1]), programs={}):\n"
        "    print(check.name, check.ok, check.message, check.hint, sep='|')\n"
    )
    home = f"{tmp_path}/home"
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, home], capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        tmp_path.chmod(0o700)
    assert done.stderr == ""
    told = dict(line.split("|", 1) for line in done.stdout.splitlines())
    hint = "set WARDIAN_HOME to a folder that you can write"
    assert told["store"] == f"False|{home} cannot be written: Permission denied|{hint}"
    assert (
        told["hard links"]
        == "None|not tried, because the store's folder cannot be written|mend the store first"
    )
    assert "not tried" in told["overlayfs"]
    assert "disk space" in told


def test_the_store_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    assert by_name(storage.check_storage(tmp_path / "home", tmp_path))["store"].ok
    assert storage.is_writable(tmp_path / "other")
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("home", "other")} == {0o700}


def void(value: object) -> None:
    """Have an expression that gives something give nothing."""


def test_programs(tmp_path: Path) -> None:
    def missing() -> Path:
        raise FetchError("the package is not installed", hint="install it")

    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    uv = Path(shutil.which("uv", path=os.path.dirname(sys.executable)) or "uv")
    checks = by_name(
        network.check_programs(
            {"uv": lambda: uv, "missing": missing, "broken": lambda: broken, "none": lambda: tmp_path}
        )
    )
    assert checks["uv"].ok is True
    assert checks["uv"].message.startswith("uv ")
    assert (checks["missing"].message, checks["missing"].hint) == (
        "the package is not installed",
        "install it",
    )
    assert checks["broken"].message.startswith("does not start: Command ")
    assert checks["none"].message.startswith("does not start: ")
    assert checks["none"].hint == "reinstall wardian, so that the package gets the wheel for this machine"
