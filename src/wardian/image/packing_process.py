"""Drives one process of `pack.py`, which makes one layer after another. It keeps nothing of them."""

from __future__ import annotations

import contextlib
import json
import operator
import os
import subprocess
import threading
from typing import IO, TYPE_CHECKING, Any

from wardian import errors
from wardian.errors import HostError, InternalError, WardianError
from wardian.image import pack
from wardian.system.processes import module_command

if TYPE_CHECKING:
    from pathlib import Path

    from wardian.image.compression import Compression
    from wardian.image.entry import Entry
    from wardian.image.packing import Recipe
    from wardian.system.progress import Step


class Worker:
    """One process of `pack.py`, started with its first layer, and the thread that drives it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / os.urandom(8).hex()
        self.done = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, if there is none or it has died."""
        if self._process is None or self._process.poll() is not None:
            self.end()
            try:
                self._process = subprocess.Popen(
                    module_command(pack.__name__),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            except OSError as error:
                raise HostError(f"cannot start a process that packs: {error.strerror}") from error

    def kill(self) -> None:
        """End the process at once. Its thread sees it."""
        if process := self._process:
            process.kill()

    def end(self) -> None:
        """Have the process end, which its input's end tells it."""
        if self._process:
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                with contextlib.suppress(BrokenPipeError):
                    _pipe(stream).close()
            self._process.wait()
            self._process = None

    def pack(
        self, recipe: Recipe, compression: Compression, entries: tuple[Entry, ...], step: Step
    ) -> dict[str, Any]:
        """Have a layer packed into `path`; returns what the process tells of it."""
        assert self._process is not None  # it was started
        fields = operator.attrgetter(*pack.FIELDS)
        rows = [(*fields(entry), dict(entry.xattrs)) for entry in entries]
        task = pack.Task(str(self.path), compression, recipe.links, tuple(map(str, recipe.roots)), rows)
        with contextlib.suppress(BrokenPipeError):
            _pipe(self._process.stdin).write(task.encode())
            _pipe(self._process.stdin).flush()
        for line in _pipe(self._process.stdout):
            answer: dict[str, Any] = json.loads(line)
            if "bytes" in answer:
                step.advance(answer["bytes"])
            elif "error" in answer:
                raise _failure(recipe.name, answer)
            else:
                return answer
        raise self._died(recipe.name)

    def _died(self, name: str) -> WardianError:
        assert self._process is not None
        end = _pipe(self._process.stderr).read().decode(errors="replace").strip().splitlines()[-1:]
        status = self._process.wait()
        if status < 0:
            return HostError(
                f"cannot pack the layer {name}: its process was ended by signal {-status}",
                hint="see that there is enough memory, and try again",
            )
        return InternalError(f"cannot pack the layer {name}: {''.join(end) or f'status {status}'}")


def _failure(name: str, answer: dict[str, Any]) -> WardianError:
    message = f"cannot pack the layer {name}: {answer['message']}"
    kind = getattr(errors, answer["error"], InternalError)
    failure: WardianError = kind(message, hint=answer["hint"])
    return failure


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # every stream is asked for as a pipe
    return stream
