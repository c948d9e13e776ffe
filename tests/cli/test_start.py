"""What the way to a run may not load: each of these costs more than the whole of our own code there."""

from __future__ import annotations

import json
import subprocess
import sys

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
