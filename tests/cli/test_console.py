from __future__ import annotations

import io
import os
import pty
import re
import threading

import pytest

from wardian.cli.console import Console
from wardian.cli.lines import Lines


class Terminal(io.StringIO):
    def isatty(self):
        return True


def console(stream, *, quiet=False, verbose=False, **environment):
    return Console(stream, {"TERM": "xterm", **environment}, quiet=quiet, verbose=verbose)


def test_lines_where_a_step_begins_and_ends():
    times = iter([10.0, 12.5])
    stream = io.StringIO()
    lines = Lines(stream, clock=lambda: next(times))
    with lines.step("Fetching packages", total=2000, unit="B") as step:
        step.advance(500)
        step.note("a")
        step.advance(1500)
    assert stream.getvalue() == "Fetching packages ...\nFetching packages: done in 2.5 s (2.0 kB)\n"


def test_lines_with_notes_when_verbose():
    stream = io.StringIO()
    with Lines(stream, verbose=True, clock=lambda: 0.0).step("Configuring", unit="packages") as step:
        step.note("base-files")
        step.advance()
    assert stream.getvalue() == "Configuring ...\n  base-files\nConfiguring: done in 0.00 s (1 package)\n"


def test_a_step_that_fails_says_so():
    stream = io.StringIO()
    with pytest.raises(ValueError, match="x"), Lines(stream, clock=lambda: 0.0).step("Resolving"):
        raise ValueError("x")
    assert stream.getvalue() == "Resolving ...\nResolving: failed in 0.00 s\n"


def test_quiet_shows_nothing():
    stream = Terminal()
    quiet = console(stream, quiet=True)
    with quiet.step("Resolving", total=1) as step:
        step.advance()
    quiet.message("hello")
    assert stream.getvalue() == ""


def test_no_terminal_no_control_sequences():
    stream = io.StringIO()
    plain = console(stream, FORCE_COLOR="1")
    with plain.step("Resolving"):
        plain.message("a message")
    assert stream.getvalue().splitlines()[:2] == ["Resolving ...", "a message"]
    assert "\033" not in stream.getvalue()


def test_a_terminal_gets_bars_and_keeps_a_line_for_each_step():
    stream = Terminal()
    live = console(stream)
    with live.step("Fetching", total=2000, unit="B") as fetching, live.step("Resolving") as resolving:
        fetching.advance(2000)
        resolving.note("[bold]numpy[/bold]")
        live.message("a [red]message[/red]")
    text = re.sub(r"\033\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert re.search(r"✓ Fetching  2\.0 kB  0\.\d\d s\n", text)
    assert "a [red]message[/red]\n" in text
    assert "✓ Resolving" not in text.splitlines()[-1]
    assert stream.getvalue().count("\033[?25l") == stream.getvalue().count("\033[?25h") == 1


def test_a_step_that_fails_leaves_the_terminal_as_it_was():
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), console(stream).step("Building"):
        raise KeyboardInterrupt
    assert "✗" in stream.getvalue()
    assert stream.getvalue().rfind("\033[?25h") > stream.getvalue().rfind("\033[?25l")


def test_no_colour_on_a_terminal_that_wants_none():
    stream = Terminal()
    with console(stream, NO_COLOR="1").step("Building", total=1) as step:
        step.advance()
    assert not re.search(r"\033\[3\d", stream.getvalue())


def test_a_dumb_terminal_gets_lines():
    stream = Terminal()
    with console(stream, TERM="dumb").step("Building"):
        pass
    assert stream.getvalue().startswith("Building ...\n")


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["lines", "live"])
def test_steps_of_many_threads(stream):
    shown = console(stream)

    def work(number):
        with shown.step(f"Step {number}", total=100, unit="packages") as step:
            for _ in range(100):
                step.advance()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(re.findall(r"Step \d.*100 packages.*\n", stream.getvalue())) >= 8
    assert stream.getvalue().endswith("\n")


def test_a_real_terminal():
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as stream:
        with console(stream).step("Building", total=3, unit="parts") as step:
            step.advance(3)
        stream.flush()
        text = b""
        while b"Building" not in text:  # the terminal hands it over in pieces
            text += os.read(ours, 65536)
    os.close(ours)


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_nothing_that_is_quoted_commands_the_terminal(stream):
    shown = console(stream, verbose=True, NO_COLOR="1")
    shown.message("\x1b]0;title\x07")
    with shown.step("pulling \x9b2Jname", total=1, unit="layers") as step:
        step.note("\x1b]0;note\x07")
        step.advance()
    shown.close()
    text = stream.getvalue()
    assert "\\x1b]0;title\\x07" in text
    assert "pulling \\x9b2Jname" in text
    assert not {"\x1b]", "\x07", "\x9b"} & {
        text[at : at + size] for at in range(len(text)) for size in (1, 2)
    }
