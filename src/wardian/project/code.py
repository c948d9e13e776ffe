"""The project's files that go into its image, at /work: which they are, how they stand there, their digest.

What is decided here depends on the files alone: not on the umask, the locale or the order in which a disk
lists them. No link is followed, and nothing is written.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from wardian.errors import SpecError
from wardian.image.entry import Entry
from wardian.project import left_out
from wardian.project.ignoring import GIT_FILE, Rules, Standing, with_gitignore
from wardian.project.keys import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wardian.project.image import ImageSpec

PLACE = "work"
_UNREADABLE = "check its owner and permissions, or leave it out with [image] exclude"
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """A file, or a symbolic link with its `target`; `size` in bytes.

    `path` is relative to the project folder. Paths and targets are bytes read as UTF-8, with surrogates
    (PEP 383) for what is none.
    """

    path: str
    executable: bool = False
    size: int = 0
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What of a project goes into its image, by path; `notes` are sentences on what surprisingly does not."""

    files: tuple[Selected, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)


def select_code(folder: Path, image: ImageSpec) -> Selection:
    """Choose the project's files for the image (ignoring.py says how); none where `code` is false.

    Left out with a note: what may hold secrets, and links out of the project. Left out without: sockets,
    pipes and devices, and folders without files, of which version control knows nothing. Raises SpecError
    for what cannot be read and for a pattern that is none.
    """
    if not image.code:
        return Selection()
    walk = _Walk(os.fsencode(folder.absolute()), image)
    walk.run()
    return Selection(
        files=tuple(sorted(walk.files, key=lambda file: _raw(file.path))),
        notes=(
            *_notes(walk.secrets, "out of the image, since such files hold secrets", "name it in"),
            *_notes(walk.strays, "out of the image, since it leads out of the project", ""),
        ),
    )


def _notes(paths: list[str], why: str, advice: str) -> Iterator[str]:
    shown = sorted(path if path.isprintable() else quoted(path) for path in paths)
    more = f" (and {len(shown) - _MOST_NAMED} more)" if len(shown) > _MOST_NAMED else ""
    for index, path in enumerate(shown[:_MOST_NAMED]):
        last = more if index == _MOST_NAMED - 1 else ""
        end = f"; {advice} [image] include if it is to go in" if advice else ""
        yield f"{path}{last} stays {why}{end}."


class _Walk:
    """One walk through a project; folders that stay out as a whole are not entered."""

    def __init__(self, folder: bytes, image: ImageSpec) -> None:
        self.files: list[Selected] = []
        self.secrets: list[str] = []
        self.strays: list[str] = []
        self._folder = folder
        self._rules = Rules(folder, image)

    def run(self) -> None:
        waiting = [(b"", Standing())]
        while waiting:
            path, standing = waiting.pop()
            waiting += self._visit(path, standing)

    def _visit(self, path: bytes, standing: Standing) -> Iterator[tuple[bytes, Standing]]:
        """Take what is in a folder, and yield the folders to visit."""
        whole = os.path.join(self._folder, path) if path else self._folder
        entries = _list(whole)
        names = {entry.name for entry in entries}
        if path and not standing.barred and left_out.is_environment_or_cache(whole, names):
            standing = self._rules.bar(standing, path)
            if not standing.kept and not self._rules.may_return(standing, path):
                return
        if standing.kept and GIT_FILE in names:
            standing = with_gitignore(standing, self._folder, path)
        for entry in entries:
            inner = path + b"/" + entry.name if path else entry.name
            folder = entry.is_dir(follow_symlinks=False)
            found = self._rules.judge(standing, inner, folder=folder)
            if not found.kept:
                self._note_secret(standing, found, inner)
            if not folder:
                self._take(entry, inner, found)
            elif found.kept or self._rules.may_return(found, inner):
                yield inner, found

    def _note_secret(self, above: Standing, found: Standing, path: bytes) -> None:
        if found.secret and not above.barred and not self._rules.ignores(found):
            self.secrets.append(_text(path))

    def _take(self, entry: os.DirEntry[bytes], path: bytes, found: Standing) -> None:
        if not found.kept:
            return
        try:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                self._take_link(path, os.readlink(entry.path))
            elif stat.S_ISREG(status.st_mode):
                self._take_file(entry.path, path, status, found)
        except FileNotFoundError:
            return  # it was removed meanwhile
        except OSError as error:
            raise _unreadable(entry.path, error) from error

    def _take_file(self, whole: bytes, path: bytes, status: os.stat_result, found: Standing) -> None:
        if not os.access(whole, os.R_OK, effective_ids=True):
            raise PermissionError(13, "Permission denied")
        if not found.spelt and left_out.holds_key(whole, status.st_size):
            self.secrets.append(_text(path))
            return
        executable = bool(status.st_mode & stat.S_IXUSR)
        self.files.append(Selected(path=_text(path), executable=executable, size=status.st_size))

    def _take_link(self, path: bytes, target: bytes) -> None:
        if _leads_out(path, target):
            self.strays.append(_text(path))
        else:
            self.files.append(Selected(path=_text(path), target=_text(target)))


def _list(folder: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []  # it was removed meanwhile
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(path: bytes, error: OSError) -> SpecError:
    return SpecError(f"cannot read {os.fsdecode(path)}: {error.strerror}", hint=_UNREADABLE)


def _leads_out(path: bytes, target: bytes) -> bool:
    """Tell whether a link's text leads above the project folder; where it truly ends is not asked."""
    depth = path.count(b"/")
    for name in target.split(b"/"):
        depth += -1 if name == b".." else 0 if name in (b"", b".") else 1
        if depth < 0:
            return True
    return target.startswith(b"/")


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def code_entries(selection: Selection, *, uid: int = 1000) -> Iterator[Entry]:
    """Yield the layer's entries, parents first: `work`, and the files with their folders in it.

    Group 0 may write all of it, for images that run under an arbitrary uid with gid 0 (as OpenShift does).
    `Entry.source` is relative to the project folder.
    """
    seen = {""}
    yield Entry(path=PLACE, kind="directory", mode=0o775, uid=uid)
    for file in selection.files:
        for around in _folders(file.path):
            if around not in seen:
                seen.add(around)
                yield Entry(path=f"{PLACE}/{around}", kind="directory", mode=0o775, uid=uid)
        entry = Entry(path=f"{PLACE}/{file.path}", kind="symlink", mode=0o777, uid=uid, target=file.target)
        if not file.target:
            mode = 0o775 if file.executable else 0o664
            entry = replace(entry, kind="file", mode=mode, size=file.size, source=file.path)
        yield entry


def _folders(path: str) -> Iterator[str]:
    """Yield the folders around a path, the outermost first."""
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def code_digest(folder: Path, selection: Selection) -> str:
    """Return the SHA-256, in hexadecimal, of all that decides the layer: paths, modes, targets and contents.

    Raises SpecError for a file that cannot be read, or that is no longer what was selected.
    """
    import hashlib
    from concurrent.futures import ThreadPoolExecutor

    root = os.fsencode(folder.absolute())
    whole = hashlib.sha256(b"wardian code 1\0")
    # Hashing and reading leave the interpreter's lock, so that threads do.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as threads:
        contents = threads.map(lambda file: _content(root, file), selection.files, chunksize=64)
        for file, content in zip(selection.files, contents, strict=True):
            whole.update(b"%s\0%s\0%s\0" % (_raw(file.path), b"x" if file.executable else b"-", content))
    return whole.hexdigest()


def _content(root: bytes, file: Selected) -> bytes:
    """Return what a file's digest stands for: its content's SHA-256, or a link's target."""
    import hashlib

    if file.target:
        return b"link " + _raw(file.target)
    path = os.path.join(root, _raw(file.path))
    try:
        with left_out.open_file(path) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise SpecError(f"{os.fsdecode(path)} changed while it was read", hint="run it again")
            return hashlib.file_digest(opened, "sha256").hexdigest().encode()
    except OSError as error:
        raise _unreadable(path, error) from error
