"""The line of every key of a TOML text."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from wardian.project.positions import locate

TEXT = '''# comment = 1
a.b . "c d" = 1 # a.x = 2
"q\\"uote\\u0041" = "]"

[table]
long = """
[not.a.table]
x = 1\\"""
"""""
raw = \'\'\'
[no]
'\'\'\'\'
array = [
    # [no]
    "x", # ,
    { k = 1, "l" = [ 2,
      3 ] },
    [4],
] # end
inline = { one = 1, two.three = "}" }
when = 1979-05-27 07:32:00

[[many]]
k = 1
[many.sub]
k = 2
[[many]]
[[many.deep]]
k = 3
[ spaced . "name" ]
'''


def test_the_lines_of_a_text_with_everything():
    tomllib.loads(TEXT)
    lines = {keys: line for keys, line in locate(TEXT).items() if keys}
    assert lines == {
        ("a",): 2,
        ("a", "b"): 2,
        ("a", "b", "c d"): 2,
        ('q"uoteA',): 3,
        ("table",): 5,
        ("table", "long"): 6,
        ("table", "raw"): 10,
        ("table", "array"): 13,
        ("table", "array", 0): 15,
        ("table", "array", 1): 16,
        ("table", "array", 1, "k"): 16,
        ("table", "array", 1, "l"): 16,
        ("table", "array", 1, "l", 0): 16,
        ("table", "array", 1, "l", 1): 17,
        ("table", "array", 2): 18,
        ("table", "array", 2, 0): 18,
        ("table", "inline"): 20,
        ("table", "inline", "one"): 20,
        ("table", "inline", "two"): 20,
        ("table", "inline", "two", "three"): 20,
        ("table", "when"): 21,
        ("many",): 23,
        ("many", 0): 23,
        ("many", 0, "k"): 24,
        ("many", 0, "sub"): 25,
        ("many", 0, "sub", "k"): 26,
        ("many", 1): 27,
        ("many", 1, "deep"): 28,
        ("many", 1, "deep", 0): 28,
        ("many", 1, "deep", 0, "k"): 29,
        ("spaced",): 30,
        ("spaced", "name"): 30,
    }


def paths(value, keys=()):
    """All key paths of a parsed text."""
    yield keys
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*keys, key))


def test_every_parsed_key_has_a_line():
    assert set(paths(tomllib.loads(TEXT))) == set(locate(TEXT))


keys = st.text(max_size=6)
scalars = st.one_of(
    st.integers(), st.booleans(), st.text(max_size=12), st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(keys, values, max_size=5))
def test_what_tomlkit_writes_is_located(content):
    import tomlkit

    text = tomlkit.dumps(content)
    assert set(locate(text)) == set(paths(tomllib.loads(text)))


@given(st.text(alphabet="[]{}\"'=.,#\\ \nab1\0\r\t", max_size=60))
def test_nonsense_ends_quietly(text):
    lines = locate(text)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
    try:
        parsed = tomllib.loads(text)
    except ValueError:
        return
    assert set(paths(parsed)) <= set(lines)


def test_depth_ends_quietly():
    assert locate("a = " + "[" * 100_000)[("a",)] == 1
