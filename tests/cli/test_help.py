from __future__ import annotations

import re

import pytest

import wardian
from wardian.cli.verbs import GROUPS, NAMES


def test_help_shows_every_verb_in_its_group_with_one_line(invoke):
    outcome = invoke("--help")
    assert outcome.status == 0
    assert outcome.err == ""
    for heading, verbs in GROUPS.items():
        section = outcome.out.partition(f"{heading}:\n")[2].partition("\n\n")[0]
        assert [line.split()[0] for line in section.splitlines()] == list(verbs)
    assert max(map(len, outcome.out.splitlines())) <= 100


def test_without_a_verb_the_help_is_shown(invoke):
    assert invoke() == invoke("--help")


@pytest.mark.parametrize("verb", NAMES)
def test_every_verb_has_help_with_examples(invoke, verb):
    outcome = invoke(verb, "--help")
    assert outcome.status == 0
    assert outcome.out.startswith(f"Usage: wardian {verb} ")
    examples = outcome.out.partition("Examples:\n")[2].splitlines()
    assert examples
    assert all("wardian" in line for line in examples)
    for option in ("-C, --directory DIR", "-q, --quiet", "-h, --help"):
        assert option in outcome.out


@pytest.mark.parametrize(
    "verb", ["init", "add", "remove", "lock", "build", "ls", "prune", "doctor", "schema"]
)
def test_every_verb_that_reports_has_json(invoke, verb):
    assert "--json" in invoke(verb, "--help").out


def test_run_offers_what_it_should(invoke):
    text = invoke("run", "--help").out
    options = re.findall(r"^  (-.*?)(?:  |$)", text, flags=re.MULTILINE)
    for option in (
        "-p, --parameter NAME=VALUE",
        "-e, --env NAME=VALUE",
        "--env-file FILE",
        "-v, --volume HOST:CONTAINER[:ro]",
        "--network {host,none}",
        "--memory SIZE",
        "--cpus NUMBER",
        "--keep NAME",
        "--output DIR",
        "--locked",
        "--offline",
        "--root",
    ):
        assert option in options
    assert "wardian run [OPTIONS] -- COMMAND [ARGUMENT ...]" in text


@pytest.mark.parametrize("words", [("--help",), ("run", "--help")])
def test_colour_only_where_it_is_wanted(invoke, words):
    plain = invoke(*words)
    coloured = invoke(*words, FORCE_COLOR="1")
    assert "\033[" not in plain.out
    assert "\033[1mUsage:\033[0m" in coloured.out
    assert re.sub(r"\033\[\d+m", "", coloured.out) == plain.out
    assert invoke(*words, FORCE_COLOR="1", NO_COLOR="1") == plain


def test_version(invoke):
    outcome = invoke("--version")
    assert outcome.status == 0
    assert outcome.out == f"wardian {wardian.__version__}\n"
