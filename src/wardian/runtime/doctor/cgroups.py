"""Control groups: which version, and whether this process may set limits on what it starts."""

from __future__ import annotations

from pathlib import Path

from wardian.runtime.cgroups import find_places
from wardian.runtime.doctor.check import Check

_NAME = "limits"
_WANTED = ("memory", "cpu")
_DELEGATE = "for --memory and --cpus, run it as: systemd-run --user --scope -p Delegate=yes wardian run ..."


def check_cgroups(host: Path) -> Check:
    """Whether --memory and --cpus can be kept (cgroups(7)); everything else works without."""
    version = find_version(host)
    if not version:
        hint = "mount the cgroup file system, if --memory and --cpus are wanted"
        return Check(name=_NAME, ok=None, message="there are no control groups here", hint=hint)
    _, refused = find_places(_WANTED, str(host).rstrip("/"))
    if not refused:
        return Check(name=_NAME, ok=True, message=f"memory and processors can be limited (cgroup {version})")
    message = f"cannot limit {' and '.join(refused)} (cgroup {version}): {'; '.join(refused.values())}"
    hint = _DELEGATE if version == "v2" else "for --memory and --cpus, run it as root"
    return Check(name=_NAME, ok=None, message=message, hint=hint)


def find_version(host: Path) -> str:
    """`v2`, `hybrid`, `v1`, or nothing where there are no control groups."""
    base = host / "sys/fs/cgroup"
    if (base / "cgroup.controllers").exists():
        return "v2"
    if not any((base / name).exists() for name in _WANTED):
        return ""
    return "hybrid" if (base / "unified").exists() else "v1"
