"""Progress of bytes: how many, how fast, and the parts of a transfer."""

from __future__ import annotations

import io
import re

from wardian.cli.console import Console
from wardian.cli.lines import Lines


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_tell_the_rate_of_many_bytes():
    times = iter([10.0, 12.0])
    stream = io.StringIO()
    with Lines(stream, clock=lambda: next(times)).step("Pushing a:1", total=4_000_000, unit="B") as step:
        step.advance(4_000_000)
    assert stream.getvalue() == "Pushing a:1 ...\nPushing a:1: done in 2.0 s (4.0 MB, 2.0 MB/s)\n"


def test_parts_are_told_in_a_log_only_when_verbose():
    quiet, verbose = io.StringIO(), io.StringIO()
    for stream, lines in ((quiet, Lines(quiet)), (verbose, Lines(verbose, verbose=True))):
        with lines.step("layer", total=10, unit="B", passing=True) as step:
            step.advance(10)
        assert (stream.getvalue() == "") == (stream is quiet)


def test_parts_leave_no_line_on_a_terminal():
    stream = Terminal()
    live = Console(stream, {"TERM": "xterm"}, quiet=False, verbose=False)
    with (
        live.step("Pushing a:1", total=2_000_000, unit="B") as whole,
        live.step("  0123456789ab", total=2_000_000, unit="B", passing=True) as part,
    ):
        part.advance(2_000_000)
        whole.advance(2_000_000)
    text = re.sub(r"\033\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    last = text.splitlines()[-1]
    assert re.fullmatch(r"\s*✓ Pushing a:1  2\.0 MB, [0-9.]+ [MG]B/s  0\.\d\d s", last)
    assert "✓   0123456789ab" not in text
