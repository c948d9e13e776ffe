from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.registry.challenge import Challenge, parse_challenges

BEARER = (
    'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"'
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            BEARER,
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.example/token",
                        "service": "registry.example",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        ('Basic realm="a \\"quoted\\" word"', [("basic", {"realm": 'a "quoted" word'})]),
        ("basic realm=plain", [("basic", {"realm": "plain"})]),
        ('BEARER Realm = "x" , Service=y', [("bearer", {"realm": "x", "service": "y"})]),
        ('Negotiate, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        ('Negotiate abc==, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        ('Bearer realm="x", Basic realm="y"', [("bearer", {"realm": "x"}), ("basic", {"realm": "y"})]),
        ("Negotiate", [("negotiate", {})]),
        ('realm="x"', []),
        ("", []),
        (", ,", []),
        ('Basic realm="not ended', [("basic", {})]),
    ],
)
def test_challenges(header, expected):
    found = parse_challenges([header])
    assert [(challenge.scheme, dict(challenge.parameters)) for challenge in found] == expected


def test_several_headers():
    assert [challenge.scheme for challenge in parse_challenges(["Negotiate", 'Basic realm="x"'])] == [
        "negotiate",
        "basic",
    ]


@given(st.text())
def test_anything_ends(text):
    assert all(isinstance(challenge, Challenge) for challenge in parse_challenges([text]))
