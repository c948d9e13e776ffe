from __future__ import annotations

import pytest

from wardian.cli import container
from wardian.cli.parser import UsageError
from wardian.cli.run import add_arguments
from wardian.cli.session import Session


@pytest.fixture
def session(tmp_path):
    return Session(folder=str(tmp_path), environment={"TOKEN": "outside"}, quiet=False, verbose=False)


def arguments(*words):
    from wardian.cli.parser import Parser

    parser = Parser("wardian run")
    add_arguments(parser)
    return parser.read([*words, "target"])


def test_variables_of_files_come_first_and_later_ones_win(session, tmp_path):
    (tmp_path / "one").write_text(
        "# comment\n\nA=1\nexport B = two\nC='a b'\nTOKEN\nUNSET\nD=\n", encoding="utf-8"
    )
    (tmp_path / "two").write_text('A="3"\n', encoding="utf-8")
    found = container.environment(
        arguments("--env-file", "one", "-e", "B=4", "--env-file", "two", "-e", "E=x=y"), session
    )
    assert found == {"A": "3", "B": "4", "C": "a b", "TOKEN": "outside", "D": "", "E": "x=y"}


def test_a_variable_without_value_is_taken_from_outside(session):
    assert container.environment(arguments("-e", "TOKEN", "-e", "NOT_SET"), session) == {"TOKEN": "outside"}


def test_a_file_of_variables_may_begin_with_a_mark(session, tmp_path):
    (tmp_path / "env").write_text("A=1\n", encoding="utf-8-sig")
    assert container.environment(arguments("--env-file", "env"), session) == {"A": "1"}


def test_a_missing_file_of_variables_is_named(session, tmp_path):
    with pytest.raises(UsageError) as caught:
        container.environment(arguments("--env-file", "nowhere"), session)
    assert caught.value.message == f"--env-file {tmp_path}/nowhere: No such file or directory"


def test_a_wrong_line_is_named_without_its_value(session, tmp_path):
    (tmp_path / "env").write_text("A=1\n1secret=hunter2\n", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        container.environment(arguments("--env-file", "env"), session)
    assert caught.value.message == f"{tmp_path}/env:2: '1secret' is no name of a variable"


def test_volumes(session, tmp_path):
    texts = ["data:/data", "/abs:/x:ro", "../up:/up:rw"]
    assert container.volumes(texts, session) == (
        (f"{tmp_path}/data", "/data", False),
        ("/abs", "/x", True),
        (f"{tmp_path.parent}/up", "/up", False),
    )


@pytest.mark.parametrize("text", ["", "a", "a:", "a:b", ":/b", "a:/b:wo", "a:/b:ro:x"])
def test_wrong_volumes(session, text):
    with pytest.raises(UsageError):
        container.volumes([text], session)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        (None, None),
        ("100", 100),
        ("1k", 1024),
        ("512m", 512 * 2**20),
        ("1.5G", 3 * 2**29),
        ("2GiB", 2**31),
        ("8gb", 2**33),
    ],
)
def test_memory(text, amount):
    assert container.memory(text) == amount


@pytest.mark.parametrize(("text", "amount"), [(None, None), ("2", 2.0), ("0.5", 0.5), (".5", 0.5)])
def test_cpus(text, amount):
    assert container.cpus(text) == amount


@pytest.mark.parametrize("text", ["", "nan", "inf", "0.0", "two", "1e3"])
def test_wrong_cpus(text):
    with pytest.raises(UsageError):
        container.cpus(text)
