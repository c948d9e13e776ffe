from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.errors import RunError
from wardian.runtime.notebook.parameters import Value, parse_parameter, parse_parameters


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("x=1", 1),
        ("x=-12", -12),
        ("x=+3", 3),
        ("x=1.5", 1.5),
        ("x=.5", 0.5),
        ("x=1e-3", 0.001),
        ("x=inf", math.inf),
        ("x=-Infinity", -math.inf),
        ("x=True", True),
        ("x=false", False),
        ("x=None", None),
        ("x=null", None),
        ("x=", ""),
        ("x=text with spaces", "text with spaces"),
        ("x=2024-01-31", "2024-01-31"),
        ("x=1_000", "1_000"),
        ("x=0x10", "0x10"),
        ("x=٣", "٣"),
        ("x=a=b", "a=b"),
        ('x="5"', "5"),
        ("x=[1, 2.5, null]", [1, 2.5, None]),
        ('x={"a": [true]}', {"a": [True]}),
        ("größe=1", 1),
    ],
)
def test_value(word: str, value: Value) -> None:
    name, found = parse_parameter(word)
    assert name == word.partition("=")[0]
    assert found == value
    assert type(found) is type(value)


def test_nan() -> None:
    found = parse_parameter("x=nan")[1]
    assert isinstance(found, float)
    assert math.isnan(found)


def test_last_of_a_name_wins() -> None:
    assert parse_parameters(["x=1", "y=2", "x=3"]) == {"x": 3, "y": 2}


@pytest.mark.parametrize("word", ["1x=2", "a-b=2", "class=2", "=2", "x.y=2"])
def test_name_that_is_none(word: str) -> None:
    name = word.partition("=")[0]
    with pytest.raises(RunError) as caught:
        parse_parameter(word)
    assert caught.value.message == f"the parameter name {name!r} is no Python name"
    assert caught.value.hint == "use letters, digits and underscores, beginning with no digit"


def test_no_value() -> None:
    with pytest.raises(RunError, match="the parameter 'x' has no value") as caught:
        parse_parameter("x")
    assert caught.value.hint == "write -p x=VALUE"


def test_broken_json() -> None:
    with pytest.raises(
        RunError, match="the value of the parameter 'x' begins like JSON and is none"
    ) as caught:
        parse_parameter("x=[1, 2")
    assert caught.value.hint == """correct it, or give it as text: -p 'x="[1, 2"'"""


@given(st.text())
def test_any_text_is_a_value_or_a_clear_error(text: str) -> None:
    with contextlib.suppress(RunError):
        parse_parameter(f"x={text}")


@given(st.integers())
def test_integers_survive(number: int) -> None:
    assert parse_parameter(f"x={number}") == ("x", number)
