"""An image's whole tree against what real dpkg makes of the same packages, as real root by mmdebstrap."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wardian.ecosystems.debian import contents, deb, info, paths
from wardian.ecosystems.debian.changes import compose
from wardian.image.entry import EPOCH

from .machine import Account, expect

# Packages that make users and groups, give files away, set bits, divert, register alternatives and triggers.
PACKAGES = ("dbus", "git", "graphviz", "iputils-ping", "libcap2-bin", "man-db", "openssh-client", "plocate",
            "python3", "sudo")  # fmt: skip

# What may be on one side only, and why.
ALLOWED = (
    (r"dev/.+", "whatever runs the container makes its devices"),
    (r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-|etc/\.pwd\.lock", "backups and locks are left out"),
    (r"etc/(fstab|hostname|resolv\.conf|apt/sources\.list)", "mmdebstrap writes these for its own use"),
    (r"etc/apt/sources\.list\.d/debian\.sources", "Debian's own sources, as official images have them"),
    (r"etc/dpkg/dpkg\.cfg\.d/[^/]+", "the same filters, under another name"),
    (r"etc/machine-id|var/lib/dbus/machine-id", "each machine has its own"),
    (r"(home/user|work)(/.*)?", "the user that images run as, and its folders"),
    (r"usr/share/doc/[^/]+/.+", "dpkg makes folders whose files its filters leave out"),
    (r"usr/.+/__pycache__(/.+)?", "byte code is made when an image asks for it"),
    (r"var/cache/.+", "caches are left out; debconf's is one"),
    (r"var/log/.+", "logs are left out"),
    (r"var/lib/apt/(extended_states|lists/lock)", "apt's own notes, and it has not run here"),
    (
        r"var/lib/dpkg/(.+-old|lock|lock-frontend|triggers/Lock|available)",
        "dpkg's backups, locks and leftovers",
    ),
)


@dataclass(frozen=True)
class Facts:
    """What is compared of a path; owners by name, for ids that packages ask for depend on their order."""

    kind: str
    mode: str
    owner: str
    content: str
    attributes: tuple[tuple[str, bytes], ...]


def _names(data: bytes) -> dict[int, str]:
    lines = [line.split(":") for line in data.decode().splitlines()]
    return {int(fields[2]): fields[0] for fields in lines}


def _normal(path: str, data: bytes) -> str:
    """A file's digest, without what depends on the order in which packages are configured."""
    lines = data.decode(errors="surrogateescape").splitlines()
    if path in ("etc/passwd", "etc/group"):
        lines = sorted(re.sub(r":\d+", ":N", line) for line in lines if not line.startswith("user:"))
    elif path in ("etc/shadow", "etc/gshadow"):
        lines = sorted(line for line in lines if not line.startswith("user:"))
    elif path == "var/lib/dpkg/triggers/File":
        lines.sort()
    elif re.fullmatch(r"var/lib/dpkg/info/.+\.list", path):  # paths that the filters leave out
        listed = "usr/share/doc/", "usr/share/locale/"
        lines = [
            line for line in lines if paths.is_kept(line, docs=False) and not line[1:].startswith(listed)
        ]
    elif re.fullmatch(r"var/lib/dpkg/info/.+\.md5sums", path):
        lines = [line for line in lines if paths.is_kept(f"/{line[34:]}", docs=False)]
    else:
        return hashlib.sha256(data).hexdigest()
    return "\n".join(lines)


def _ours(snapshots: Sequence[Path]) -> dict[str, Facts]:
    tree = compose([contents.read(path, root=number) for number, path in enumerate(snapshots)])

    def content(path: str) -> bytes:
        entry = tree[path]
        held = tree[entry.target] if entry.kind == "hardlink" else entry
        return (snapshots[held.root] / held.source).read_bytes()

    users, groups = _names(content("etc/passwd")), _names(content("etc/group"))
    return {
        path: Facts(
            kind="file" if entry.kind == "hardlink" else entry.kind,
            mode="" if entry.kind == "symlink" else f"{entry.mode:04o}",
            owner=f"{users[entry.uid]}:{groups[entry.gid]}",
            content=entry.target
            if entry.kind == "symlink"
            else _normal(path, content(path))
            if entry.kind in ("file", "hardlink")
            else "",
            attributes=tuple(sorted(entry.xattrs.items())),
        )
        for path, entry in tree.items()
    }


def _theirs(root: Path) -> Iterator[tuple[str, Facts]]:
    users = _names((root / "etc/passwd").read_bytes())
    groups = _names((root / "etc/group").read_bytes())
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo"}
    for path in root.rglob("*"):
        status, name = path.lstat(), str(path.relative_to(root))
        kind = kinds.get(stat.S_IFMT(status.st_mode), "other")
        content = os.readlink(path) if kind == "symlink" else ""
        yield (
            name,
            Facts(
                kind=kind,
                mode="" if kind == "symlink" else f"{stat.S_IMODE(status.st_mode):04o}",
                owner=f"{users[status.st_uid]}:{groups[status.st_gid]}",
                content=_normal(name, path.read_bytes()) if kind == "file" else content,
                attributes=tuple(
                    (key, os.getxattr(path, key, follow_symlinks=False))
                    for key in sorted(os.listxattr(path, follow_symlinks=False))
                ),
            ),
        )


def _locked(lock: str) -> dict[str, str]:
    """Names and digests of the packages in a lock."""
    return dict(re.findall(r'\{ name = "([^"]+)".*?sha256 = "([0-9a-f]{64})"', lock))


def _publish(packages: Mapping[str, str], account: Account, folder: Path) -> None:
    """An archive of exactly these packages, as linked from the account's store."""
    listed = []
    for name, sha256 in packages.items():
        file = account.store / "content/sha256" / sha256[:2] / sha256
        shutil.copyfile(file, folder / f"{name}.deb")
        with file.open("rb") as opened:
            stanza = info.stanza_of(deb.read_control(opened, name=name))
        listed.append(f"{stanza}Filename: ./{name}.deb\nSize: {file.stat().st_size}\nSHA256: {sha256}\n")
    data = "\n".join(listed).encode()
    lists = folder / "dists/trixie/main/binary-amd64"
    lists.mkdir(parents=True)
    (lists / "Packages").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    (folder / "dists/trixie/Release").write_text(
        "Suite: trixie\nCodename: trixie\nArchitectures: amd64\nComponents: main\n"
        "Date: Wed, 01 Jan 2025 00:00:00 UTC\n"
        f"SHA256:\n {digest} {len(data)} main/binary-amd64/Packages\n"
    )


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


def _bootstrap(packages: Mapping[str, str], archive: str, filters: Path, root: Path) -> None:
    """Have mmdebstrap make a root of the packages, with the same path filters and the same date in files."""
    result = subprocess.run(
        [
            *("mmdebstrap", "--mode=root", "--variant=essential", "--format=directory"),
            *(f"--include={','.join(packages)}", f"--dpkgopt={filters}", "--dpkgopt=force-unsafe-io"),
            *("trixie", str(root), f"deb [trusted=yes] {archive} trixie main"),
        ],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(EPOCH)},
        capture_output=True,
        text=True,
        check=False,
        umask=0o022,
    )
    assert result.returncode == 0, result.stderr[-4000:]


@pytest.fixture
def place(session_root: Path, worker: str) -> Iterator[Path]:
    """A folder that apt's own user may enter."""
    folder = session_root / f"rootful-{worker}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
def test_the_tree_is_the_one_that_real_root_gets(
    rooted: Account, project: Callable[..., Path], need: Callable[[object, str], None], place: Path
) -> None:
    need(shutil.which("mmdebstrap"), "mmdebstrap is not installed")
    folder = project({"wardian.toml": f"[system]\npackages = {list(PACKAGES)}\n"}, user=rooted)
    parts = rooted.snapshots(rooted.build(folder))
    verified = expect(rooted.wardian("run", "--root", "--", "dpkg", "--verify", cwd=folder))
    assert (verified.stdout, verified.stderr) == ("", "")
    packages = _locked((folder / "wardian.lock").read_text())
    (place / "archive").mkdir()
    _publish(packages, rooted, place / "archive")
    (place / "filters").write_text(paths.dpkg_configuration(docs=False))
    with _served(place / "archive") as archive:
        _bootstrap(packages, archive, place / "filters", place / "root")
    snapshots = [parts[name] for name in ("base", "system")]
    ours, theirs = _ours(snapshots), dict(_theirs(place / "root"))
    assert len(ours) > 5000
    differences = [
        f"{path}: {ours.get(path)} != {theirs.get(path)}"
        for path in sorted(ours.keys() | theirs.keys())
        if ours.get(path) != theirs.get(path) and not _is_allowed(path, ours, theirs)
    ]
    assert not differences, "\n".join(differences[:60])
    assert {ours[path].owner for path in ("usr/bin/ssh-agent", "usr/bin/plocate", "etc/shadow")} == {
        *("root:_ssh", "root:plocate", "root:shadow")
    }
    _compare_times(snapshots, place / "root")


def _is_allowed(path: str, ours: Mapping[str, Facts], theirs: Mapping[str, Facts]) -> bool:
    one_sided = path not in ours or path not in theirs
    return one_sided and any(re.fullmatch(pattern, path) for pattern, _ in ALLOWED)


def _compare_times(snapshots: Sequence[Path], root: Path) -> None:
    tree = compose([contents.read(path, root=number) for number, path in enumerate(snapshots)])
    for path, entry in tree.items():
        if entry.kind == "file" and entry.mtime != EPOCH:
            assert int((root / path).lstat().st_mtime) == entry.mtime, path
