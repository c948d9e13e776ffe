"""Configures unpacked packages with their own dpkg, inside the sandbox, and tidies up behind them.

What goes in and comes out passes through exchange folders, mounted below `/run/wardian`, and what goes in
cannot be written: nothing outside the sandbox follows a path that a package may have made.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wardian.ecosystems.debian import diversions, paths
from wardian.ecosystems.debian.covers import RUN_ONCE, covers
from wardian.ecosystems.debian.database import Triggers, Unpacked, join_status
from wardian.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXCHANGE = "/run/wardian"
_LARGEST_STATUS = 64 << 20  # bytes; a whole Debian system has 4 MB


class Sandbox(Protocol):
    """Runs a command as emulated root in the root under construction; returns status and output."""

    def run(
        self,
        arguments: list[str],
        *,
        mounts: list[tuple[Path, str, bool]],
        environment: dict[str, str],
        owners: Path,
    ) -> tuple[int, str]:
        """`mounts` are (host path, path inside, read-only).

        Owners that files are given are recorded on the files, and of what cannot have that in `owners`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the next stage needs to know of the stages below it; `diversions` are by diverted path."""

    status: str
    triggers: dict[str, list[str]]
    diversions: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> State:
        """Read what `write` wrote."""
        return cls(**json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        """Keep the state beside its snapshot."""
        path.write_text(json.dumps(asdict(self)))


EMPTY = State(status="", triggers={}, diversions={})

# Some variables steer what scripts write into files. The date stands in for today's in /etc/shadow and
# in caches: it must not depend on the clock.
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "SOURCE_DATE_EPOCH": "1735689600",
    "PYTHONDONTWRITEBYTECODE": "1",
}

_BEGIN = """set -eu
cd /
cp -r --no-preserve=mode /run/wardian/in/dpkg/. /var/lib/dpkg/
mkdir -p /etc/dpkg/dpkg.cfg.d
cp --no-preserve=mode /run/wardian/in/filters /etc/dpkg/dpkg.cfg.d/wardian
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
"""
_PREPARE = """for name in $(cat /run/wardian/in/preinst); do
  package=${name%%:*}
  echo "Preparing $name ..."
  DPKG_MAINTSCRIPT_PACKAGE=$package DPKG_MAINTSCRIPT_NAME=preinst DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 \\
    DPKG_MAINTSCRIPT_ARCH=$(cat /run/wardian/in/architecture) DPKG_ADMINDIR=/var/lib/dpkg DPKG_ROOT= \\
    "/var/lib/dpkg/info/$name.preinst" install
done
"""
_CONFIGURE_BASE = """dpkg --configure --force-depends base-passwd
dpkg --configure --force-depends base-files
"""
_CONFIGURE = """for file in /run/wardian/in/deferred/*.deb; do
  if [ -e "$file" ]; then dpkg --force-depends --force-unsafe-io --unpack "$file"; fi
done
cp -r --no-preserve=mode /run/wardian/in/lists/. /var/lib/dpkg/info/
dpkg --force-unsafe-io --force-confnew --configure -a
dpkg --triggers-only -a
"""
_USER = """echo 'user:x:1000:1000:user:/home/user:/bin/bash' >> /etc/passwd
echo 'user:x:1000:' >> /etc/group
echo 'user:!:20089::::::' >> /etc/shadow
echo 'user:!::' >> /etc/gshadow
chmod 640 /etc/shadow /etc/gshadow
mkdir -p /home/user /work
cp -r /etc/skel/. /home/user/
find /home/user -type d -exec chmod 775 {} + -o -type f -exec chmod 664 {} +
chmod 775 /work
for folder in /var/lib/apt/lists/partial /var/cache/apt/archives/partial; do
  if [ -d $folder ]; then chown _apt $folder && chmod 700 $folder; fi # as apt does when it first runs
done
chown -R -h user:root /home/user /work
: > /etc/machine-id
"""
# As in the vendor's own images: whoever builds upon the image can fetch packages right away. It is the one
# well-known address, never that of a machine's mirror; runs see their machine's sources in its place.
_SOURCES = """if [ -d /etc/apt ]; then
  . /usr/lib/os-release
  mkdir -p /etc/apt/sources.list.d
  cat > /etc/apt/sources.list.d/$ID.sources <<END
Types: deb
URIs: http://deb.$ID.org/$ID
Suites: $VERSION_CODENAME $VERSION_CODENAME-updates
Components: main
Signed-By: /usr/share/keyrings/$ID-archive-keyring.gpg

Types: deb
URIs: http://deb.$ID.org/$ID-security
Suites: $VERSION_CODENAME-security
Components: main
Signed-By: /usr/share/keyrings/$ID-archive-keyring.gpg
END
fi
"""
# What rewrites these reads their owners off the disk first, where all are root's.
_TIDY = """for file in /etc/shadow /etc/gshadow; do
  if [ -e $file ]; then chown root:shadow $file; fi
done
rm -f /usr/sbin/policy-rc.d /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/.pwd.lock
rm -f /etc/subuid- /etc/subgid- /var/lib/dpkg/*-old /var/lib/dpkg/lock /var/lib/dpkg/lock-frontend
rm -f /var/lib/dpkg/triggers/Lock /var/lib/systemd/catalog/database
rm -f /var/lib/dbus/machine-id
if [ -s /etc/machine-id ]; then : > /etc/machine-id; fi # a random number
: > /var/lib/dpkg/triggers/Unincorp # without it, the next dpkg believes every trigger activated
find /var/log /var/cache /tmp /var/tmp -xdev ! -type d -delete
find /run -xdev -mindepth 1 ! -path '/run/wardian*' ! -type d -delete
find /usr /opt -xdev -name __pycache__ -type d -prune -exec rm -rf {} +
cp /var/lib/dpkg/status /var/lib/dpkg/diversions /run/wardian/out/
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Packages to be configured together.

    `unpacked` is what the unpacking left, `deferred` the `.deb` files that dpkg itself shall unpack, `lists`
    the files of its info database that replace its own for these, and `interests` their names with their
    `triggers`. `roots` are the layers from bottom to top, the last of which is the stage's own. `docs` says
    that documentation is kept, `owners` is the file for what `Sandbox` records.
    """

    below: State
    unpacked: Sequence[Unpacked]
    deferred: Sequence[Path]
    lists: Mapping[str, bytes]
    interests: Sequence[tuple[str, str]]
    roots: Sequence[Path]
    architecture: str
    docs: bool
    owners: Path


def configure(sandbox: Sandbox, exchange: Path, stage: Stage) -> State:
    """Configure a stage's packages; returns the state for the next stage.

    `exchange` is an empty folder. Raises BuildError with the end of dpkg's output.
    """
    base = not stage.below.status
    triggers = Triggers({name: set(packages) for name, packages in stage.below.triggers.items()})
    _prepare(exchange, stage, triggers)
    script = _BEGIN + diversions.SCRIPT + _PREPARE + (_CONFIGURE_BASE if base else "") + _CONFIGURE
    script += (RUN_ONCE + _USER + _SOURCES if base else "") + _TIDY
    status, output = sandbox.run(
        ["/bin/sh", "-c", script],
        mounts=[
            (exchange / "in", f"{EXCHANGE}/in", True),
            (exchange / "out", f"{EXCHANGE}/out", False),
            *covers(exchange, stage.roots, base=base),
        ],
        environment=_ENVIRONMENT,
        owners=stage.owners,
    )
    if status:
        raise BuildError(
            f"configuring Debian packages failed (dpkg ended with status {status}):\n\n{_end_of(output)}",
            hint="see which package failed last; ask for another version of it, or do without it",
        )
    _remove_mount_points(stage.roots[-1])
    for name, text in stage.interests:  # which dpkg itself has registered in this stage
        triggers.register(name, text)
    return State(
        status=_read_status(exchange / "out/status"),
        triggers={name: sorted(packages) for name, packages in sorted(triggers.interests.items())},
        diversions=diversions.parse(
            _read_plain(exchange / "out/diversions").decode(errors="surrogateescape")
        ),
    )


def _prepare(exchange: Path, stage: Stage, triggers: Triggers) -> None:
    """Fill the exchange folder, and set aside what is diverted."""
    given = exchange / "in"
    for folder in (given / "dpkg", given / "deferred", given / "lists", exchange / "out"):
        folder.mkdir(parents=True)
    _write_database(given / "dpkg", stage, triggers)
    for path in stage.deferred:
        (given / "deferred" / f"{path.name}.deb").hardlink_to(path)
    for name, data in stage.lists.items():
        (given / "lists" / name).write_bytes(data)
    prepared = sorted(package.name for package in stage.unpacked if package.preinst)
    (given / "preinst").write_text("".join(f"{name}\n" for name in prepared))
    (given / "filters").write_text(paths.dpkg_configuration(docs=stage.docs))
    (given / "architecture").write_text(f"{stage.architecture}\n")
    (given / "diverted").write_bytes(
        diversions.divert(stage.roots[-1], stage.below.diversions, unpacked=stage.unpacked, lists=stage.lists)
    )


def _write_database(dpkg: Path, stage: Stage, triggers: Triggers) -> None:
    """What replaces files of dpkg's database, and the triggers that the stage's packages activate."""
    below = stage.below
    for folder in ("triggers", "updates", "info", "parts"):
        (dpkg / folder).mkdir()
    (dpkg / "status").write_text(join_status(below.status, [package.stanza for package in stage.unpacked]))
    if not below.status:
        (dpkg / "available").touch()
        (dpkg / "diversions").touch()
        (dpkg / "statoverride").touch()
        (dpkg / "info/format").write_text("1\n")
        (dpkg / "arch").write_text(f"{stage.architecture}\n")
    activated: set[str] = set()
    for package in stage.unpacked:
        activated |= set(triggers.register(package.name, package.triggers))
    activated |= triggers.touched(path for package in stage.unpacked for path in package.paths)
    for name, text in triggers.files().items():
        (dpkg / "triggers" / name).write_text(text)
    # In the base every package is configured anyway, and does then what its triggers would have it do.
    if below.status:
        (dpkg / "triggers/Unincorp").write_text(triggers.unincorporated(activated))


def _read_plain(path: Path) -> bytes:
    """Read what a step left, if it is a plain file of sane size: the step may have left anything."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_STATUS:
            raise BuildError(f"a Debian package's script replaced dpkg's {path.name} by something else")
        return file.read()


def _read_status(path: Path) -> str:
    """dpkg's status, which is UTF-8 (Debian policy 5.1) unless a script wrote something else."""
    try:
        return _read_plain(path).decode()
    except UnicodeDecodeError as error:
        raise BuildError(
            f"a Debian package's script left bytes in dpkg's {path.name} that are no UTF-8",
            hint="do without the package that was added last",
        ) from error


def _remove_mount_points(root: Path) -> None:
    """Remove the empty folders that mounting the exchange made, following no link."""
    folders: list[int] = []
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        for name in (str(root), "run", "wardian"):
            flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
            folders.append(os.open(name, flags, dir_fd=folders[-1] if folders else None))
            stack.callback(os.close, folders[-1])
        with contextlib.suppress(FileNotFoundError):
            os.unlink("once", dir_fd=folders[2])
        for name in ("in", "out"):
            os.rmdir(name, dir_fd=folders[2])
        os.rmdir("wardian", dir_fd=folders[1])


def _end_of(output: str, lines: int = 15) -> str:
    return "\n".join(output.rstrip().splitlines()[-lines:])
