"""The JSON Schema and the documents come from the model and agree with the validator."""

from __future__ import annotations

import tomllib
from pathlib import Path

import jsonschema
import pytest

from wardian.project.initial import render
from wardian.project.kinds import declared_keys
from wardian.project.read import read_spec_text
from wardian.project.schema import key_table, spec_schema
from wardian.project.spec import PythonSpec, Spec

from .test_read import FULL, MISTAKES

DOCUMENT = Path(__file__).parents[2] / "docs" / "spec.md"


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(spec_schema())


@pytest.mark.parametrize("text", [FULL, "", render(Spec(python=PythonSpec(packages=("numpy",))))])
def test_what_is_right_fits_the_schema(text):
    jsonschema.validate(tomllib.loads(text), spec_schema())


# What no schema of this kind can say: the forms of requirements, and that two paths are one.
BEYOND = ("PEP 508", "no address", "is an address", "no version or", "no path inside",
          "stands here twice", "single =",
          "unknown platform", "control character", "no absolute path")  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES, ids=[case[1][:60] for case in MISTAKES])
def test_what_is_wrong_does_not(case):
    text, message, _ = case
    if "not valid TOML" in message or "nested too deep" in message or "0xfff" in text:
        return
    validator = jsonschema.Draft202012Validator(spec_schema())
    if any(phrase in message for phrase in BEYOND) and "expected" not in message:
        return
    assert not validator.is_valid(tomllib.loads(text))


def test_the_documents_hold_the_key_table():
    assert (
        f"<!-- keys: made by wardian.project.schema.key_table -->\n{key_table()}<!-- end -->"
        in DOCUMENT.read_text()
    )


def test_the_documents_examples_are_right(tmp_path):
    blocks = DOCUMENT.read_text().split("```toml\n")[1:]
    assert blocks
    for block in blocks:
        text = block.split("```")[0]
        read_spec_text(
            text, tmp_path / "wardian.toml", prefix=("tool", "wardian") if "[tool." in text else ()
        )


def test_every_example_of_a_key_is_right(tmp_path):
    for name, key in declared_keys(Spec).items():
        if key.example:
            read_spec_text(f"{name} = {key.example}\n", tmp_path / "wardian.toml")
    for name, key in declared_keys(PythonSpec).items():
        read_spec_text(f"[python]\n{name} = {key.example}\n", tmp_path / "wardian.toml")
