"""Where a verb writes what it makes: a file that appears whole or not at all, or standard output."""

from __future__ import annotations

import contextlib
import os
import stat
import sys

from wardian.cli.parser import UsageError
from wardian.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

STANDARD = "-"


def add_output(parser: Parser, what: str = "write to FILE; `-` is standard output") -> None:
    """Declare -o and --force."""
    parser.add_argument("-o", "--output", type=_file_name, metavar="FILE", help=what)
    parser.add_argument("--force", action="store_true", help="replace a FILE that is there already")


def _file_name(text: str) -> str:
    if not text:  # such as of a variable that is not set: it does not mean standard output
        import argparse

        raise argparse.ArgumentTypeError("the empty name is no file's")
    return text


def check(name: str, session: Session, *, force: bool, binary: bool = True) -> None:
    """Whether `name` may be written, asked before the work is done.

    Raises UsageError for a terminal (unless text is written), HostError for a folder, and for a file that is
    there, unless `force`.
    """
    if name == STANDARD:
        if binary and sys.stdout.isatty():
            raise UsageError(
                "a terminal is no place for an archive", hint="name a file with -o, or send it through a pipe"
            )
        return
    path = session.path(name)
    if os.path.isdir(path):
        raise HostError(f"{path} is a folder", hint="name a file with -o")
    if os.path.lexists(path) and not force and not _is_special(path):
        raise _taken(path)


@contextlib.contextmanager
def binary(name: str, session: Session, *, force: bool) -> Iterator[IO[bytes]]:
    """The file `name`, or standard output, to be written by the block; where the block fails, no file.

    Raises what `check` raises, and HostError for a file that cannot be written.
    """
    check(name, session, force=force)
    if name == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = session.path(name)
    if _is_special(path):  # a pipe, /dev/null: there is nothing to rename
        with _told(path), open(path, "wb") as file:
            yield file
        return
    new = f"{path}.{os.urandom(6).hex()}.tmp"
    try:
        with _told(path), open(new, "xb") as file:
            yield file
        with _told(path):
            check(name, session, force=force)
            if force or not _link(new, path):
                os.rename(new, path)
        session.tell_of_output(path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(new)


def text(content: str, name: str, session: Session, *, force: bool) -> None:
    """Write `content` to the file `name`, or to standard output, a terminal too."""
    if name == STANDARD:
        sys.stdout.write(content)
        return
    with binary(name, session, force=force) as file:
        file.write(content.encode())


def _link(new: str, path: str) -> bool:
    """Give the file `new` the name `path` too, never another file's that has come meanwhile.

    False where the file system has no hard links: there a moment between check and rename is left.
    """
    try:
        os.link(new, path, follow_symlinks=False)
    except FileExistsError:
        raise _taken(path) from None
    except OSError:
        return False
    return True


def _taken(path: str) -> HostError:
    return HostError(f"{path} is there already", hint="name another file, or add --force")


def _is_special(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise HostError(
            f"cannot write {path}: {error.strerror}", hint="check the folder's permissions and free space"
        ) from error
