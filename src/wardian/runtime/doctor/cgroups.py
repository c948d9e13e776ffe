"""Control groups: which version, and whether this process may set limits on what it starts."""

from __future__ import annotations

import os
from pathlib import Path

from wardian.runtime.doctor.check import Check

_NAME = "limits"
_WANTED = ("memory", "cpu")
_DELEGATE = "for --memory and --cpus, run it as: systemd-run --user --scope -p Delegate=yes wardian run ..."


def check_cgroups(host: Path) -> Check:
    """Whether --memory and --cpus can be kept (cgroups(7)); everything else works without."""
    version, folders = locate(host)
    if not version:
        hint = "mount the cgroup file system, if --memory and --cpus are wanted"
        return Check(name=_NAME, ok=None, message="there are no control groups here", hint=hint)
    missing = [name for name in _WANTED if not _may_limit(version, folders.get(name), name)]
    if not missing:
        return Check(name=_NAME, ok=True, message=f"memory and processors can be limited (cgroup {version})")
    message = f"no right to limit {' and '.join(missing)} (cgroup {version})"
    hint = _DELEGATE if version == "v2" else "for --memory and --cpus, run it as root"
    return Check(name=_NAME, ok=None, message=message, hint=hint)


def locate(host: Path) -> tuple[str, dict[str, Path]]:
    """The version (`v2`, `hybrid`, `v1` or nothing), and this process's folder for each controller."""
    base = host / "sys/fs/cgroup"
    own = _own_groups(host)
    if (base / "cgroup.controllers").exists():
        folder = base / own.get("", "/").lstrip("/")
        return "v2", dict.fromkeys(_WANTED, folder)
    folders = {name: base / name / own[name].lstrip("/") for name in _WANTED if name in own}
    if not folders:
        return "", {}
    return ("hybrid" if (base / "unified").exists() else "v1"), folders


def _own_groups(host: Path) -> dict[str, str]:
    """Controller -> path of this process's group; version 2's has the empty name."""
    try:
        lines = (host / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return {}
    parts = [line.split(":", 2) for line in lines]
    return {name: path for _, names, path in parts for name in names.split(",")}


def _may_limit(version: str, folder: Path | None, controller: str) -> bool:
    if folder is None or not os.access(folder, os.W_OK):
        return False
    if version != "v2":
        return True
    try:
        offered = (folder / "cgroup.controllers").read_text().split()
    except OSError:
        return False
    return controller in offered and os.access(folder / "cgroup.subtree_control", os.W_OK)
