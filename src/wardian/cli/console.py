"""Where progress is shown: live bars on a terminal, lines elsewhere, nothing with --quiet.

It owns standard error while work is under way; results are the verbs' affair and go to standard output.
"""

from __future__ import annotations

from _thread import allocate_lock  # what threading.Lock is; importing threading takes 2 ms

from wardian.cli.parser import colours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from wardian.system.progress import Progress, Step


class Console:
    """A `Progress` that finds out at its first step what it can show; until then it has cost nothing."""

    __slots__ = ("_display", "_environment", "_guard", "_quiet", "_stream", "_verbose")

    def __init__(self, stream: TextIO, environment: Mapping[str, str], *, quiet: bool, verbose: bool) -> None:
        self._stream = stream
        self._environment = environment
        self._quiet = quiet
        self._verbose = verbose
        self._display: Progress | None = None
        self._guard = allocate_lock()

    def step(self, title: str, *, total: int | None = None, unit: str = "", passing: bool = False) -> Step:
        """Begin a step; it is shown until its `with` block ends."""
        return self._chosen().step(title, total=total, unit=unit, passing=passing)

    def message(self, text: str) -> None:
        """Show one lasting line."""
        self._chosen().message(text)

    def close(self) -> None:
        """Leave the terminal as it was, whatever steps other threads still have open."""
        stop = getattr(self._display, "stop", None)  # what draws has it
        if stop is not None:
            stop()

    def _chosen(self) -> Progress:
        with self._guard:
            if self._display is None:
                self._display = self._choose()
            return self._display

    def _choose(self) -> Progress:
        if self._quiet:
            from wardian.system.progress import Silent

            return Silent()
        if self._stream.isatty() and self._environment.get("TERM", "dumb") != "dumb":
            from wardian.cli.live import Live

            return Live(self._stream, coloured=colours(self._stream, self._environment))
        from wardian.cli.lines import Lines

        return Lines(self._stream, verbose=self._verbose)
