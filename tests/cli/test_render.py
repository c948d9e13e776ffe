from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.cli import render
from wardian.lock.model import Change


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (975_000_000, "975.0 MB"),
        (1_390_000_000, "1.4 GB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_size(amount, text):
    assert render.size(amount) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.0, "0.00 s"),
        (0.994, "0.99 s"),
        (0.999, "1.0 s"),
        (59.94, "59.9 s"),
        (59.99, "1 min 0 s"),
        (125, "2 min 5 s"),
        (7320, "2 h 2 min"),
    ],
)
def test_seconds(amount, text):
    assert render.seconds(amount) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7200, "2 hours ago"),
        (86400 * 3, "3 days ago"),
        (86400 * 800, "2 years ago"),
    ],
)
def test_age(amount, text):
    assert render.age(amount) == text


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)] * 3), min_size=1
    )
)
def test_columns_begin_below_each_other(rows):
    lines = render.columns(rows)
    width = max(len(row[0]) for row in rows) + 2
    assert [line[width : width + len(row[1])] for line, row in zip(lines, rows, strict=True)] == [
        r[1] for r in rows
    ]


def test_columns_of_numbers_end_below_each_other():
    assert render.columns([("a", "1"), ("bb", "100")], right=(1,)) == ["a     1", "bb  100"]


def test_what_would_break_a_table_is_escaped():
    rows = [("a\nb", "1"), ("c\td", "2"), ("\x1b", "3")]
    assert render.columns(rows) == ["a\\nb  1", "c\\td  2", "\\x1b  3"]
    assert render.plain("a\nb\tc") == "a\nb\tc"  # messages have lines


CHANGES = [
    Change(ecosystem="python", name="numpy", old=None, new="2.3.1"),
    Change(ecosystem="python", name="pandas", old="2.2.0", new="2.3.1"),
    Change(ecosystem="debian", name="graphviz", old="2.42.4-3", new=None),
]


def test_changes_one_by_one():
    assert render.change_lines(CHANGES) == [
        "+ numpy 2.3.1 (python)",
        "~ pandas 2.2.0 -> 2.3.1 (python)",
        "- graphviz 2.42.4-3 (debian)",
    ]


def test_many_changes_are_summed_up():
    many = CHANGES * 10
    assert render.change_lines(many) == [
        "30 packages: 10 added, 10 removed, 10 changed (`--verbose` names them)"
    ]
    assert len(render.change_lines(many, everything=True)) == 30


def test_changes_as_json():
    assert render.changes_as_json(CHANGES[:1]) == [
        {"ecosystem": "python", "name": "numpy", "old": None, "new": "2.3.1"}
    ]
