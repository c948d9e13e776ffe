"""What keeps a container from starting, as errors with a next step."""

from __future__ import annotations

import contextlib
import errno

from wardian.errors import HostError, InternalError, RunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def check_started(log: str, config: Mapping[str, Any]) -> None:
    """Raise for what the runtime logged: it then never started the program, and ended with 1.

    HostError where it could not hand over system calls, RunError for all else.
    """
    with contextlib.suppress(FileNotFoundError), open(log, errors="replace") as file:
        if said := file.read().strip():
            last = said.splitlines()[-1]
            if "listenerPath" in config["linux"]["seccomp"] and "SECCOMP_SET_MODE_FILTER" in last:
                raise _cannot_record(0, last)
            raise RunError(
                f"cannot start {config['process']['args'][0]!r}: {last}",
                hint="look at its name and path as the container sees them, in `wardian shell`",
            )


def explain(number: int, what: str, why: str) -> Exception:
    """The error for an errno of the keeper's or its children's, at what it was doing."""
    if what == "unshare" and number in (errno.EPERM, errno.ENOSPC, errno.EACCES):
        return HostError(
            f"cannot make a user namespace: {why}",
            hint="run `wardian doctor`: it says what forbids user namespaces here and how to allow them",
        )
    if what == "owners":
        return _cannot_record(number, why)
    if number:
        return HostError(f"cannot set up the container: {what}: {why}", hint="run `wardian doctor`")
    return InternalError(f"cannot set up the container: {why}")


def _cannot_record(number: int, why: str) -> HostError:
    hint = "set WARDIAN_HOME to a folder on a local disk with room on it (ext4, xfs or btrfs)"
    if number in (errno.EACCES, errno.EPERM):
        hint = "let processes look into others of their user: kernel.yama.ptrace_scope has to be below 3"
    elif not number:
        hint = "run wardian outside whatever supervises its system calls (seccomp's user notification)"
    return HostError(
        f"the owners that Debian's packages give their files cannot be recorded: {why}", hint=hint
    )
