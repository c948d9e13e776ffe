from __future__ import annotations

import pytest

from wardian.cli import add, lock, run
from wardian.cli.verbs import verb_parser


def read(module, name, *words):
    return verb_parser(name, module).read(words)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("a.ipynb",), ["a.ipynb"]),
        (("a.py", "--epochs", "3"), ["a.py", "--epochs", "3"]),
        (("-e", "A=1", "a.py", "-e", "B=2"), ["a.py", "-e", "B=2"]),
        (("-eA=1", "a.py"), ["a.py"]),
        (("--env=A=1", "train"), ["train"]),
        (("--root", "--", "apt-get", "install", "jq"), ["--", "apt-get", "install", "jq"]),
        (("a.py", "--", "--help"), ["a.py", "--", "--help"]),
        (("--", "--help"), ["--", "--help"]),
        (("-v", "/a:/b:ro", "--", "ls", "-v"), ["--", "ls", "-v"]),
        (("-q", "-", "x"), ["-", "x"]),
    ],
)
def test_run_leaves_what_follows_the_target_to_it(words, command):
    assert read(run, "run", *words).command == command


def test_run_collects_what_stands_before_the_target():
    arguments = read(
        run, "run", "-p", "x=1", "-p", "y=a b", "-e", "A=1", "-v", "a:/b", "--keep", "k", "n.ipynb"
    )
    assert arguments.parameter == ["x=1", "y=a b"]
    assert arguments.env == ["A=1"]
    assert arguments.volume == ["a:/b"]
    assert arguments.keep == "k"
    assert arguments.network == "host"
    assert not arguments.locked
    assert not arguments.root


@pytest.mark.parametrize(
    ("words", "packages", "system"),
    [
        (("pandas>=2", "--system", "graphviz"), ["pandas>=2"], ["graphviz"]),
        (("--system", "git", "curl"), [], ["git", "curl"]),
        (("a", "--json", "b", "--system", "c", "--offline", "d"), ["a", "b", "d"], ["c"]),
        (("--system", "a", "--system", "b"), [], ["a", "b"]),
    ],
)
def test_add_takes_packages_in_any_order(words, packages, system):
    arguments = read(add, "add", *words)
    assert (arguments.packages, arguments.system) == (packages, system)


@pytest.mark.parametrize(
    ("words", "upgrade"), [((), None), (("--upgrade",), []), (("--upgrade", "a", "b"), ["a", "b"])]
)
def test_lock_tells_upgrading_all_from_some(words, upgrade):
    assert read(lock, "lock", *words).upgrade == upgrade
