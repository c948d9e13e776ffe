"""What the way to a run may not load: each of these costs more than the whole of our own code there."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = {
    "dataclasses",
    "inspect",
    "json",
    "pathlib",
    "rich",
    "shutil",
    "subprocess",
    "threading",
    "typing",
    "urllib",
}
PROGRAM = """
import sys
before = set(sys.modules)
from wardian.cli.verbs import verb_module, verb_parser
from wardian.cli import container
from wardian.cli.session import Session
arguments = verb_parser("run", verb_module("run")).read(["-e", "A=1", "-v", "/a:/b", "--", "true"])
session = Session(folder=".", environment={}, quiet=False, verbose=False)
container.options(arguments, session), session.console
loaded = sorted(set(sys.modules) - before)
import json
print(json.dumps(loaded))
"""


def test_parsing_a_run_loads_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(json.loads(done.stdout))
    assert not loaded & HEAVY
    assert not [
        name for name in loaded if name.startswith("wardian.cli.") and name.endswith((".lock", ".build"))
    ]


TOLD = """
import sys
import wardian.cli, wardian.cli.entry
def run(words, environment):
    print(sys.getfilesystemencoding(), *map(ascii, words))
    return 0
wardian.cli.entry.run = run
wardian.cli.main()
"""


@pytest.mark.parametrize("old", [True, False])
def test_names_are_utf8_whatever_the_locale(old: bool):
    """As in the Latin-1 of `LANG=en_US`, for which ASCII stands here: every system has that."""
    asked = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"} if old else {"LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-c", TOLD, "run", "grüße"],
        env={"PATH": os.environ["PATH"], **asked},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["utf-8", "'run'", "'gr\\xfc\\xdfe'"]
