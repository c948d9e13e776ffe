# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-call,misc"
"""Executes the cells in a kernel that runs in this same Python, and stops it whatever happens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete, CellExecutionError, DeadKernelError

from .events import DriverError, Events
from .source import is_executed

# The workbench comes after the environment, so that the project's own versions win; the working
# directory leaves the path while ipykernel is imported, and IPython puts it back (as ipykernel_launcher
# does), so that a project's random.py does not become the kernel's.
_LAUNCH = """\
import sys
if sys.path[:1] == [""]:
    del sys.path[0]
sys.path.append({workbench!r})
from ipykernel import kernelapp
kernelapp.launch_new_instance()
"""

# How long an interrupted cell may take to end (`finally` blocks, compiled code that looks at signals
# seldom) before its kernel is killed. Docker gives a container 10 s after SIGTERM, and saving needs some.
_GRACE_SECONDS = 3.0

# A terminal's Ctrl-C may come twice: to the whole group, and passed on by the container's runtime.
_SAME_SIGNAL_SECONDS = 0.5

# ipykernel needs about a second; on a cold disk or a busy machine that has been seen to be twenty.
_START_SECONDS = 120

# ipykernel answers a cell before it says that it is idle again, but on another socket. Where its own code
# failed in between, it says so and never answers, and nbclient waits for ever: that is given up after this.
_ANSWER_SECONDS = 10.0

# Of an exception's text, in the message; the whole stands in the traceback and in the saved notebook.
_LONGEST_TEXT = 300

_NAME = "wardian"


def make_manager(folder: str, workbench: str) -> Any:
    """A manager of a kernel in this Python, its files and sockets in `folder`.

    Sockets rather than TCP: nobody else on a shared host can reach them, and they need no network.
    """
    spec = os.path.join(folder, "kernels", _NAME)
    os.makedirs(spec)
    arguments = [sys.executable, "-c", _LAUNCH.format(workbench=workbench), "-f", "{connection_file}"]
    arguments.append("--HistoryManager.hist_file=:memory:")
    with open(os.path.join(spec, "kernel.json"), "w", encoding="utf-8") as file:
        json.dump({"argv": arguments, "display_name": "Python", "language": "python"}, file)
    specs = KernelSpecManager(kernel_dirs=[os.path.join(folder, "kernels")], ensure_native_kernel=False)
    connection = os.path.join(folder, "kernel.json")
    return AsyncKernelManager(
        kernel_name=_NAME, kernel_spec_manager=specs, transport="ipc", connection_file=connection
    )


class _Client(NotebookClient):
    """nbclient, telling of every output as it comes, and when the kernel is done with a cell."""

    heard: Callable[[str, str], None] | None = None
    done: Callable[[], None]

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        try:
            return super().process_message(msg, cell, cell_index)
        except CellExecutionComplete:
            self.done()
            raise

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
        out = super().output(outs, msg, display_id, cell_index)
        if out is None or self.heard is None:
            return out
        if out.output_type == "stream":
            self.heard(out.name, out.text)
        elif out.output_type in ("execute_result", "display_data"):
            text = out.data.get("text/plain", "")
            self.heard("result", f"{text}\n" if text else "")
        return out


class Execution:
    """One execution of a notebook. `run` may be called once."""

    def __init__(
        self,
        notebook: Any,
        *,
        events: Events,
        manager: Any,
        cwd: str,
        timeout: float | None,
        verbose: bool,
        log: Any,
        checkpoint: Callable[[], None],
    ) -> None:
        self._notebook = notebook
        self._events = events
        self._manager = manager
        self._cwd = cwd
        self._timeout = timeout
        self._verbose = verbose
        self._log = log
        self._checkpoint = checkpoint
        self._client: Any = _Client(notebook, km=manager, startup_timeout=_START_SECONDS)
        self._client.done = self._await_answer
        self._ending: DriverError | None = None
        self._place: dict[str, Any] | None = None
        self._busy = False
        self._over = False
        self._ended = 0.0
        self._alarms: list[asyncio.TimerHandle] = []  # the executed cell's

    @property
    def has_begun(self) -> bool:
        """Whether a cell was begun."""
        return self._place is not None

    async def run(self) -> None:
        """Execute every cell; raises DriverError at the first that fails, or when the run is ended early."""
        loop = asyncio.get_running_loop()
        self._task: Any = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end_on_signal, number)
        try:
            await self._start()
            await self._execute_cells()
        except (asyncio.CancelledError, DeadKernelError) as error:
            raise self._ending or await self._death() from error
        finally:
            self._over = True
            self._client.set_widgets_metadata()
            await self._stop()

    async def _start(self) -> None:
        environment = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        try:
            await self._client.async_start_new_kernel(
                cwd=self._cwd, env=environment, stdout=self._log, stderr=self._log
            )
            await self._client.async_start_new_kernel_client()
        except (RuntimeError, OSError) as error:
            if self._ending is not None:
                raise self._ending from error
            message = f"the notebook's kernel does not start: {error}"
            raise DriverError("kernel-start", message, detail=self._end_of_log()) from error
        reply = await self._client.async_wait_for_reply(self._client.kc.kernel_info())
        self._notebook.metadata["language_info"] = reply["content"]["language_info"]

    async def _execute_cells(self) -> None:
        executed = [index for index, cell in enumerate(self._notebook.cells) if is_executed(cell)]
        version = self._notebook.metadata["language_info"]["version"]
        self._events.emit("started", cells=len(executed), python=version)
        for number, index in enumerate(executed, start=1):
            if self._ending is not None:
                raise self._ending
            await self._execute(self._notebook.cells[index], index, number, len(executed))
            self._checkpoint()

    async def _execute(self, cell: Any, index: int, number: int, count: int) -> None:
        position = {"number": number, "index": index}
        self._place = {**position, "count": count, "source": cell.source}
        if self._verbose:
            self._client.heard = lambda stream, text: self._events.output(number, stream, text)
        self._events.emit("begin", **position, title=_title(cell.source))
        begin, status = time.monotonic(), "error"
        if self._timeout is not None:
            self._set_alarm(self._timeout, self._end_on_timeout)
        self._busy = True
        try:
            await self._client.async_execute_cell(cell, index, execution_count=number)
            status = "ok"
        except CellExecutionError as error:
            raise self._ending_here(cell, error) or self._cell_failure(cell, error) from error
        finally:
            self._busy = False
            while self._alarms:
                self._alarms.pop().cancel()
            seconds = round(time.monotonic() - begin, 3)
            self._events.emit("end", **position, seconds=seconds, status=status)

    def _set_alarm(self, seconds: float, end: Callable[[], None]) -> None:
        self._alarms.append(asyncio.get_running_loop().call_later(seconds, end))

    def _await_answer(self) -> None:
        self._set_alarm(_ANSWER_SECONDS, self._end_without_answer)

    def _end_without_answer(self) -> None:
        message = f"the kernel gave no answer to {_name(self._place)}"
        hint = "look at what the cell raises: making its text must not fail"
        detail = self._end_of_log()
        self._end(DriverError("no-answer", message, hint=hint, detail=detail, cell=self._place))

    def _end_on_timeout(self) -> None:
        message = f"{_name(self._place)} took longer than {self._timeout:g} s"
        hint = "allow more with a longer time-out, or make the cell do less"
        self._end(DriverError("timeout", message, hint=hint, cell=self._place))

    def _end_on_signal(self, number: int) -> None:
        name = signal.Signals(number).name
        cell = self._place if self._busy else None
        where = f" in {_name(cell)}" if cell else ""
        message = f"the notebook was interrupted{where} ({name})"
        self._end(DriverError("interrupted", message, cell=cell, status=128 + number))

    def _end(self, failure: DriverError) -> None:
        """Interrupt the cell, so that it says where it was, and cancel what does not heed it.

        A later call is a second Ctrl-C: it does not wait.
        """
        again = self._ending is not None
        if self._over or (again and time.monotonic() - self._ended < _SAME_SIGNAL_SECONDS):
            return
        self._ending, self._ended = self._ending or failure, time.monotonic()
        if again or not self._busy:
            self._task.cancel()
            return
        self._interrupt = asyncio.ensure_future(self._manager.interrupt_kernel())
        asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._task.cancel)

    def _ending_here(self, cell: Any, error: Any) -> DriverError | None:
        """The early end, with the traceback of the interrupted cell."""
        if self._ending is not None and self._ending.cell is not None:
            self._ending.cell = {**self._ending.cell, **_error_of(cell, error)}
        return self._ending

    def _cell_failure(self, cell: Any, error: Any) -> DriverError:
        told = _error_of(cell, error)
        text = _shortened(told["evalue"])
        what = told["ename"] + (f": {text}" if text else "")
        message = f"{_name(self._place)} failed: {what}"
        hints = {"StdinNotImplementedError": "give the value as a parameter (-p NAME=VALUE)"}
        return DriverError(
            "cell", message, hint=hints.get(told["ename"], ""), cell={**(self._place or {}), **told}
        )

    async def _death(self) -> DriverError:
        status = await self._exit_status()
        how, hint = _explain_death(status)
        message = f"the kernel {how} in {_name(self._place)}" if self._place else f"the kernel {how}"
        return DriverError("kernel-died", message, hint=hint, detail=self._end_of_log(), cell=self._place)

    async def _exit_status(self) -> int | None:
        provisioner = self._manager.provisioner
        return None if provisioner is None else await provisioner.poll()

    def _end_of_log(self) -> str:
        """What the kernel wrote to its own standard error, such as faulthandler's stacks."""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 4000))
        return str(self._log.read().decode(errors="replace").strip())

    async def _stop(self) -> None:
        """End the kernel: politely, so that `atexit` runs, unless it is being killed anyway."""
        if self._client.kc is not None:
            self._client.kc.stop_channels()
        if self._manager.has_kernel and await self._manager.is_alive():
            await self._manager.shutdown_kernel(now=self._ending is not None)
        await self._manager.cleanup_resources()


def _explain_death(status: int | None) -> tuple[str, str]:
    if status == -signal.SIGKILL:
        return "was killed", "memory ran out, most likely: allow more, or load less data at once"
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        return f"crashed ({name})", "a compiled package crashed: look at the code that the cell calls"
    if status == 0:
        return "ended", "take calls of exit() and quit() out of the notebook"
    return f"died (exit status {status})", "take calls of os._exit() out of the notebook"


def _error_of(cell: Any, error: Any) -> dict[str, Any]:
    """Name, text and traceback (with ANSI colours) of the exception that ended a cell."""
    for output in reversed(cell.get("outputs", [])):
        if output.output_type == "error":
            return {"ename": output.ename, "evalue": output.evalue, "traceback": list(output.traceback)}
    traceback = str(error.traceback).splitlines()
    return {"ename": error.ename, "evalue": error.evalue, "traceback": traceback}


def _shortened(text: str) -> str:
    """The first line of an exception's text, cut where it is long: libraries put whole tables into theirs."""
    text = text.strip()
    first = text.partition("\n")[0].rstrip()[:_LONGEST_TEXT]
    return first if first == text else f"{first} …"


def _name(place: dict[str, Any] | None) -> str:
    return f"cell {place['number']} of {place['count']}" if place else "no cell"


def _title(source: str) -> str:
    """The first line that says something, without a comment's hash."""
    lines = [line.strip().lstrip("#%").strip() for line in source.splitlines()]
    return next((line for line in lines if line), "")[:120]
