"""The driver's command: reads a notebook, executes it, saves it, and tells of it as events.

Exit status 0 when every cell ran, 128 + N when signal N ended the run, else 1. It prints nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from typing import Any

from .events import DriverError, Events

# A run killed outright (the whole container out of memory, a power cut) loses no more than this.
_CHECKPOINT_SECONDS = 10.0


def main(arguments: list[str]) -> int:
    """Run the driver with the words after its name; returns the exit status."""
    options = _parse(arguments)
    events = Events(options.events)
    begin = time.monotonic()
    try:
        _prepare(options.workbench)
        _run(options, events)
        status = 0
    except DriverError as failure:
        events.fail(failure)
        status = failure.status
    except ImportError as error:
        events.fail(
            DriverError("workbench", f"the workbench lacks a module: {error}", detail=str(error.path))
        )
        status = 1
    except Exception as error:
        detail = traceback.format_exc()
        events.fail(DriverError("internal", f"{type(error).__name__}: {error}", detail=detail))
        status = 1
    events.emit("finished", status=status, seconds=round(time.monotonic() - begin, 3))
    return status


def _parse(arguments: list[str]) -> Any:
    parser = argparse.ArgumentParser(prog="notebook_driver")
    parser.add_argument("notebook", help="the notebook's path")
    parser.add_argument("--name", required=True, help="what messages call the notebook")
    parser.add_argument("--output", required=True, help="the executed notebook's path")
    parser.add_argument("--html", required=True, help="the page's path")
    parser.add_argument("--workbench", required=True, help="the site-packages folder of the workbench")
    parser.add_argument("--parameters", default="{}", help="a JSON object")
    parser.add_argument("--events", type=int, required=True, help="the descriptor that events go to")
    parser.add_argument("--timeout", type=float, help="seconds that one cell may take")
    parser.add_argument("--verbose", action="store_true", help="tell what cells print, too")
    return parser.parse_args(arguments)


def _prepare(workbench: str) -> None:
    """Make signals failures, keep libraries quiet, and append the workbench to the path.

    A process that is number 1 of its namespace, as in a container, ignores every signal that it has
    no handler for (pid_namespaces(7)).
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    warnings.simplefilter("ignore")
    sys.path.append(workbench)


def _interrupted(number: int, _frame: Any) -> None:
    name = signal.Signals(number).name
    raise DriverError("interrupted", f"the notebook was interrupted ({name})", status=128 + number)


def _run(options: Any, events: Events) -> None:
    import json

    from .parameters import inject
    from .source import read_notebook

    notebook = read_notebook(options.notebook)
    for warning in inject(notebook, json.loads(options.parameters)):
        events.emit("warning", message=warning)
    _execute(notebook, options, events)
    _save(notebook, options, events)


def _execute(notebook: Any, options: Any, events: Events) -> None:
    import asyncio

    from .execute import Execution, make_manager

    # What saving imports takes half a second, which the kernel's own start hides.
    threading.Thread(target=_import_nbconvert, daemon=True).start()
    # Not $TMPDIR: a socket's path has at most 107 bytes (unix(7)).
    with (
        tempfile.TemporaryDirectory(prefix="notebook-", dir="/tmp") as folder,
        tempfile.TemporaryFile() as log,
    ):
        execution = Execution(
            notebook,
            events=events,
            manager=make_manager(folder, options.workbench),
            cwd=os.path.dirname(os.path.abspath(options.notebook)),
            timeout=options.timeout,
            verbose=options.verbose,
            log=log,
            checkpoint=_Checkpoint(notebook, options.output),
        )
        try:
            asyncio.run(execution.run())
        except DriverError:
            _ignore_signals()
            if execution.has_begun:  # else there is nothing new, and an earlier run's results stay
                _save(notebook, options, events)
            raise
        _ignore_signals()


def _ignore_signals() -> None:
    """What is left to do is saving."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _import_nbconvert() -> None:
    with contextlib.suppress(ImportError):  # saving says so
        importlib.import_module("nbconvert.exporters.html")


class _Checkpoint:
    """Saves the notebook between cells, when the last time is a while ago."""

    def __init__(self, notebook: Any, path: str) -> None:
        self._notebook = notebook
        self._path = path
        self._last = time.monotonic()

    def __call__(self) -> None:
        from .save import write_notebook

        if time.monotonic() - self._last < _CHECKPOINT_SECONDS:
            return
        with contextlib.suppress(OSError):  # the save at the end says so
            write_notebook(self._notebook, self._path)
        self._last = time.monotonic()


def _save(notebook: Any, options: Any, events: Events) -> None:
    from .save import write_html, write_notebook

    try:
        write_notebook(notebook, options.output)
    except OSError as error:
        message = f"cannot save the executed notebook: {error.strerror}"
        raise DriverError("output", message, hint="free disk space or choose another folder") from error
    title = os.path.splitext(os.path.basename(options.name))[0]
    folder = os.path.dirname(os.path.abspath(options.notebook))
    fetched: list[str] = []
    page = True
    try:
        _show_templates(options.workbench)
        fetched = write_html(notebook, options.html, title=title, folder=folder)
    except Exception as error:  # a page that nbconvert cannot make loses no result
        page = False
        events.emit("warning", message=f"no HTML was written: {type(error).__name__}: {error}")
    events.emit("saved", html=page, fetched=fetched)


def _show_templates(workbench: str) -> None:
    """Have nbconvert find its templates, which wheels install as data beside `lib`.

    Set only once the kernel is gone, which must not see it. `pip install --target` puts data inside.
    """
    prefix = os.path.dirname(os.path.dirname(os.path.dirname(workbench)))
    places = [os.path.join(place, "share", "jupyter") for place in (prefix, workbench)]
    own = os.environ.get("JUPYTER_PATH")
    os.environ["JUPYTER_PATH"] = os.pathsep.join([own, *places] if own else places)
