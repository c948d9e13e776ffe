"""Trying imports: a process for each package, whatever it does."""

from __future__ import annotations

import json
import os

import pytest

from wardian.ecosystems.python.proof import Failure, import_all, modules
from wardian.errors import BuildError
from wardian.image.entry import Entry

SITE = "opt/venv/lib/python3.13/site-packages/"


def test_what_a_package_is_imported_by():
    paths = [
        "alpha/__init__.py", "alpha/inner/__init__.py", "single.py", "_fast.cpython-313-x86_64-linux-gnu.so",
        "google/cloud/storage/__init__.py", "google/cloud/storage/blob.py", "space/one.py", "not-a-name/x.py",
        "alpha-1.0.dist-info/METADATA", "alpha.pth", "stubs-only/__init__.pyi",
    ]  # fmt: skip
    entries = [Entry(path=SITE + path, kind="file") for path in paths]
    assert modules(entries) == ("_fast", "alpha", "google.cloud.storage", "single", "space.one")


@pytest.mark.namespaces
def test_packages_that_misbehave_disturb_no_other(sandbox, tmp_path):
    code = tmp_path / "code"
    code.mkdir()
    sources = {
        "good.py": "print('noise')",
        "raises.py": "from missing.inner import x",
        "exits.py": "raise SystemExit(0)",
        "crashes.py": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "hangs.py": "while True: pass",
        "forges.py": "open('/wardian/results', 'a').write('not json\\n[1]\\n{\"package\": 3}\\n')",
        "gone.py": "",
    }
    for name, text in sources.items():
        (code / name).write_text(text)
    sandbox.shown.append((code, "/opt/code", False))
    work = tmp_path / "work"
    work.mkdir()
    names = [name.removesuffix(".py") for name in sources]
    packages = {name: (name,) for name in names}
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\nPYTHONPATH=/opt/code exec /usr/bin/python3 "$@"\n')
    program.chmod(0o755)
    sandbox.shown.append((program, "/opt/python3", True))
    found = import_all(
        sandbox, "/opt/python3", packages, work, removed=["opt/code/gone.py", "opt/not/there"], seconds=3
    )
    assert sorted(found.failures) == ["crashes", "exits", "gone", "hangs", "raises"]
    assert found.failures["raises"]["raises"].missing == "missing"
    assert found.failures["crashes"]["crashes"] == Failure(error="Python crashed, or took too long")
    assert "No module named 'gone'" in found.failures["gone"]["gone"].error


@pytest.mark.parametrize("what", ["link", "nothing", "too much"])
def test_results_that_were_spoilt_prove_nothing(tmp_path, what):
    class Hostile:
        def run(self, arguments, **options):
            if what == "link":
                os.symlink("/etc/passwd", tmp_path / "results")
            elif what == "too much":
                (tmp_path / "results").touch()
                os.truncate(tmp_path / "results", 65 << 20)
            return 0, ""

    with pytest.raises(BuildError, match="one of them has spoilt it"):
        import_all(Hostile(), "python", {"alpha": ("alpha",)}, tmp_path)
    assert json.loads((tmp_path / "jobs").read_text())["packages"] == [["alpha", ["alpha"]]]


def test_a_python_that_does_not_start(tmp_path):
    class Failing:
        def run(self, arguments, **options):
            return 127, "not found"

    with pytest.raises(BuildError, match="status 127:\n  not found"):
        import_all(Failing(), "python", {}, tmp_path)
