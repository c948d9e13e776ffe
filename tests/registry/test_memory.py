"""What is remembered of registries: best effort, never in the way."""

from __future__ import annotations

import pytest

from wardian.image.descriptor import Digest
from wardian.registry.memory import Memory

A, B = Digest.of(b"a"), Digest.of(b"b")


@pytest.fixture
def memory(library):
    return Memory(library.store, "registry.example:5000")


def test_the_latest_comes_first(memory, library):
    memory.note("one", [A, B])
    memory.note("two", [A])
    assert memory.all()[A] == ("two", "one")
    assert memory.all()[B] == ("one",)
    assert Memory(library.store, "another.example").all() == {}


def test_how_chunks_are_taken(memory):
    assert memory.chunk() is None
    memory.note("one", [A], chunk="whole")
    memory.note("one", [B])
    assert memory.chunk() == "whole"


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "[]", "{}", '{"blobs": []}', '{"blobs": {"a": 1}}', '{"blobs": {"a": [1]}}', "[" * 9999],
)
def test_damage_is_forgotten(memory, text):
    memory.note("one", [A])
    memory._path.write_text(text)
    assert memory.all().get(A, ()) == ()
    memory.note("two", [A])
    assert memory.all()[A] == ("two",)


def test_it_stays_small(memory, monkeypatch):
    monkeypatch.setattr("wardian.registry.memory._MOST", 3)
    for number in range(9):
        memory.note("one", [Digest.of(bytes([number]))])
    assert len(memory.all()) == 3
