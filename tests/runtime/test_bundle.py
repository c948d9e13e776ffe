"""The bundle's configuration: what root inside is answered, and names that the kernel takes."""

from __future__ import annotations

from typing import Any

import pytest

from wardian.runtime import bundle

PROFILE = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "syscalls": [
        {"names": ["read", "fsync", "chown"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["chroot"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
    ],
}


def answers(config: dict[str, Any]) -> dict[str, tuple[str, int | None]]:
    rules = config["linux"]["seccomp"]["syscalls"]
    found = [(name, (rule["action"], rule.get("errnoRet"))) for rule in rules for name in rule["names"]]
    assert len(found) == len(dict(found)), "a call has two answers"
    return dict(found)


def test_root_in_a_run_writes_to_the_disk_and_may_change_its_root() -> None:
    found = answers(bundle.root_config(["true"], environment={}, seccomp=PROFILE))
    assert found["fsync"] == found["read"] == found["chroot"] == ("SCMP_ACT_ALLOW", None)
    assert found["chown"] == ("SCMP_ACT_ERRNO", 0)
    assert "sync" not in found


@pytest.mark.parametrize("record", [False, True])
def test_a_build_forces_nothing_to_the_disk(record: bool) -> None:
    config = bundle.root_config(["true"], environment={}, record=record)
    found = answers(config)
    assert config["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ALLOW"
    assert {found[name] for name in ("fsync", "fdatasync", "sync", "setuid")} == {("SCMP_ACT_ERRNO", 0)}
    assert found["chown"] == (("SCMP_ACT_NOTIFY", None) if record else ("SCMP_ACT_ERRNO", 0))


@pytest.mark.parametrize(("name", "short"), [("a", "a"), ("a" * 80, "a" * 63), (f"{'a' * 62}-b", "a" * 62)])
def test_a_long_name_is_cut_to_a_hosts(name: str, short: str) -> None:
    assert bundle.root_config(["true"], environment={}, name=name)["hostname"] == short
    config = bundle.run_config(
        ["true"], environment={}, directory="/", terminal=None, mounts=(), seccomp={}, network=True, name=name
    )
    assert config["hostname"] == short
