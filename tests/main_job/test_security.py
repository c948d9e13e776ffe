"""What a run may not do to the host it stands on, whoever starts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Bench
from .machine import Account, expect, refused


def _status(text: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def test_inside_is_a_user_without_any_privilege(bench: Bench) -> None:
    status = _status(bench.sh("cat /proc/self/status"))
    assert set(status["Uid"].split()) == {"1000"}
    assert set(status["Gid"].split()) == {"1000"}
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert bench.sh("id -un; whoami; echo $USER").split() == ["user"] * 3


def test_emulated_root_is_confined_as_well(bench: Bench) -> None:
    status = _status(bench.sh("cat /proc/self/status", "--root"))
    assert set(status["Uid"].split()) == {"0"}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


@pytest.mark.parametrize("options", [[], ["--root"]])
def test_the_kernels_settings_cannot_be_written(bench: Bench, options: list[str]) -> None:
    # Opened for writing only: no setting of the host is changed even where a test fails.
    paths = [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/vm/drop_caches",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/sys/power/state",
        "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/cgroup.procs",
    ]
    script = f"""
import os
for path in {paths!r}:
    try:
        os.close(os.open(path, os.O_WRONLY))
        print("opened", path)
    except OSError:
        pass
"""
    assert bench.run(*options, "--", "python", "-c", script) == ""


@pytest.mark.parametrize("options", [[], ["--root"]])
def test_the_kernels_secrets_cannot_be_read(bench: Bench, options: list[str]) -> None:
    script = "for f in /proc/kcore /proc/keys /proc/timer_list; do head -c 1 $f 2>/dev/null; done; true"
    assert bench.sh(script, *options) == ""
    assert bench.sh("ls -A /sys/firmware 2>/dev/null; true", *options) == ""


@pytest.mark.parametrize("options", [[], ["--root"]])
def test_nothing_of_the_host_is_visible_but_what_is_mounted(bench: Bench, options: list[str]) -> None:
    assert bench.sh(f"ls -d {bench.account.home} {bench.account.store} 2>/dev/null; true", *options) == ""
    devices = set(bench.sh("ls /dev", *options).split())
    assert devices <= {
        "console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
        "stdout", "tty", "urandom", "zero",
    }  # fmt: skip
    processes = bench.sh("cat /proc/[0-9]*/comm", *options).split()
    assert len(processes) < 8, processes


@pytest.mark.parametrize("options", [[], ["--root"]])
def test_system_calls_that_reach_the_kernel_are_refused(bench: Bench, options: list[str]) -> None:
    script = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, *arguments):
    ctypes.set_errno(0)
    print(name, libc.syscall(*arguments) < 0)
number = {"x86_64": {"keyctl": 250, "bpf": 321, "perf": 298, "reboot": 169, "init_module": 175, "mount": 165},
          "aarch64": {"keyctl": 219, "bpf": 280, "perf": 241, "reboot": 142, "init_module": 105, "mount": 40}}
number = number[os.uname().machine]
tried("bpf", number["bpf"], 0, 0, 0)
tried("reboot", number["reboot"], 0, 0, 0, 0)
tried("init_module", number["init_module"], 0, 0, 0)
"""
    lines = bench.run(*options, "--", "python", "-c", script).splitlines()
    assert [line.split()[1] for line in lines] == ["True"] * 3


def test_namespaces_made_inside_gain_nothing(bench: Bench) -> None:
    script = (
        "unshare -Urm sh -c 'umount /proc/sys; umount -l /proc/kcore; mount -o remount,bind,rw /proc/sys;"
        ": > /proc/sysrq-trigger; : > /proc/sys/kernel/core_pattern' 2>/dev/null && echo gained; true"
    )
    assert bench.sh(script) == ""


def test_a_program_that_sets_its_user_gains_nothing(bench: Bench) -> None:
    said = bench.sh("for f in /usr/bin/passwd /usr/bin/su; do stat -c %A $f; done; mount | grep -c ' / '")
    assert "1" in said.split()
    assert bench.sh("su -c id 2>/dev/null </dev/null || echo no") == "no\n"


def test_other_users_files_stay_closed_to_a_plain_users_emulated_root(
    plain_bench: Bench, rooted: Account
) -> None:
    secret = plain_bench.folder / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    assert secret.stat().st_uid == rooted.uid
    assert "Permission denied" in plain_bench.sh("cat secret 2>&1; true", "--root")
    said = refused(plain_bench.wardian("run", "-v", f"{rooted.home}/file:/secret", "--", "true"))
    assert "at /secret: Permission denied" in said


def test_the_hosts_own_files_are_untouched_by_emulated_root(bench: Bench) -> None:
    before = Path("/etc/passwd").read_bytes()
    bench.sh("echo evil:x:0:0::/:/bin/sh >> /etc/passwd; rm -rf /usr/share/doc; chown -R 1:1 /etc", "--root")
    assert Path("/etc/passwd").read_bytes() == before
    assert "evil" not in bench.sh("cat /etc/passwd")
    assert bench.sh("test -d /usr/share/doc && echo there") == "there\n"


def test_variables_of_the_host_stay_outside(bench: Bench) -> None:
    said = bench.sh("env", env={"AWS_SECRET_ACCESS_KEY": "x1y2", "SSH_AUTH_SOCK": "/x", "TERM": "vt100"})
    assert "x1y2" not in said
    assert "SSH_AUTH_SOCK" not in said
    assert "TERM=vt100" in said


def test_a_store_of_another_user_is_not_used(plain: Account, rooted: Account) -> None:
    folder = plain.project("others-store", {"wardian.toml": '[python]\npackages = ["six"]\n'})
    result = plain.wardian("build", cwd=folder, env={"WARDIAN_HOME": str(rooted.store)})
    assert result.returncode == 1
    assert "cannot use the store" in expect(result, 1).stderr
