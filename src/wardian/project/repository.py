"""What git and pyproject.toml say of a project, as the image's annotations.

The repository is read, without git and without running anything that it names (filters, hooks, monitors);
nothing is written. What another folder with the same commit would not say too is left out.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from wardian.errors import SpecError
from wardian.project.document import Document
from wardian.project.left_out import open_file
from wardian.project.read import PROJECT_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dulwich.index import ConflictedIndexEntry, IndexEntry
    from dulwich.repo import Repo

    from wardian.project.spec import Spec

_PREFIX = "org.opencontainers.image."
_LONGEST = 4096
_SCP = re.compile(r"(?:[^@/\s]+@)?(?P<host>[A-Za-z0-9.-]+):(?P<path>[^:\\\s][^\\\s]*)")
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")
_SUBMODULE = 0o160000  # an entry that names a commit, and no file


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What git knows: `commit` is the object's name of HEAD, `source` the address of `origin` or empty.

    `clean` tells that every tracked file below the project folder is as in that commit.
    """

    commit: str
    clean: bool
    source: str = ""


def image_annotations(spec: Spec, folder: Path) -> Mapping[str, str]:
    """Return the manifest's annotations, in order of their names.

    From the spec's `[image] annotations`, else from git (`revision`, only while no tracked file is changed,
    and `source`), else from pyproject.toml's `[project]`, else from the spec's name. An annotation that the
    spec leaves empty is left out. Never raises for what stands in a repository or a pyproject.toml.
    """
    found = {"title": spec.name, **_project_says(folder)}
    if revision := read_revision(folder):
        found |= {"source": revision.source} if revision.source else {}
        found |= {"revision": revision.commit} if revision.clean else {}
    named = {_PREFIX + name: value for name, value in found.items()}
    named |= spec.image.annotations
    return {name: named[name] for name in sorted(named) if named[name]}


def read_revision(folder: Path) -> Revision | None:
    """Return what git knows of a folder, None where it is in no repository, or in one that cannot be read."""
    if not any(os.path.lexists(place / ".git") for place in (folder.absolute(), *folder.absolute().parents)):
        return None  # dulwich takes 45 ms to import
    from dulwich.repo import Repo

    try:
        with Repo.discover(os.path.realpath(folder)) as repository:
            commit = repository.head()
            return Revision(
                commit=commit.decode("ascii"),
                clean=_is_clean(repository, commit, os.fsencode(os.path.realpath(folder))),
                source=plain_address(_origin(repository)),
            )
    # Whatever is broken in a repository: it has nothing to say then. Its library names no common ancestor.
    except Exception:
        return None


def _origin(repository: Repo) -> str:
    try:
        return repository.get_config().get((b"remote", b"origin"), b"url").decode("utf-8")
    except (KeyError, UnicodeDecodeError):
        return ""


def _is_clean(repository: Repo, commit: bytes, folder: bytes) -> bool:
    """Tell whether commit, index and files agree below the folder; KeyError where nothing is tracked."""
    root = os.path.realpath(os.fsencode(repository.path))
    below = os.path.relpath(folder, root)
    prefix = b"" if below == b"." else below + b"/"
    index = repository.open_index()
    if index.is_sparse():
        index.ensure_full_index(repository.object_store)
    tracked = {path: entry for path, entry in index.items() if path.startswith(prefix)}
    if not tracked:
        raise KeyError(below)
    if _committed(repository, commit, prefix) != {path: _named(entry) for path, entry in tracked.items()}:
        return False
    modes = repository.get_config().get_boolean((b"core",), b"filemode", True)
    written = os.stat(index.path).st_mtime_ns
    return all(
        _is_unchanged(os.path.join(root, path), entry, written, modes=bool(modes))
        for path, entry in tracked.items()
    )


def _named(entry: IndexEntry | ConflictedIndexEntry) -> tuple[bytes, int]:
    return getattr(entry, "sha", b""), getattr(entry, "mode", 0)


def _committed(repository: Repo, commit: bytes, prefix: bytes) -> dict[bytes, tuple[bytes, int]]:
    """Return the object and mode of every path below the prefix in the commit."""
    from dulwich.object_store import iter_tree_contents, tree_lookup_path
    from dulwich.objects import Commit, ObjectID

    store = repository.object_store
    named = store[ObjectID(commit)]
    assert isinstance(named, Commit)
    tree = named.tree
    if prefix:
        try:
            tree = tree_lookup_path(store.__getitem__, tree, prefix.rstrip(b"/"))[1]
        except KeyError:
            return {}
    return {
        prefix + (entry.path or b""): (entry.sha or b"", entry.mode or 0)
        for entry in iter_tree_contents(store, tree)
    }


def _is_unchanged(
    path: bytes, entry: IndexEntry | ConflictedIndexEntry, written: int, *, modes: bool
) -> bool:
    """Tell whether a file is what the index says, by its state where that proves it, else by its content.

    The state is proof only for a file older than the index (gitformat-index, racy git). What a filter
    changed on the way out (line ends, LFS) and was touched since counts as changed: no filter is run.
    """
    sha, mode = _named(entry)
    if getattr(entry, "skip_worktree", False) or mode == _SUBMODULE:
        return True
    try:
        status = os.lstat(path)
    except OSError:
        return False
    if stat.S_IFMT(status.st_mode) != stat.S_IFMT(mode):
        return False
    if modes and stat.S_ISREG(mode) and (status.st_mode ^ mode) & stat.S_IXUSR:
        return False
    known = getattr(entry, "mtime", 0), getattr(entry, "size", -1)
    now = divmod(status.st_mtime_ns, 1_000_000_000), status.st_size & 0xFFFFFFFF
    return (known == now and status.st_mtime_ns < written) or _blob(path, status, len(sha)) == sha


def _blob(path: bytes, status: os.stat_result, length: int) -> bytes:
    """Return the object's name (gitformat-index: of the content behind its kind and size)."""
    import hashlib

    digest = hashlib.new("sha1" if length == 40 else "sha256", usedforsecurity=False)
    digest.update(b"blob %d\0" % status.st_size)
    if stat.S_ISLNK(status.st_mode):
        digest.update(os.readlink(path))
    else:
        with open_file(path) as file:
            while data := file.read(1 << 20):
                digest.update(data)
    return digest.hexdigest().encode()


def plain_address(url: str) -> str:
    """Return an address for everyone: https, without user, password, query and `.git`; empty if it is none.

    Who cloned by ssh and who cloned by https get the same. An ssh port of its own is kept, with ssh.
    """
    import urllib.parse

    text = url.strip()
    if not text.isprintable() or " " in text or len(text) > _LONGEST:
        return ""
    if "://" not in text:
        found = _SCP.fullmatch(text)
        text = f"ssh://{found['host']}/{found['path'].lstrip('/')}" if found else ""
    try:
        parts = urllib.parse.urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    host = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/").removesuffix(".git")
    if parts.scheme not in ("http", "https", "ssh") or not _HOST.fullmatch(host) or path in ("", "/"):
        return ""
    scheme = "https" if parts.scheme == "ssh" and port in (None, 22) else parts.scheme
    usual = {"http": 80, "https": 443}.get(scheme)
    shown = f":{port}" if port not in (None, usual) and not (scheme == "https" and port == 22) else ""
    return f"{scheme}://{host}{shown}{path}"


def _project_says(folder: Path) -> dict[str, str]:
    """Return what pyproject.toml's `[project]` says (PEP 621, PEP 639); a broken file says nothing."""
    try:
        table = Document.read(folder / PROJECT_FILE, prefix=("project",)).table()
    except SpecError:
        return {}
    if not isinstance(table, dict):
        return {}
    license_ = table.get("license")
    said: dict[str, object] = {
        "version": table.get("version"),
        "description": table.get("description"),
        "licenses": license_.get("text") if isinstance(license_, dict) else license_,
        "authors": ", ".join(_authors(table.get("authors"))),
        **dict(_addresses(table.get("urls"))),
    }
    lines = {name: _line(value) for name, value in said.items()}
    return {name: line for name, line in lines.items() if line}


def _line(value: object) -> str:
    """Return a text that fits on a line, empty for anything else."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return text if text.isprintable() and len(text) <= _LONGEST else ""


def _authors(value: object) -> Iterator[str]:
    for author in value if isinstance(value, list) else []:
        if isinstance(author, dict):
            name, email = _line(author.get("name")), _line(author.get("email"))
            if shown := f"{name} <{email}>" if name and email else name or email:
                yield shown


# Labels as they are compared (Well-known Project URLs in Metadata), and the annotations that they fill.
_WELL_KNOWN = {
    "homepage": "url",
    "source": "source",
    "repository": "source",
    "sourcecode": "source",
    "github": "source",
    "documentation": "documentation",
    "docs": "documentation",
}


def _addresses(value: object) -> Iterator[tuple[str, str]]:
    for label, address in value.items() if isinstance(value, dict) else ():
        name = _WELL_KNOWN.get(re.sub(r"[\W_]", "", label).lower())
        if name and re.match("https?://", _line(address)):
            yield name, address
