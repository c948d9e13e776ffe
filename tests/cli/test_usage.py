from __future__ import annotations

import pytest

from wardian.cli.verbs import NAMES, verb_module, verb_parser

WRONG = [
    (("rn",), "wardian has no verb 'rn'", "did you mean `wardian run`?"),
    (("frobnicate",), "wardian has no verb 'frobnicate'", "`wardian --help` shows the verbs"),
    (("help",), "wardian has no verb 'help'", "`wardian --help` shows the verbs"),
    (("--quite", "ls"), "wardian has no option --quite before the verb", "did you mean --quiet?"),
    (("-x", "ls"), "wardian has no option -x before the verb", "a verb's own options come after the verb"),
    (("-C",), "wardian: -C needs a folder", "write `wardian -C DIR VERB`"),
    (("lock", "--upgrde"), "wardian lock: no option --upgrde", "did you mean --upgrade?"),
    (("build", "x"), "wardian build: nothing to do with 'x'", "see `wardian build --help`"),
    (("run",), "wardian run: nothing to run is named", "see `wardian run --help`"),
    (("run", "--"), "wardian run: nothing to run is named", "see `wardian run --help`"),
    (("run", "--memry=1", "x"), "wardian run: no option --memry", "did you mean --memory?"),
    (("run", "-p"), "wardian run: -p/--parameter: expected one argument", "see `wardian run --help`"),
    (("run", "-p", "x", "a.ipynb"), "-p 'x' has no value", "write NAME=VALUE"),
    (("run", "-e", "=2", "x"), "-e: '' is no name of a variable", "write NAME=VALUE"),
    (("run", "--memory", "much", "x"), "--memory 'much' is no size", "write a size such as 512m or 8g"),
    (("run", "--memory", "0", "x"), "--memory '0' is no size", "write a size such as 512m or 8g"),
    (("run", "--cpus", "0", "x"), "--cpus '0' is no number of processors", "write one such as 2 or 0.5"),
    (("run", "--cpus", "-1", "x"), "--cpus '-1' is no number of processors", "write one such as 2 or 0.5"),
    (
        ("run", "-v", "/data", "x"),
        "-v '/data' is no volume",
        "write HOST:CONTAINER or HOST:CONTAINER:ro, such as ./data:/data:ro",
    ),
    (("add",), "wardian add: no package is named", "see `wardian add --help`"),
    (("remove", "--json"), "wardian remove: no package is named", "see `wardian remove --help`"),
    (
        ("lock", "--check", "--upgrade"),
        "wardian lock: --upgrade: not allowed with argument --check",
        "see `wardian lock --help`",
    ),
    (("prune", "--older-than", "old"), "wardian prune: --older-than 'old' is no age", "write 12h, 30d or 8w"),
    *(
        (
            (*words, "--image", "x", "--compression", "zstd"),
            "--compression is for the project alone: an image of the store stays as it is packed",
            "leave --compression out, or --image",
        )
        for words in (("push", "a"), ("save",), ("docker",), ("export", "oci"))
    ),
    *(
        (
            (*words, "--locked", "--image", "x"),
            "--locked is for the project alone: an image has no lock",
            "leave --locked out, or --image",
        )
        for words in (("run",), ("shell",), ("push", "a"), ("export", "rootfs"))
    ),
    *(
        (
            ("export", form, f"--{option}", *value),
            f"wardian export: --{option} is for {formats} alone, not for {form}",
            f"leave --{option} out",
        )
        for form, option, value, formats in (
            ("oci", "simple", (), "dockerfile"),
            ("oci", "base", ("a",), "dockerfile"),
            ("dockerfile", "standard", ("spdx",), "sbom"),
            ("requirements", "compression", ("zstd",), "oci and docker-archive"),
            ("rootfs", "compression", ("gzip",), "oci and docker-archive"),
        )
    ),
]


OPTIONS = {
    option
    for name in NAMES
    for option in verb_parser(name, verb_module(name))._option_string_actions
    if option.startswith("--")
} - {"--directory", "--quiet", "--verbose", "--help"}


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_a_verbs_option_before_the_verb(invoke, option):
    outcome = invoke(option, "build")
    assert outcome.err.endswith("\n\nhint: a verb's own options come after the verb\n")


@pytest.mark.parametrize("option", ["--directry", "--dirctory", "--verbos", "--verison", "--hlep", "--qiet"])
def test_an_option_that_is_misspelt(invoke, option):
    assert "\n\nhint: did you mean --" in invoke(option, "build").err


@pytest.mark.parametrize(("words", "message", "hint"), WRONG, ids=[" ".join(case[0]) for case in WRONG])
def test_wrong_command_lines(invoke, words, message, hint):
    outcome = invoke(*words)
    assert outcome.err == f"error: {message}\n\nhint: {hint}\n"
    assert outcome.status == 1


def test_wrong_choice_names_the_choices(invoke):
    outcome = invoke("run", "--network", "bridge", "x")
    assert outcome.status == 1
    assert "'bridge'" in outcome.err
    assert "host" in outcome.err
    assert outcome.err.endswith("\n\nhint: see `wardian run --help`\n")


def test_with_json_a_failure_is_one_object_on_standard_output(invoke):
    import json

    outcome = invoke("remove", "--json")
    assert json.loads(outcome.out) == {
        "error": {
            "kind": "UsageError",
            "message": "wardian remove: no package is named",
            "hint": "see `wardian remove --help`",
        }
    }
    assert outcome.err.startswith("error: ")
