"""The first thing in which two images differ."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.images import Members, link, member, store_image

from wardian.build.compare import first_difference
from wardian.image.library import Library
from wardian.store.store import Store

BIG = bytes(3 << 20)
LAYER: Members = [("etc/", b""), ("etc/name", b"value\n"), link("etc/link", "name"), ("usr/big", BIG)]


def difference(tmp_path: Path, second: Members, **more: str) -> str:
    one, two = (Library(Store.open(tmp_path / name)) for name in ("one", "two"))
    return str(first_difference(one, store_image(one, LAYER), two, store_image(two, second, **more)))


def changed(number: int, name: str | None, data: bytes) -> Members:
    return [*LAYER[:number], *([(name, data)] if name else []), *LAYER[number + 1 :]]  # type: ignore[index]


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (LAYER, "None"),
        (
            changed(1, "etc/name", b"valUe\n"),
            "etc/name in the layer 'layer 0': its content differs from byte 3 on",
        ),
        (changed(1, "etc/name", b"val"), "etc/name in the layer 'layer 0': its size is 6 and 3"),
        (changed(1, "etc/other", b""), "etc/name in the layer 'layer 0': only one of them has it"),
        (changed(3, None, b""), "usr/big in the layer 'layer 0': only one of them has it"),
        (
            changed(3, "usr/big", BIG[:-1] + b"x"),
            f"usr/big in the layer 'layer 0': its content differs from byte {len(BIG) - 1} on",
        ),
        (
            [(member("etc", b"5", mode=0o700), b""), *LAYER[1:]],  # type: ignore[index]
            "etc in the layer 'layer 0': its mode is 755 and 700",
        ),
    ],
)
def test_differences(tmp_path: Path, second: Members, told: str) -> None:
    assert difference(tmp_path, second) == told


def test_the_same_files_compressed_differently(tmp_path: Path) -> None:
    told = difference(tmp_path, LAYER, compression="zstd")
    assert told == "the files are the same, compressed or described differently"
