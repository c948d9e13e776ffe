from __future__ import annotations

import errno
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from wardian import errors
from wardian.cli.failures import report
from wardian.errors import InternalError, LockError, WardianError

KINDS = [it for it in vars(errors).values() if isinstance(it, type) and issubclass(it, WardianError)]


def show(error, capsys, *, verbose=False, as_json=False, environment=None):
    status = report(error, environment or {}, verbose=verbose, json=as_json)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_message_blank_line_hint(capsys):
    error = LockError("wardian.lock is stale", hint="run `wardian lock`")
    assert show(error, capsys) == (1, "", "error: wardian.lock is stale\n\nhint: run `wardian lock`\n")


def test_without_a_hint(capsys):
    assert show(LockError("wardian.lock is stale"), capsys) == (1, "", "error: wardian.lock is stale\n")


def test_colour_only_where_it_is_wanted(capsys):
    error = LockError("stale", hint="lock")
    coloured = show(error, capsys, environment={"FORCE_COLOR": "1"})[2]
    assert coloured == "\033[1;31merror:\033[0m stale\n\n\033[1;36mhint:\033[0m lock\n"
    assert "\033" not in show(error, capsys, environment={"FORCE_COLOR": "1", "NO_COLOR": "1"})[2]


def test_json_repeats_it_as_an_object(capsys):
    status, out, err = show(LockError("stale", hint="lock"), capsys, as_json=True)
    assert status == 1
    assert json.loads(out) == {"error": {"kind": "LockError", "message": "stale", "hint": "lock"}}
    assert err == "error: stale\n\nhint: lock\n"


def test_verbose_names_the_cause(capsys):
    error = LockError("cannot read wardian.lock")
    error.__cause__ = ValueError("line 3")
    assert show(error, capsys, verbose=True)[2].endswith("\n\ncaused by: ValueError: line 3\n")
    assert "caused by" not in show(error, capsys)[2]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_of_ours_has_its_status(kind, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    status, _, err = show(kind("what failed"), capsys)
    assert status == kind.exit_status
    assert err.startswith("error: ")
    assert "what failed" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "number",
    [
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EMFILE,
        errno.EFBIG,
        errno.ESTALE,
        errno.EBUSY,
        errno.ENOTSUP,
    ],
)
def test_what_the_host_forbids_is_no_bug(number, capsys):
    error = OSError(number, os.strerror(number), "/some/file")
    status, _, err = show(error, capsys)
    assert status == 1
    assert err.startswith(f"error: /some/file: {os.strerror(number)}\n\nhint: ")


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("by zero"), InternalError("impossible"), OSError(errno.EBADF, "x")]
)
def test_a_bug_keeps_its_traceback_in_a_file(error, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    try:
        raise error
    except type(error) as raised:
        status, _, err = show(raised, capsys)
    assert status == 2
    assert err.startswith(f"error: this is a bug in wardian: {type(error).__name__}: ")
    assert "Traceback" not in err
    match = re.search(r"hint: report it with the file (\S+)\n$", err)
    assert match
    file = Path(match[1])
    assert "Traceback" in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o077 == 0


def test_verbose_shows_a_bugs_traceback(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert "ZeroDivisionError: x" in show(ZeroDivisionError("x"), capsys, verbose=True)[2]


def test_an_interrupt_is_quiet(capsys):
    assert show(KeyboardInterrupt(), capsys) == (130, "", "")


def test_a_reader_that_goes_away_is_no_error(command):
    wardian = subprocess.Popen([*command, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert wardian.stdout
    assert wardian.stderr
    wardian.stdout.close()
    assert wardian.stderr.read() == b""
    wardian.stderr.close()
    assert wardian.wait(30) == 141


@pytest.mark.parametrize("words", [["--help"], ["ls", "--json"]])
@pytest.mark.parametrize("is_said", [True, False])
def test_an_output_that_cannot_be_written_is_named(command, tmp_path, words, is_said):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*command, *words],
            env={**os.environ, "WARDIAN_HOME": str(tmp_path / "home")},
            stdout=full,
            stderr=subprocess.PIPE if is_said else full,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    if is_said:
        said = (
            "error: cannot write standard output: No space left on device\n\nhint: look at where it is sent"
        )
        assert done.stderr.startswith(said)
        assert done.stderr.count("\n") == 3


def test_an_output_that_is_not_open_for_writing_is_no_bug(command):
    with open(os.devnull, "rb") as nothing:
        done = subprocess.run(
            [*command, "--help"], stdout=nothing, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: cannot write standard output: Bad file descriptor\n")


def test_another_locale_changes_nothing(spawn):
    outcome = spawn("rn", LC_ALL="de_DE.UTF-8")
    assert outcome.returncode == 1
    assert outcome.stderr == "error: wardian has no verb 'rn'\n\nhint: did you mean `wardian run`?\n"


def test_nothing_that_is_quoted_commands_the_terminal(capsys):
    error = LockError(
        "host \x1b]0;title\x07\r\x9b2J\u202eevil\udcff says\nno\u00a0more", hint="ask \x1b[31mhim"
    )
    error.__cause__ = ValueError("\x1b[2J")
    _, out, err = show(error, capsys, verbose=True, as_json=True)
    said = "host \\x1b]0;title\\x07\\r\\x9b2J\\u202eevil\\udcff says\nno\u00a0more"
    assert err == f"error: {said}\n\nhint: ask \\x1b[31mhim\n\ncaused by: ValueError: \\x1b[2J\n"
    assert json.loads(out)["error"]["message"] == error.message
    assert out.isascii()
    assert "\x1b" not in out
