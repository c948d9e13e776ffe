from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")


@pytest.fixture
def complete(tmp_path):
    """What bash offers for a line, by the script that wardian prints, in a folder with a few files."""
    programs = tmp_path / "bin"
    programs.mkdir()
    wardian = programs / "wardian"
    wardian.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m wardian "$@"\n', encoding="utf-8")
    wardian.chmod(0o755)
    project = tmp_path / "project"
    (project / "notebooks").mkdir(parents=True)
    for name in ("analysis.ipynb", "train.py", "data.csv", ".hidden.py", "notebooks/deep.ipynb"):
        (project / name).touch()
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

    def call(line: str) -> set[str]:
        script = f"""
            eval "$(wardian completion bash)"
            COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9
            _python_argcomplete wardian
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stderr == ""
        return {word.strip() for word in done.stdout.splitlines() if word.strip()}

    return call


def test_verbs(complete):
    assert complete("wardian lo") == {"load", "lock", "login", "logout"}
    assert {"run", "shell", "build", "doctor"} <= complete("wardian ")


def test_verbs_of_verbs(complete):
    assert {"ls", "inspect", "history", "tag", "rm"} <= complete("wardian image ")
    assert "--platform" in complete("wardian image inspect --")


def test_options_of_the_verb(complete):
    assert {"--upgrade", "--check", "--as-of", "--platform"} <= complete("wardian lock --")
    assert complete("wardian run --net") == {"--network"}


def test_choices(complete):
    assert complete("wardian run --network ") == {"host", "none"}
    assert complete("wardian completion ") == {"bash", "zsh", "fish"}


def test_what_can_be_run(complete):
    assert complete("wardian run ") == {"analysis.ipynb", "train.py", "notebooks/"}
    assert complete("wardian run notebooks/") == {"notebooks/deep.ipynb"}


def test_what_can_be_run_in_another_folder(complete):
    assert complete("wardian -C notebooks run ") == {"deep.ipynb"}
    assert complete("wardian run -C notebooks d") == {"deep.ipynb"}
    assert complete("wardian -C not") == {"notebooks/"}


def test_what_follows_the_target_is_not_ours(complete):
    assert complete("wardian run train.py --") == set()


def test_no_files_where_packages_are_named(complete):
    assert complete("wardian add ") == set()


@pytest.mark.parametrize(
    ("shell", "sign"),
    [("bash", "complete -o"), ("zsh", "#compdef wardian"), ("fish", "complete --command wardian")],
)
def test_scripts(invoke, shell, sign):
    outcome = invoke("completion", shell)
    assert outcome.status == 0
    assert sign in outcome.out
