"""The order of Debian versions, against dpkg where it is there."""

from __future__ import annotations

import itertools
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.ecosystems.debian.versions import DebianVersion, satisfies

ORDERED = [
    "0~",
    "0",
    "1~~",
    "1~rc1",
    "1",
    "1-1~deb12u1",
    "1-1",
    "1-1+b1",
    "1-1.1",
    "1a",
    "1+b",
    "1.0",
    "1.9",
    "1.10",
    "1:0",
]
TEXTS = st.from_regex(r"\A([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.+~]{1,4})?\Z")


def test_order():
    mixed = ORDERED[1::2] + ORDERED[::2]
    assert sorted(mixed, key=DebianVersion) == ORDERED


def test_the_epoch_ends_at_the_first_colon():
    assert DebianVersion("1:2:3-1") < DebianVersion("2:0")
    assert DebianVersion("1:2:3-1") > DebianVersion("1:2-1")


def test_equal_though_written_differently():
    assert DebianVersion("0:1.0") == DebianVersion("1.00-0")
    assert len({DebianVersion("1"), DebianVersion("1-0")}) == 1


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="needs dpkg to compare with")
def test_as_dpkg_does():
    relations = {"<<": "lt", "<=": "le", "=": "eq", ">=": "ge", ">>": "gt"}
    pairs = list(itertools.product(ORDERED, ORDERED))[::5]
    for (left, right), (sign, name) in zip(pairs, itertools.cycle(relations.items()), strict=False):
        said = subprocess.run(["dpkg", "--compare-versions", left, name, right], check=False).returncode == 0
        assert satisfies(left, sign, right) == said, (left, sign, right)


@given(TEXTS, TEXTS, TEXTS)
def test_it_is_an_order(one, two, three):
    a, b, c = map(DebianVersion, (one, two, three))
    assert (a < b) + (b < a) + (a == b) == 1
    if a <= b <= c:
        assert a <= c


def test_no_relation_is_always_satisfied():
    assert satisfies("1", "", "")
    assert not satisfies("1", "?", "1")
