"""Running commands in a built container: what goes in, what comes out, what stays."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Callable

import pytest

from .conftest import Bench
from .machine import Account, expect, refused


def test_a_pipe_goes_through(bench: Bench) -> None:
    assert bench.run("--", "wc", "-l", input="one\ntwo\nthree\n").split() == ["3"]


def test_output_and_errors_stay_apart_and_nothing_else_is_said(bench: Bench) -> None:
    result = expect(bench.wardian("run", "--", "sh", "-c", "echo out; echo err >&2"))
    assert (result.stdout, result.stderr) == ("out\n", "err\n")


@pytest.mark.parametrize("status", [0, 1, 2, 7, 119, 126, 255])
def test_the_exit_status_is_the_commands(plain_bench: Bench, status: int) -> None:
    assert plain_bench.wardian("run", "--", "sh", "-c", f"exit {status}").returncode == status


def test_a_command_that_a_signal_ends_gives_128_and_its_number(bench: Bench) -> None:
    assert bench.wardian("run", "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_a_command_that_is_not_there(plain_bench: Bench) -> None:
    said = refused(plain_bench.wardian("run", "--", "no-such-command"))
    assert said.startswith("error: cannot start 'no-such-command': ")
    assert "hint: " in said


@pytest.mark.parametrize("ending", ["exit 5", "kill -TERM $$"])
def test_what_a_command_leaves_running_ends_with_it(bench: Bench, ending: str) -> None:
    start = time.monotonic()
    result = bench.wardian("run", "--", "sh", "-c", f"sleep 60 & setsid sleep 60 & {ending}")
    assert result.returncode == {"exit 5": 5, "kill -TERM $$": 143}[ending]
    assert time.monotonic() - start < 20


def test_arguments_arrive_as_they_are(plain_bench: Bench) -> None:
    words = ["", " ", "a b", "--help", "-x", "$HOME", "'\"", "ünï ☃", "*", "new\nline"]
    script = "import json, sys; print(json.dumps(sys.argv[1:]))"
    assert json.loads(plain_bench.run("--", "python", "-c", script, *words)) == words


def test_big_output_and_binary_input_pass_unharmed(plain_bench: Bench) -> None:
    count = plain_bench.sh("head -c 3000000 /dev/zero | tr '\\0' x")
    assert len(count) == 3_000_000


def test_a_reader_that_goes_away_ends_the_run(bench: Bench) -> None:
    command = f"{bench.account.program} run -- yes | head -n 1"
    result = bench.account.execute(
        ["/bin/sh", "-c", command.replace("head", "/usr/bin/head")], cwd=bench.folder
    )
    assert result.stdout == "y\n"
    assert "Traceback" not in result.stderr


def test_the_folder_is_the_working_directory_and_files_belong_to_the_invoking_user(bench: Bench) -> None:
    bench.sh("pwd > where; mkdir -p made/deep; echo x > made/deep/file; chmod 755 where")
    made = bench.folder / "made/deep/file"
    assert (bench.folder / "where").read_text() == "/work\n"
    assert {(path.stat().st_uid, path.stat().st_gid) for path in (made, made.parent, made.parent.parent)} == {
        (bench.account.uid, bench.account.gid)
    }
    assert stat.S_IMODE(made.stat().st_mode) == 0o644


def test_a_run_below_the_folder_starts_there(bench: Bench) -> None:
    bench.sh("mkdir -p below/here")
    result = bench.account.wardian("run", "--", "pwd", cwd=bench.folder / "below/here")
    assert expect(result).stdout == "/work/below/here\n"


def test_minus_c_works_on_another_folder(bench: Bench) -> None:
    result = bench.account.wardian("-C", str(bench.folder), "run", "--", "pwd", cwd=bench.account.home)
    assert expect(result).stdout == "/work\n"


def test_variables_come_from_the_command_line_files_and_the_spec(plain_bench: Bench) -> None:
    (plain_bench.folder / "some.env").write_text('# a comment\nA=from file\nB="quoted"\nexport C=c\n')
    script = 'echo "$A|$B|$C|$D|$E|$SECRET"'
    options = ["--env-file", "some.env", "-e", "A=from line", "-e", "D=a=b", "-e", "E"]
    said = plain_bench.sh(script, *options, env={"E": "outside", "SECRET": "not passed"})
    assert said == "from line|quoted|c|a=b|outside|\n"


def test_a_wrong_variable_is_a_usage_error(plain_bench: Bench) -> None:
    said = refused(plain_bench.wardian("run", "-e", "1A=x", "--", "true"), 1)
    assert "-e: '1A' is no name of a variable" in said


def test_a_missing_environment_file(plain_bench: Bench) -> None:
    said = refused(plain_bench.wardian("run", "--env-file", "absent.env", "--", "true"), 1)
    assert "absent.env: No such file or directory" in said


def test_volumes_are_mounted_and_read_only_ones_refuse_writing(bench: Bench) -> None:
    data = bench.account.project("volume", {"file": "inside\n"})
    read = bench.sh("cat /data/file; touch /data/new || echo refused", "-v", f"{data}:/data:ro")
    assert read == "inside\nrefused\n"
    bench.sh("echo more >> /data/deep/place/file", "-v", f"{data}:/data/deep/place")
    assert (data / "file").read_text() == "inside\nmore\n"
    assert bench.sh("cat /one/file", "-v", f"{data / 'file'}:/one/file:ro") == "inside\nmore\n"


def test_a_read_only_volume_cannot_be_remounted(bench: Bench) -> None:
    data = bench.account.project("volume-ro", {"file": "inside\n"})
    script = "mount -o remount,bind,rw /data 2>/dev/null; echo x > /data/file && echo written; true"
    assert bench.sh(script, "-v", f"{data}:/data:ro") == ""
    assert bench.sh(script, "--root", "-v", f"{data}:/data:ro") == ""


def test_a_volume_that_does_not_exist(plain_bench: Bench) -> None:
    said = refused(plain_bench.wardian("run", "-v", "./absent:/data", "--", "true"))
    assert "absent" in said
    assert "at /data: it does not exist" in said


def test_no_network_but_the_loopback(bench: Bench) -> None:
    script = """
import json, socket
names = [name for _, name in socket.if_nameindex()]
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname(), timeout=2).close()
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    print(json.dumps([names, error.errno]))
"""
    names, error = json.loads(bench.run("--network", "none", "--", "python", "-c", script))
    assert [name for name in names if not name.startswith(("sit", "tun", "gre", "ip", "erspan"))] == ["lo"]
    assert error == 101  # ENETUNREACH


def test_tmp_and_home_are_private_and_writable_and_the_root_is_thrown_away(bench: Bench) -> None:
    script = (
        "set -e; for d in /tmp ~ /var/tmp /etc /usr/local/bin /opt /; do echo x > $d/left-behind; done;"
        "echo $HOME; stat -c '%a %U' /tmp ~"
    )
    lines = bench.sh(script).splitlines()
    assert lines[0] == "/home/user"
    assert lines[1] == "1777 root" or re.fullmatch(r"1777 \w+", lines[1])
    assert lines[2].endswith("user")
    found = bench.sh("ls -d /left-behind /*/left-behind /*/*/left-behind ~/left-behind 2>/dev/null; true")
    assert found == ""
    assert not os.path.exists("/tmp/left-behind")


def test_two_runs_at_once_see_nothing_of_each_other(bench: Bench) -> None:
    first = bench.account.start(
        "run", "--", "sh", "-c", "echo x > /tmp/mine; echo ready; sleep 5", cwd=bench.folder
    )
    assert first.stdout is not None
    try:
        assert first.stdout.readline() == "ready\n"
        assert bench.sh("ls /tmp; ls /proc | grep -c '^[0-9]'").splitlines()[-1].isdigit()
        assert "mine" not in bench.sh("ls /tmp")
    finally:
        first.terminate()
        first.communicate()


def test_a_kept_root_keeps_changes(bench: Bench) -> None:
    bench.sh("echo kept > /etc/kept; echo home > ~/kept", "--keep", "trial")
    assert bench.sh("cat /etc/kept ~/kept", "--keep", "trial") == "kept\nhome\n"
    assert bench.sh("cat /etc/kept 2>/dev/null || echo none", "--keep", "other") == "none\n"
    assert bench.sh("cat /etc/kept 2>/dev/null || echo none") == "none\n"


def test_a_kept_root_is_for_one_run_at_a_time(plain_bench: Bench) -> None:
    first = plain_bench.account.start(
        "run", "--keep", "busy", "--", "sh", "-c", "echo ready; sleep 30", cwd=plain_bench.folder
    )
    assert first.stdout is not None
    try:
        assert first.stdout.readline() == "ready\n"
        said = refused(plain_bench.wardian("run", "--keep", "busy", "--", "true"))
        assert "the kept root 'busy' is in use by another run" in said
    finally:
        first.terminate()
        first.communicate()


@pytest.mark.parametrize("name", ["../up", "a/b", "/abs", "..", ""])
def test_a_kept_roots_name_is_no_path(plain_bench: Bench, name: str) -> None:
    assert "is no name for a kept root" in refused(plain_bench.wardian("run", "--keep", name, "--", "true"))


def test_memory_is_limited(bench: Bench) -> None:
    script = "x = bytearray(400 << 20); print(len(x))"
    result = bench.wardian("run", "--memory", "100m", "--", "python", "-c", script)
    if "--memory has no effect" in result.stderr:
        assert bench.account.name != "root" or not os.access("/sys/fs/cgroup", os.W_OK), result.stderr
        expect(result)
    else:
        assert result.returncode == 137, result.stderr
        assert expect(bench.wardian("run", "--memory", "1g", "--", "python", "-c", script)).stdout


def test_processors_are_limited(bench: Bench) -> None:
    script = """
import os, time
start, cpu = time.monotonic(), time.process_time()
while time.monotonic() - start < 1.0:
    pass
print((time.process_time() - cpu) / (time.monotonic() - start))
"""
    result = expect(bench.wardian("run", "--cpus", "0.3", "--", "python", "-c", script))
    if "--cpus has no effect" not in result.stderr:
        assert float(result.stdout) < 0.45
    else:
        assert bench.account.name != "root" or not os.access("/sys/fs/cgroup", os.W_OK), result.stderr


def test_no_cgroup_is_left(bench: Bench) -> None:
    bench.run("--memory", "500m", "--cpus", "1", "--", "true")
    left = [
        os.path.join(parent, name)
        for parent, folders, _ in os.walk("/sys/fs/cgroup")
        for name in folders
        # Those of other tests' runs, which still go on, are named by their processes.
        if name.startswith("wardian-") and not os.path.exists(f"/proc/{name.split('-')[1]}")
    ]
    assert left == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--memory", "lots"], "--memory 'lots' is no size"),
        (["--cpus", "0"], "--cpus '0' is no number of processors"),
        (["-v", "nothing"], "-v 'nothing' is no volume"),
        (["--network", "wifi"], "wifi"),
    ],
)
def test_wrong_options_are_told(plain_bench: Bench, words: list[str], said: str) -> None:
    assert said in refused(plain_bench.wardian("run", *words, "--", "true"), 1)


def test_the_clock_of_a_run_is_short(plain_bench: Bench, need: Callable[[object, str], None]) -> None:
    """A loose bound: the figure itself is the bench's; this holds off a heavy import on the way."""
    times = []
    for _ in range(7):
        start = time.monotonic()
        plain_bench.run("--", "true")
        times.append(time.monotonic() - start)
    assert min(times) < 0.4


def test_a_script_is_found_through_a_link_to_its_folder(bench: Bench) -> None:
    (bench.folder / "linked.py").write_text("print('found')\n")
    link = bench.folder.with_name(f"{bench.folder.name}-link")
    link.symlink_to(bench.folder)
    try:
        assert expect(bench.wardian("run", f"{link}/linked.py")).stdout == "found\n"
    finally:
        link.unlink()


@pytest.mark.parametrize("target", ["/", "/proc", "/work", "/opt", "/opt/venv", "/dev"])
def test_nothing_covers_what_a_run_stands_on(bench: Bench, target: str) -> None:
    told = refused(bench.wardian("run", "-v", f"{bench.folder}:{target}", "--", "true"))
    assert f"error: nothing can be mounted at {target}: it would cover" in told


def test_root_inside_writes_to_the_disk_and_may_change_its_root(bench: Bench) -> None:
    script = """
import os
try:
    os.fsync(999)
except OSError as error:
    print(error.errno)
os.chroot("/")
print("there")
"""
    assert bench.run("--root", "--", "python", "-c", script) == "9\nthere\n"


def test_a_project_with_a_long_name_runs(plain: Account) -> None:
    name = "a" * 80
    folder = plain.project("long-name", {"wardian.toml": f'name = "{name}"\n'})
    assert expect(plain.wardian("run", "--", "hostname", cwd=folder)).stdout == f"{name[:63]}\n"
