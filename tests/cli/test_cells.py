from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wardian.cli.failures import report
from wardian.runtime.notebook.events import FailedCell, NotebookError


@pytest.fixture
def failure():
    error = NotebookError("a.ipynb: cell 2 failed: NameError: x", hint=None, kind="cell")
    error.cell = FailedCell(
        number=2,
        index=3,
        count=5,
        source="print(1)\nx",
        ename="NameError",
        evalue="x",
        traceback="\033[0;31mNameError\033[0m: x",
    )
    error.executed = Path("runs/a.ipynb")
    return error


def test_the_cell_and_its_traceback_stand_above_the_error(failure, capsys):
    assert report(failure, {}, verbose=False, json=False) == 1
    assert capsys.readouterr().err == (
        "cell 2 of 5:\n\n    print(1)\n    x\n\nNameError: x\n\n"
        "saved as far as it ran: runs/a.ipynb\n\nerror: a.ipynb: cell 2 failed: NameError: x\n"
    )


def test_in_colour(failure, capsys):
    report(failure, {"FORCE_COLOR": "1"}, verbose=False, json=False)
    assert "\033[0;31mNameError\033[0m: x" in capsys.readouterr().err


def test_no_other_command_reaches_the_terminal(failure, capsys):
    failure.cell = replace(failure.cell, source="x = '\033]0;a\a'", traceback="\033[31mA\033[2J\u202e\r")
    failure.detail = "\033[1mdied\033[3A"
    report(failure, {}, verbose=False, json=False)
    said = capsys.readouterr().err
    assert "    x = '\\x1b]0;a\\x07'\n\nA\\x1b[2J\\u202e\n\ndied\\x1b[3A\n" in said
    assert "\033" not in said
    report(failure, {"FORCE_COLOR": "1"}, verbose=False, json=False)
    said = capsys.readouterr().err
    assert "\033[31mA\\x1b[2J\\u202e\033[0m\n\n\033[1mdied\\x1b[3A\033[0m\n" in said


def test_a_long_text_does_not_flood_the_terminal(failure, capsys):
    first = "\033[31mValueError\033[0m: " + "x" * 3_000_000
    failure.cell = replace(failure.cell, source="x" * 3_000_000, traceback=f"{first}\nlast")
    report(failure, {}, verbose=False, json=False)
    said = capsys.readouterr().err
    assert len(said) < 3_000
    assert "ValueError: xxx" in said
    assert "x …\nlast\n... shortened: the whole is in the saved notebook\n" in said


def test_a_long_traceback_is_shown_from_its_end(failure, capsys):
    failure.cell = replace(failure.cell, traceback="\n".join(f"frame {number}" for number in range(100_000)))
    report(failure, {}, verbose=False, json=False)
    said = capsys.readouterr().err
    assert len(said) < 21_000
    assert "frame 99999\n... shortened: the whole is in the saved notebook\n" in said
    assert all(line.startswith("frame ") for line in said.splitlines()[5:-6])


def test_a_cut_line_takes_its_colour_with_it(failure, capsys):
    failure.cell = replace(failure.cell, traceback="\033[31m" + "x" * 992 + "\033[32mgreen\nnext")
    report(failure, {"FORCE_COLOR": "1"}, verbose=False, json=False)
    assert "x" * 992 + " …\033[0m\nnext\n... shortened" in capsys.readouterr().err


def test_a_failure_without_a_cell(capsys):
    error = NotebookError("a.ipynb: is no notebook", hint="look", kind="invalid")
    report(error, {}, verbose=False, json=False)
    assert capsys.readouterr().err == "error: a.ipynb: is no notebook\n\nhint: look\n"


def test_its_own_status_passes_through(capsys):
    assert (
        report(
            NotebookError("stopped", hint=None, kind="interrupted", exit_status=130),
            {},
            verbose=False,
            json=False,
        )
        == 130
    )
