"""What keeps a container from starting, as errors with a next step."""

from __future__ import annotations

import contextlib
import errno

from wardian.errors import HostError, InternalError, RunError, WardianError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any


def check_started(log: str, config: Mapping[str, Any], shell: str) -> None:
    """Raise for what the runtime logged: it then never started the program, and ended with 1.

    `shell` is the command line that opens a shell in the same container.
    HostError where it could not hand over system calls, RunError for all else.
    """
    with contextlib.suppress(FileNotFoundError), open(log, errors="replace") as file:
        if said := file.read().strip():
            last = said.splitlines()[-1]
            if "listenerPath" in config["linux"]["seccomp"] and "SECCOMP_SET_MODE_FILTER" in last:
                raise _cannot_record(0, last)
            raise RunError(
                f"cannot start {config['process']['args'][0]!r}: {last}",
                hint=f"look at its name and path as the container sees them, in `{shell}`",
            )


def explain_encoding(config: Mapping[str, Any]) -> RunError:
    """The error for a configuration that is no UTF-8, as JSON has to be (RFC 8259, 8.1)."""
    name = next(text for text in _texts(config) if not _is_utf8(text))
    return RunError(
        f"{name!a} is not in UTF-8, so it cannot be handed to a container",
        hint="rename it, or write it in UTF-8",
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _is_utf8(text: str) -> bool:
    # Bytes that were no UTF-8 are lone surrogates in Python's texts (PEP 383).
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def explain(number: int, what: str, why: str) -> WardianError:
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
