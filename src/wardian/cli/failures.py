"""Failures, rendered: message, blank line, hint, exit status. The one seam where exceptions end.

What they quote may come from anywhere; nothing of it reaches the terminal as a command (render.py, `plain`).

Exit statuses: 0 done, 1 the user's (input, host, network), 2 a bug of wardian, 130 interrupted, 141 the
reader of our output has gone. A child's own status passes through and never comes here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys

from wardian.cli.parser import colours
from wardian.cli.render import json_text, plain
from wardian.cli.streams import STANDARD_OUTPUT
from wardian.errors import HostError, UserError, WardianError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

INTERRUPTED = 128 + 2  # as a shell tells of SIGINT
READER_GONE = 128 + 13  # as a shell tells of SIGPIPE

# What the host says no with, and the next step. Any other error of the system is ours to have handled.
_HOST_HINTS = {
    errno.ENOSPC: "free some space, or point WARDIAN_HOME at a disk that has some; `wardian prune` helps",
    errno.EDQUOT: "free some of your quota, or point WARDIAN_HOME at another disk; `wardian prune` helps",
    errno.EROFS: "use a folder on a disk that can be written, for wardian's own data with WARDIAN_HOME",
    errno.EACCES: "make it readable and writable for you, or use another folder",
    errno.EPERM: "make it readable and writable for you, or use another folder",
    errno.EMFILE: "raise the limit on open files with `ulimit -n 4096`",
    errno.ENFILE: "close some programs: the system's table of open files is full",
    errno.EIO: "look at the disk: the kernel's log (`dmesg`) says more",
    errno.ENAMETOOLONG: "use a folder with a shorter path",
    errno.EFBIG: "raise the limit on the size of files with `ulimit -f unlimited`",
    errno.ESTALE: "mount the network's disk anew: its server no longer has what was there",
    errno.EBUSY: "end the program that uses it, or unmount what is mounted there",
    errno.ENOTSUP: "use a local disk (ext4, xfs or btrfs), for wardian's own data with WARDIAN_HOME",
}


def report(error: BaseException, environment: Mapping[str, str], *, verbose: bool, json: bool) -> int:
    """Tell of `error` on standard error (with `json`, on standard output too); returns the exit status."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        _close_output()
        return READER_GONE
    failure = _translate(error, verbose=verbose)
    if json:
        _print_json(failure)
    _print(failure, environment)
    if verbose and failure.__cause__ is not None:
        cause = plain(f"{type(failure.__cause__).__name__}: {failure.__cause__}")
        _say(f"\ncaused by: {cause}")
    return failure.exit_status


def _translate(error: BaseException, *, verbose: bool) -> WardianError:
    if isinstance(error, UserError):
        return error
    if isinstance(error, MemoryError):
        return HostError("out of memory", hint="close other programs or use a machine with more memory")
    if isinstance(error, OSError) and error.filename == STANDARD_OUTPUT:
        return HostError(
            f"cannot write {STANDARD_OUTPUT}: {error.strerror}", hint="look at where it is sent: `>` or `|`"
        )
    if isinstance(error, OSError) and error.errno in _HOST_HINTS:
        return _host_error(error)
    return _bug(error, verbose=verbose)


def _host_error(error: OSError) -> HostError:
    place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    hint = _HOST_HINTS[error.errno or 0]
    failure = HostError(f"{place}{error.strerror}", hint=hint)
    failure.__cause__ = error
    return failure


def _bug(error: BaseException, *, verbose: bool) -> WardianError:
    """Keep the traceback where the user can send it from; with `verbose` it is shown as well."""
    import traceback

    text = "".join(traceback.format_exception(error))
    if verbose:
        _say(plain(text))
    what = str(error).strip() or "no message"
    place = _save(text)
    hint = f"report it with the file {place}" if place else "run it again with `wardian -v` and report it"
    return WardianError(f"this is a bug in wardian: {type(error).__name__}: {what}", hint=hint)


def _save(trace: str) -> str | None:
    """Write a traceback to a new file that only the user reads; the command line stays out (secrets)."""
    import platform
    import tempfile

    about = f"Python {platform.python_version()} on {platform.platform()}\n\n"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="wardian-", suffix=".txt", delete=False) as file:
            file.write(about + trace)
    except OSError:
        return None
    return file.name


def _print(failure: WardianError, environment: Mapping[str, str]) -> None:
    coloured = colours(sys.stderr, environment)
    red, cyan, end = ("\033[1;31m", "\033[1;36m", "\033[0m") if coloured else ("", "", "")
    text = f"{_details(failure, coloured=coloured)}{red}error:{end} {plain(failure.message)}"
    if failure.hint:
        text += f"\n\n{cyan}hint:{end} {plain(failure.hint)}"
    _say(text)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # where standard error cannot be written, the status has to do
        print(text, file=sys.stderr, flush=True)


def _details(failure: WardianError, *, coloured: bool) -> str:
    """What stands above the message: for a notebook the failing cell, for other failures nothing."""
    if "wardian.runtime.notebook.events" not in sys.modules:  # then it cannot be a notebook's
        return ""
    from wardian import NotebookError
    from wardian.cli.cells import show_failure

    shown = show_failure(failure, coloured=coloured) if isinstance(failure, NotebookError) else ""
    return f"{shown}\n\n" if shown else ""


def _print_json(failure: WardianError) -> None:
    said = {"kind": type(failure).__name__, "message": failure.message, "hint": failure.hint}
    with contextlib.suppress(OSError):  # the failure may be just that it cannot be written
        print(json_text({"error": said}), flush=True)


def _close_output() -> None:
    """Let the interpreter's last flush go nowhere, instead of failing once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
