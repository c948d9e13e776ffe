"""What an image's root tells of itself: its users and groups, which shell it has, whether apt.

A process of its own (`python -m wardian.runtime.userland`) mounts the layers and changes root to them, so
that their links lead nowhere else, and reads what engines read as well: /etc/passwd and /etc/group
(passwd(5), group(5)). It runs nothing of the image.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.errors import HostError, RunError
from wardian.runtime import overlay
from wardian.system import confinement, namespace
from wardian.system.processes import module_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHELLS = ("/bin/bash", "/usr/bin/bash", "/bin/sh", "/bin/ash", "/busybox/sh")
_LARGEST = 1 << 20  # bytes of passwd and group: 20,000 users
_MOST_ID = (1 << 32) - 2  # linux/types.h, uid_t; the last is "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Userland:
    """`users` are id, group and home by name, `groups` ids by name; `shell` is empty where there is none."""

    users: Mapping[str, tuple[int, int, str]]
    groups: Mapping[str, int]
    shell: str
    has_apt: bool

    def as_json(self) -> dict[str, Any]:
        """The JSON object, for a launch record."""
        users = {name: list(user) for name, user in self.users.items()}
        return {"users": users, "groups": dict(self.groups), "shell": self.shell, "apt": self.has_apt}


def read_userland(layers: Sequence[Path], folder: Path) -> Userland:
    """Look into the root that `layers` make, from bottom to top; `folder` is an empty one for the mount.

    Raises HostError where it cannot be mounted.
    """
    overlay.check([str(layer) for layer in layers])
    for name in ("upper", "work", "root"):
        (folder / name).mkdir(parents=True)
    request = json.dumps({"layers": [str(layer) for layer in layers], "folder": str(folder)})
    done = subprocess.run(module_command(__name__), input=request.encode(), capture_output=True, check=False)
    if done.returncode:
        end = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise HostError(f"cannot look into the image: {''.join(end)}", hint="run `wardian doctor`")
    told = json.loads(done.stdout)
    return Userland(
        users=dict(_users(told["passwd"])),
        groups=dict(_groups(told["group"])),
        shell=told["shell"],
        has_apt=told["apt"],
    )


def _users(text: str) -> list[tuple[str, tuple[int, int, str]]]:
    """The first entry of a name counts, as libc has it."""
    found = []
    for line in reversed(text.splitlines()):
        fields = line.split(":")
        if len(fields) >= 6 and (user := _number(fields[2])) is not None:
            home = fields[5] if fields[5].startswith("/") else "/"
            found.append((fields[0], (user, _number(fields[3]) or 0, home)))
    return found


def _groups(text: str) -> list[tuple[str, int]]:
    lines = [line.split(":") for line in reversed(text.splitlines())]
    return [
        (fields[0], number)
        for fields in lines
        if len(fields) >= 3 and (number := _number(fields[2])) is not None
    ]


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) > _MOST_ID:
        return None
    return int(text)


def find_user(record: Mapping[str, Any], wanted: str, image: str) -> tuple[int, int, str]:
    """The id, group and home of `USER[:GROUP]`, names or numbers (config.md, `User`); nothing means root.

    `record` is `Userland.as_json`. A number that the image does not know has the group 0 and the home `/`.
    Raises RunError for a name that the image does not know.
    """
    name, _, group = wanted.partition(":")
    users: Mapping[str, tuple[int, int, str]] = record["users"]
    if (number := _number(name or "0")) is not None and name not in users:
        found = next((user for user in users.values() if user[0] == number), (number, 0, "/"))
    elif name in users:
        found = users[name]
    else:
        raise RunError(_unknown("user", name, image, users), hint="name one that it has, or a number")
    return found[0], _find_group(record["groups"], group, image) if group else found[1], found[2]


def _find_group(groups: Mapping[str, int], wanted: str, image: str) -> int:
    if wanted in groups:
        return groups[wanted]
    if (number := _number(wanted)) is None:
        raise RunError(_unknown("group", wanted, image, groups), hint="name one that it has, or a number")
    return number


def _unknown(kind: str, name: str, image: str, known: Mapping[str, object]) -> str:
    some = ", ".join(sorted(known)[:8])
    return f"{image} has no {kind} {name[:60]!r}" + (f"; it has {some}" if some else "")


def main() -> int:
    """Serve the one request on standard input; answers with one JSON object."""
    request = json.loads(sys.stdin.read())
    folder = request["folder"]
    user, group = os.getuid(), os.getgid()
    namespace.unshare(namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS)
    namespace.map_only(user, group)
    root = f"{folder}/root"
    if request["layers"]:
        overlay.mount(request["layers"], f"{folder}/upper", f"{folder}/work", root, volatile=True)
    confinement.import_no_more()
    os.chdir(root)
    os.chroot(".")
    answer = {
        "passwd": _read("/etc/passwd"),
        "group": _read("/etc/group"),
        "shell": next((path for path in SHELLS if _is_program(path)), ""),
        "apt": os.path.isdir("/etc/apt") and not os.path.lexists("/etc/apt/apt.conf"),
    }
    os.write(1, json.dumps(answer).encode())
    return 0


def _read(path: str) -> str:
    """A file's beginning; nothing where it is none, or something that would never end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return file.read(_LARGEST).decode(errors="replace")


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


if __name__ == "__main__":
    sys.exit(main())
