"""What one package changes: its own layer and a small one, whatever else is in the image."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.main_job.machine import Account, expect

_SPEC = """\
name = "strata"

[python]
packages = ["six==1.16.0", "markupsafe", "click"]

[system]
packages = ["bc"]

[image]
code = false
bytecode = true
"""
_SMALL = 1_000_000  # bytes, packed

Layers = dict[str, tuple[str, int]]


@pytest.fixture
def strata(builder: Account) -> Callable[[str], Layers]:
    """`strata(spec)`: the layers of the image that a spec gives, by name: diff_id and packed size."""
    folder = builder.project(f"strata-{os.getpid()}")

    def call(spec: str) -> Layers:
        (folder / "wardian.toml").write_text(spec)
        return _layers(builder, folder)

    return call


def _layers(account: Account, folder: Path) -> Layers:
    seen = expect(account.wardian("image", "inspect", "--json", cwd=folder), json_output=True)
    layers: list[dict[str, Any]] = seen["layers"]
    assert len({layer["name"] for layer in layers}) == len(layers) <= 100
    return {layer["name"]: (layer["diff_id"], layer["size"]) for layer in layers}


def _changed(before: Layers, after: Layers) -> dict[str, int]:
    """The layers of `after` that `before` has not, and how large they are."""
    known = {diff_id for diff_id, _ in before.values()}
    return {name: size for name, (diff_id, size) in after.items() if diff_id not in known}


def test_one_package_changes_its_own_layer_and_a_small_one(strata: Callable[[str], Layers]) -> None:
    first = strata(_SPEC)
    for spec in (
        _SPEC.replace('"click"', '"click", "idna"'),  # added
        _SPEC.replace('"six==1.16.0"', '"six==1.17.0"'),  # upgraded
        _SPEC.replace(', "click"', ""),  # removed: its layer is gone, or changed where others share it
        _SPEC.replace('"bc"', '"bc", "tree"'),
        _SPEC.replace('packages = ["bc"]', "packages = []"),
    ):
        changed = _changed(first, strata(spec))
        assert len(changed) <= 2, changed
        assert sum(changed.values()) < _SMALL, changed
    assert strata(_SPEC) == first
