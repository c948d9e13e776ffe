"""Configures unpacked packages with their own dpkg, inside the sandbox, and tidies up behind them.

What goes in and comes out passes through one exchange folder, mounted at `/run/wardian`: nothing outside
the sandbox follows a path that a package may have made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wardian.ecosystems.debian import unpack
from wardian.ecosystems.debian.database import Triggers, join_status
from wardian.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXCHANGE = "/run/wardian"


class Sandbox(Protocol):
    """Runs a command as emulated root in the root under construction; returns status and output."""

    def run(
        self, arguments: list[str], *, mounts: list[tuple[Path, str, bool]], environment: dict[str, str]
    ) -> tuple[int, str]:
        """`mounts` are (host path, path inside, read-only)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the next stage needs to know of the stages below it."""

    status: str
    triggers: dict[str, list[str]]

    @classmethod
    def read(cls, path: Path) -> State:
        """Read what `write` wrote."""
        return cls(**json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        """Keep the state beside its snapshot."""
        path.write_text(json.dumps({"status": self.status, "triggers": self.triggers}))


EMPTY = State(status="", triggers={})

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

# Byte-compiling the standard library takes 1.2 s of a first build and makes files that depend on the
# clock; runs keep their byte code elsewhere. fc-cache sleeps for 2 s, so that its files are newer than
# their folders, and without them listing fonts takes 13 ms. So these are covered while packages are
# configured, and Python's own compiler with them.
_COVERED = ("usr/bin/py3compile", "usr/bin/fc-cache")

_BEGIN = """set -eu
cd /
cp -r /run/wardian/in/dpkg/. /var/lib/dpkg/
mkdir -p /etc/dpkg/dpkg.cfg.d
cp /run/wardian/in/filters /etc/dpkg/dpkg.cfg.d/wardian
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
for name in $(cat /run/wardian/in/preinst); do
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
dpkg --force-unsafe-io --force-confnew --configure -a
dpkg --triggers-only -a
"""
_USER = """echo 'user:x:1000:1000:user:/home/user:/bin/bash' >> /etc/passwd
echo 'user:x:1000:' >> /etc/group
echo 'user:!:20089::::::' >> /etc/shadow
echo 'user:!::' >> /etc/gshadow
mkdir -p /home/user /work
cp -r /etc/skel/. /home/user/
: > /etc/machine-id
"""
_TIDY = """rm -f /usr/sbin/policy-rc.d /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/.pwd.lock
rm -f /etc/subuid- /etc/subgid- /var/lib/dpkg/*-old /var/lib/dpkg/lock /var/lib/dpkg/lock-frontend
rm -f /var/lib/dpkg/triggers/Lock /var/lib/dpkg/triggers/Unincorp /var/lib/systemd/catalog/database
find /var/log /var/cache /tmp /var/tmp -xdev ! -type d -delete
find /run -xdev -mindepth 1 ! -path '/run/wardian*' ! -type d -delete
find /usr /opt -xdev -name __pycache__ -type d -prune -exec rm -rf {} +
cp /var/lib/dpkg/status /run/wardian/out/status
rm -rf /run/wardian/in
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Packages to be configured together.

    `stanzas` are what the unpacking left for dpkg's status, `deferred` the `.deb` files that dpkg itself
    shall unpack, `roots` the layers from bottom to top, the last of which is the stage's own.
    """

    below: State
    stanzas: Sequence[str]
    deferred: Sequence[Path]
    roots: Sequence[Path]
    architecture: str

    @property
    def info(self) -> Path:
        """The control files of the stage's packages."""
        return self.roots[-1] / "var/lib/dpkg/info"


def configure(sandbox: Sandbox, exchange: Path, stage: Stage) -> State:
    """Configure a stage's packages; returns the state for the next stage.

    `exchange` is an empty folder. Raises BuildError with the end of dpkg's output.
    """
    base = not stage.below.status
    triggers = Triggers({name: set(packages) for name, packages in stage.below.triggers.items()})
    prepared = _prepare(exchange, stage, triggers)
    (exchange / "in/deferred").mkdir()
    for path in stage.deferred:
        (exchange / "in/deferred" / f"{path.name}.deb").hardlink_to(path)
    (exchange / "in/preinst").write_text("".join(f"{name}\n" for name in prepared))
    script = _BEGIN + (_CONFIGURE_BASE if base else "") + _CONFIGURE + (_USER if base else "") + _TIDY
    status, output = sandbox.run(
        ["/bin/sh", "-c", script],
        mounts=[(exchange, EXCHANGE, False), *_covers(exchange, stage.roots)],
        environment=_ENVIRONMENT,
    )
    if status:
        raise BuildError(
            f"configuring Debian packages failed (dpkg ended with status {status}):\n\n{_end_of(output)}",
            hint="see which package failed last; ask for another version of it, or do without it",
        )
    return State(
        status=(exchange / "out/status").read_text(),
        triggers={name: sorted(packages) for name, packages in sorted(triggers.interests.items())},
    )


def _prepare(exchange: Path, stage: Stage, triggers: Triggers) -> list[str]:
    """Fill the exchange folder; returns the packages that have a preinst, in name order."""
    below, info = stage.below, stage.info
    dpkg = exchange / "in/dpkg"
    (dpkg / "triggers").mkdir(parents=True)
    for folder in ("updates", "info", "parts"):
        (dpkg / folder).mkdir()
    (exchange / "out").mkdir()
    (dpkg / "status").write_text(join_status(below.status, list(stage.stanzas)))
    if not below.status:
        (dpkg / "available").touch()
        (dpkg / "diversions").touch()
        (dpkg / "statoverride").touch()
        (dpkg / "info/format").write_text("1\n")
        (dpkg / "arch").write_text(f"{stage.architecture}\n")
    activated: set[str] = set()
    paths: list[str] = []
    names = sorted(path.name.removesuffix(".list") for path in info.glob("*.list"))
    for name in names:
        control = info / f"{name}.triggers"
        if control.exists():
            activated |= set(triggers.register(name.partition(":")[0], control.read_text()))
        paths += (info / f"{name}.list").read_text().splitlines()
    activated |= triggers.touched(paths)
    for name, text in triggers.files().items():
        (dpkg / "triggers" / name).write_text(text)
    # In the base every package is configured anyway, and does then what its triggers would have it do.
    if below.status:
        (dpkg / "triggers/Unincorp").write_text(triggers.unincorporated(activated))
    (exchange / "in/filters").write_text(unpack.dpkg_configuration())
    (exchange / "in/architecture").write_text(f"{stage.architecture}\n")
    return [name for name in names if (info / f"{name}.preinst").exists()]


def _covers(exchange: Path, roots: Sequence[Path]) -> list[tuple[Path, str, bool]]:
    """Mounts that cover what only costs time, where the packages that hold it are there."""
    empty, nothing = exchange / "empty.py", exchange / "nothing"
    empty.touch()
    nothing.write_text("#!/bin/sh\n")
    nothing.chmod(0o755)
    found = ((root, path) for root in roots for path in root.glob("usr/lib/python3.*/py_compile.py"))
    compilers = [f"/{path.relative_to(root)}" for root, path in found]
    tools = [f"/{tool}" for tool in _COVERED for root in roots if (root / tool).exists()]
    return [*((empty, path, True) for path in compilers), *((nothing, path, True) for path in tools)]


def _end_of(output: str, lines: int = 15) -> str:
    return "\n".join(output.rstrip().splitlines()[-lines:])


