"""The default seccomp profile, turned from the container tools' own format into the runtime-spec's.

The profile itself comes with the toolbox (containers-common's `seccomp.json`), kept by those who keep
Podman. It says for each rule which capabilities and architectures it includes or excludes; a run has no
capability at all, so the rules that need one fall away. What root inside has more is bundle.py's affair.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_ARCHITECTURES = {
    "amd64": "SCMP_ARCH_X86_64",
    "arm64": "SCMP_ARCH_AARCH64",
    "ppc64le": "SCMP_ARCH_PPC64LE",
    "s390x": "SCMP_ARCH_S390X",
    "riscv64": "SCMP_ARCH_RISCV64",
}


def default_profile(path: Path, architecture: str) -> dict[str, Any]:
    """The `linux.seccomp` object (runtime-spec, config-linux.md) of a process without capabilities.

    `architecture` is the OCI name, for example `amd64`.
    """
    profile = json.loads(path.read_text())
    rules = [_rule(rule) for rule in profile["syscalls"] if _applies(rule, architecture)]
    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile.get("defaultErrnoRet", 1),
        "architectures": _family(profile, _ARCHITECTURES[architecture]),
        "syscalls": rules,
    }


def _applies(rule: dict[str, Any], architecture: str) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    if includes.get("caps"):
        return False
    if includes.get("arches") and architecture not in includes["arches"]:
        return False
    return architecture not in (excludes.get("arches") or ())


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    kept = {"names": rule["names"], "action": rule["action"]}
    if rule.get("args"):
        kept["args"] = rule["args"]
    if rule.get("errnoRet") is not None:
        kept["errnoRet"] = rule["errnoRet"]
    return kept


def _family(profile: dict[str, Any], architecture: str) -> list[str]:
    for entry in profile.get("archMap", ()):
        if entry["architecture"] == architecture:
            return [architecture, *(entry.get("subArchitectures") or ())]
    return [architecture]
