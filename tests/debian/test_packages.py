"""Stanzas found without parsing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.ecosystems.debian import near
from wardian.ecosystems.debian.packages import PackagesFile, parse_provides, parse_stanza

TEXT = """\
Package: zsh
Version: 1
Provides: shell (= 1), posix-sh

Priority: odd
Package: a
Version: 2
Description: text
 more: text
 Package: no

Package: a+b
Version: 3
Provides: shelly

Package: a
Version: 4
"""


@pytest.fixture
def write(tmp_path: Path):
    def make(text: str) -> PackagesFile:
        (tmp_path / "Packages").write_text(text)
        return PackagesFile(tmp_path / "Packages")

    return make


def test_stanzas(write):
    file = write(TEXT)
    assert file.names() == ["a", "a", "a+b", "zsh"]
    assert sorted(stanza["Version"] for stanza in file.stanzas("a")) == ["2", "4"]
    assert next(iter(file.stanzas("zsh")))["Version"] == "1"
    assert list(file.stanzas("z")) == []
    assert list(file.stanzas("")) == []
    first = next(stanza for stanza in file.stanzas("a") if stanza["Version"] == "2")
    assert first["Priority"] == "odd"
    assert first["Description"] == "text\nmore: text\nPackage: no"


def test_providers(write):
    file = write(TEXT)
    assert [stanza["Package"] for stanza in file.providers("shell")] == ["zsh"]
    assert [stanza["Package"] for stanza in file.providers("shelly")] == ["a+b"]
    assert list(file.providers("Provides")) == []
    assert parse_provides(parse_stanza("Provides: a (= 1:2), b:any,\n c")) == [
        ("a", "1:2"),
        ("b", ""),
        ("c", ""),
    ]


@pytest.mark.parametrize("text", ["", "\n", "Package: only\nVersion: 1", "Package: only\nVersion: 1\n\n\n"])
def test_small_files(write, text):
    file = write(text)
    assert [s["Version"] for s in file.stanzas("only")] == (["1"] if "only" in text else [])


@given(names=st.lists(st.from_regex(r"\A[a-z0-9][a-z0-9+.\-]{1,5}\Z"), max_size=30))
def test_every_name_is_found(names, tmp_path_factory):
    path = tmp_path_factory.mktemp("lists") / "Packages"
    path.write_text("\n".join(f"Package: {name}\nVersion: {n}\n" for n, name in enumerate(names)))
    file = PackagesFile(path)
    for name in names:
        assert sorted(s["Version"] for s in file.stanzas(name)) == sorted(
            str(n) for n, other in enumerate(names) if other == name
        )


def test_a_table_that_lost_its_end_is_made_again(write, tmp_path):
    names = write(TEXT).names()
    table = tmp_path / "Packages.names"
    whole = table.read_bytes()
    for size in range(len(whole)):
        table.write_bytes(whole[:size])
        assert PackagesFile(tmp_path / "Packages").names() == names
        assert table.read_bytes() == whole


def test_the_table_of_a_list_that_lost_its_end_is_made_again(write):
    assert write(TEXT[: TEXT.rindex("Package: a\n")]).names() == ["a", "a+b", "zsh"]
    assert write(TEXT).names() == ["a", "a", "a+b", "zsh"]


def test_near_names():
    known = {"graphviz", "graphviz-dev", "libgraphviz-perl", "python3", "git", "gis"}
    assert near.find("grapviz", known) == ("graphviz",)
    assert near.find("graphvi", known) == ("graphviz", "graphviz-dev")
    assert near.find("Python3", known)[0] == "python3"
    assert near.find("qqqq", known) == ()
