"""A run at a terminal, in a multiplexer, and where there is no terminal at all."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .conftest import Bench
from .machine import expect


class Terminal:
    """A pseudo-terminal with wardian on it, as a person would have it."""

    def __init__(self, descriptor: int, process: subprocess.Popen[str]) -> None:
        self.descriptor = descriptor
        self.process = process
        self.seen = ""

    def expect(self, pattern: str, seconds: float = 20) -> str:
        """Read until `pattern` is seen; returns what led there."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < end, f"{pattern!r} is not in {self.seen!r}"
            if not self._read(end):
                found = re.search(pattern, self.seen)
                assert found, f"{pattern!r} is not in {self.seen!r}, which is all"
                break
        before, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return before

    def _read(self, end: float) -> bool:
        if not select.select([self.descriptor], [], [], max(0, end - time.monotonic()))[0]:
            return True
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # EIO: the last process has closed the terminal
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.descriptor, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        """Change the window's size."""
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        """Close the window: the kernel hangs up, and tells the session's leader alone."""
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, self.descriptor)
        os.close(nothing)

    def wait(self, seconds: float = 20) -> int:
        """The exit status, once all has been read."""
        end = time.monotonic() + seconds
        while self.process.poll() is None or select.select([self.descriptor], [], [], 0)[0]:
            assert time.monotonic() < end, self.seen
            if not self._read(min(end, time.monotonic() + 0.1)):
                break
        return self.process.wait(timeout=5)


@contextmanager
def terminal(bench: Bench, *words: str, **options: Any) -> Iterator[Terminal]:
    """Wardian on a terminal of 31 rows and 97 columns."""
    main, other = pty.openpty()
    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
    os.fchown(other, bench.account.uid, -1)
    process: Any = bench.account.start(
        *words,
        cwd=bench.folder,
        env={"TERM": "xterm", **options.pop("env", {})},
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        **{**dict.fromkeys(("stdin", "stdout", "stderr"), other), **options},
    )
    os.close(other)
    try:
        yield Terminal(main, process)
    finally:
        os.close(main)
        process.kill()
        process.wait()


def test_the_program_has_a_terminal_of_the_same_size(bench: Bench) -> None:
    with terminal(
        bench, "run", "--", "sh", "-c", "tty; stty size; test -t 0 -a -t 1 -a -t 2 && echo all"
    ) as shown:
        shown.expect(r"/dev/(pts/\d+|console)\r\n31 97\r\nall\r\n")
        assert shown.wait() == 0


def test_a_change_of_the_windows_size_arrives(bench: Bench) -> None:
    script = "trap 'stty size; exit 6' WINCH; echo ready; while :; do sleep 0.1; done"
    with terminal(bench, "run", "--", "sh", "-c", script) as shown:
        shown.expect("ready\r\n")
        shown.resize(40, 120)
        shown.expect("40 120\r\n")
        assert shown.wait() == 6


def test_control_c_interrupts_the_program(bench: Bench) -> None:
    with terminal(bench, "run", "--", "sh", "-c", "echo ready; exec sleep 60") as shown:
        shown.expect("ready\r\n")
        shown.type("\x03")
        assert shown.wait() == 130


def test_control_c_is_the_programs_to_handle_and_comes_once(bench: Bench) -> None:
    script = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGINT, lambda *_: os.write(1, b'heard\\n'))\n"
        "print('ready', flush=True)\n"
        "end = time.monotonic() + 1.5\n"
        "while time.monotonic() < end: time.sleep(0.05)\n"
        "print('over', flush=True)\n"
    )
    with terminal(bench, "run", "--", "python", "-c", script) as shown:
        shown.expect("ready\r\n")
        shown.type("\x03")
        said = shown.expect("over\r\n")
        assert said.count("heard") == 1
        assert shown.wait() == 0


def test_a_shell_is_interactive(bench: Bench) -> None:
    with terminal(bench, "shell") as shown:
        shown.expect(r"[$#] ")
        shown.type("echo $((6 * 7)); pwd\r")
        shown.expect("42\r\n/work\r\n")
        shown.type("sleep 60\r")
        time.sleep(0.5)
        shown.type("\x03")
        shown.type("echo on; exit 5\r")
        shown.expect("on\r\n")
        assert shown.wait() == 5


def test_a_closed_window_ends_the_program(bench: Bench) -> None:
    with terminal(bench, "run", "--", "sh", "-c", "echo ready; exec sleep 60") as shown:
        shown.expect("ready\r\n")
        shown.close()
        assert shown.process.wait(timeout=10) == 128 + signal.SIGHUP


def test_a_closed_window_ends_the_shell(plain_bench: Bench) -> None:
    with terminal(plain_bench, "shell") as shown:
        shown.expect(r"[$#] ")
        shown.close()
        assert shown.process.wait(timeout=10) == 128 + signal.SIGHUP


def test_a_closed_window_is_the_programs_to_handle_and_comes_once(bench: Bench) -> None:
    script = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGHUP, lambda *_: os.write(1, b'heard\\n'))\n"
        "print('ready', flush=True)\n"
        "end = time.monotonic() + 1.5\n"
        "while time.monotonic() < end: time.sleep(0.05)\n"
        "raise SystemExit(9)"
    )
    with terminal(bench, "run", "--", "python", "-c", script, stdout=subprocess.PIPE) as shown:
        assert shown.process.stdout
        assert shown.process.stdout.readline() == "ready\n"
        shown.close()
        assert shown.process.communicate(timeout=10)[0] == "heard\n"
        assert shown.process.returncode == 9


def test_a_closed_window_does_not_reach_a_program_under_nohup(plain_bench: Bench) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        script = "echo ready; sleep 1; echo still; exit 4"
        with terminal(plain_bench, "run", "--", "sh", "-c", script, stdout=subprocess.PIPE) as shown:
            assert shown.process.stdout
            assert shown.process.stdout.readline() == "ready\n"
            shown.close()
            assert shown.process.communicate(timeout=10)[0] == "still\n"
            assert shown.process.returncode == 4
    finally:
        signal.signal(signal.SIGHUP, before)


def test_why_a_program_cannot_be_started_is_told_once(bench: Bench) -> None:
    with terminal(bench, "run", "--", "no-such-command") as shown:
        said = shown.expect("hint:")
        assert said.count("not found in $PATH") == 1, said
        assert shown.wait() == 1
    (bench.folder / "nothing").write_text("x")
    (bench.folder / "nothing").chmod(0o755)
    with terminal(bench, "run", "--", "./nothing") as shown:
        shown.expect("Exec format error")


def test_the_terminal_is_left_as_it_was(bench: Bench) -> None:
    main, other = pty.openpty()
    try:
        before = termios.tcgetattr(other)
        os.fchown(other, bench.account.uid, -1)
        process: Any = bench.account.start(
            "run", "--", "sh", "-c", "stty raw -echo; exit 3",
            cwd=bench.folder, stdin=other, stdout=other, stderr=other, env={"TERM": "xterm"},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        assert process.wait(timeout=20) == 3
        assert termios.tcgetattr(other) == before
    finally:
        os.close(main)
        os.close(other)


def test_the_terminal_is_left_as_it_was_when_wardian_is_ended(bench: Bench) -> None:
    main, other = pty.openpty()
    try:
        before = termios.tcgetattr(other)
        os.fchown(other, bench.account.uid, -1)
        process: Any = bench.account.start(
            "run", "--", "sh", "-c", "echo ready; exec sleep 60",
            cwd=bench.folder, stdin=other, stdout=other, stderr=other, env={"TERM": "xterm"},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        assert b"ready" in os.read(main, 100)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143
        assert termios.tcgetattr(other) == before
    finally:
        os.close(main)
        os.close(other)


def test_output_into_a_pipe_at_a_terminal_is_no_terminal(bench: Bench) -> None:
    command = [str(bench.account.program), "run", "--", "sh", "-c", "test -t 1 && echo terminal || echo pipe"]
    main, other = pty.openpty()
    try:
        process = subprocess.run(
            command, cwd=bench.folder, env=bench.account.environment(), stdin=other, stdout=subprocess.PIPE,
            stderr=other, timeout=20, check=True, **bench.account.lowered,
        )  # fmt: skip
        assert process.stdout == b"pipe\n"
    finally:
        os.close(main)
        os.close(other)


def test_without_any_terminal(bench: Bench) -> None:
    script = "tty; test -e /dev/tty && (: < /dev/tty) 2>/dev/null && echo has; true"
    assert bench.sh(script, env={"TERM": None, "CI": "true"}) == "not a tty\n"


def test_a_closed_input(bench: Bench) -> None:
    command = f'"{bench.account.program}" run -- sh -c "cat; echo done" <&-'
    result = bench.account.execute(["/bin/sh", "-c", command], cwd=bench.folder)
    assert expect(result).stdout == "done\n"


def test_inside_a_multiplexer(bench: Bench, need: Callable[[object, str], None]) -> None:
    tmux = shutil.which("tmux") or ""
    need(tmux, "tmux is not installed")
    socket = f"wardian-test-{os.getpid()}"

    def call(*words: str) -> str:
        result = bench.account.execute(
            [tmux, "-L", socket, "-f", "/dev/null", *words],
            cwd=bench.folder,
            env={"TMUX_TMPDIR": str(bench.account.home), "SHELL": "/bin/sh", "LC_ALL": "C.UTF-8"},
        )
        return expect(result).stdout

    command = f"{bench.account.program} run -- sh -c 'stty size; tty; echo $TERM; sleep 30'"
    try:
        call("new-session", "-d", "-x", "83", "-y", "27", command)
        call("set-option", "status", "off")
        end = time.monotonic() + 20
        while "tmux" not in (shown := call("capture-pane", "-p")) and "screen" not in shown:
            assert time.monotonic() < end, shown
            time.sleep(0.1)
        assert re.match(r"(26|27) 83\n/dev/", shown)
        call("send-keys", "C-c")
        end = time.monotonic() + 20
        while (
            subprocess.run(["/usr/bin/pgrep", "-f", socket], capture_output=True, check=False).returncode == 0
        ):
            assert time.monotonic() < end, "Ctrl-C did not end the session"
            time.sleep(0.1)
    finally:
        bench.account.execute(
            [tmux, "-L", socket, "kill-server"],
            cwd=bench.folder,
            env={"TMUX_TMPDIR": str(bench.account.home)},
        )
