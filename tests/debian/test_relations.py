"""Dependencies and the stages that follow from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.ecosystems.debian.relations import LARGEST_STAGE, Alternative, Solution, parse_depends


def solution(**depends: str) -> Solution:
    return Solution({name: {"Version": "1", "Depends": text} for name, text in depends.items()})


def test_parse_depends():
    needs = parse_depends({"Pre-Depends": "a", "Depends": "b (>= 1:2~3) | c:any,\n d (<< 4)"})
    assert needs == [
        [Alternative(name="a", relation="", version="")],
        [
            Alternative(name="b", relation=">=", version="1:2~3"),
            Alternative(name="c", relation="", version=""),
        ],
        [Alternative(name="d", relation="<<", version="4")],
    ]


def test_closure_takes_the_first_alternative_that_fits():
    found = Solution(
        {
            "root": {"Version": "1", "Depends": "old (>= 2) | right | other"},
            "old": {"Version": "1"},
            "right": {"Version": "1", "Depends": "virtual"},
            "other": {"Version": "1"},
            "carrier": {"Version": "1", "Provides": "virtual"},
            "sh": {"Version": "1", "Essential": "yes"},
            "init": {"Version": "1", "Priority": "required"},
        }
    )
    assert found.closure(["root"]) == {"root", "right", "carrier", "sh", "init"}
    assert found.closure(["virtual", "?essential"]) == {"carrier", "sh", "init"}
    assert found.closure(["root"], preferred={"other"}) == {"root", "other", "sh", "init"}


def test_versioned_provides():
    stanzas = {"a": {"Version": "1", "Depends": "v (>= 2)"}, "p": {"Version": "1", "Provides": "v (= 1)"}}
    assert Solution(stanzas).closure(["a"]) == {"a"}
    stanzas["q"] = {"Version": "1", "Provides": "v (= 2)"}
    assert Solution(stanzas).closure(["a"]) == {"a", "q"}


def test_nothing_comes_before_what_it_needs():
    found = solution(a="b", b="c", c="", d="a | c")
    assert found.restage({"a": 0, "b": 1, "c": 2, "d": 0}) == {"a": 1, "b": 1, "c": 1, "d": 1}
    with_base = {**dict.fromkeys("abd", 0), "c": 0}
    assert found.restage({**with_base, "a": 1}) == {**with_base, "a": 1}
    assert found.restage({"a": 1, "b": 0, "c": 0, "d": 0}) == {"a": 1, "b": 0, "c": 0, "d": 0}


def test_circles_end_up_together():
    assert solution(a="b", b="a").restage({"a": 1, "b": 2}) == {"a": 1, "b": 1}


def test_gaps_are_closed_and_stages_are_bounded():
    assert solution(a="", b="", c="").restage({"a": 0, "b": 3, "c": 5}) == {"a": 0, "b": 1, "c": 2}
    assert solution(a="").restage({"a": 4}) == {"a": 1}
    many = {f"p{n}": n for n in range(LARGEST_STAGE + 1)}
    assert solution(**dict.fromkeys(many, "")).restage(many) == many
    more = {f"p{n}": n for n in range(LARGEST_STAGE + 2)}
    staged = solution(**dict.fromkeys(more, "")).restage(more)
    assert staged == {name: min(number, 1) for name, number in more.items()}


@given(st.data())
def test_restaging_always_keeps_the_promise(data):
    names = [f"p{n}" for n in range(8)]
    depends = {name: data.draw(st.lists(st.sampled_from(names), max_size=3)) for name in names}
    stages = {name: data.draw(st.integers(0, 5)) for name in names}
    staged = solution(**{name: ", ".join(needed) for name, needed in depends.items()}).restage(stages)
    assert all(staged[needed] <= staged[name] for name in names for needed in depends[name])
    assert set(staged.values()) <= set(range(max(staged.values()) + 1))


@pytest.mark.parametrize("text", ["", " , ,", "a (>=", "a | | b"])
def test_odd_fields_do_not_break(text):
    parse_depends({"Depends": text})
