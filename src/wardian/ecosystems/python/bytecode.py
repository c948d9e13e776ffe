"""Compiles Python sources to byte code with the image's own Python, in the sandbox; the same bytes always.

Byte code is of PEP 552's unchecked kind: it holds no time, and Python does not look at the source again.
Compiling runs none of the code that it compiles. What comes out depends on the source, its path in the
image and the version of Python, and not on what else is compiled, in which order, on how many cores.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.ecosystems.python import sources
from wardian.ecosystems.python.sandbox import ROOT
from wardian.errors import BuildError

if TYPE_CHECKING:
    from wardian.ecosystems.python.model import Interpreter
    from wardian.ecosystems.python.sandbox import Sandbox

# Counted up when the same sources give other byte code.
VERSION = 2

# Run by the image's Python with the number of processes. Each takes the next number off the pipe, so that
# none is left with the big files; whoever takes the last one is done. What does not compile is left out, as
# pip and Debian do. Names are bytes, for not all of them are text.
_PROGRAM = r"""
import sys
sys.path = [path for path in sys.path if path]  # not the root folder's
import importlib.util, os, py_compile, warnings
os.umask(0o022)
warnings.simplefilter("ignore")
jobs = open("ROOT/list", "rb").read().split(b"\0")[:-1]
reader, writer = os.pipe()

def compile_one(line):
    unit, path = line.split(b"\n", 1)
    path = os.fsdecode(path)
    target = "ROOT/out/" + unit.decode() + importlib.util.cache_from_source(path, optimization="")
    try:
        py_compile.compile(path, target, path, True, 0, py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except (py_compile.PyCompileError, OSError, RecursionError, MemoryError, ValueError):
        pass

def work():
    os.close(writer)
    while True:
        number = os.read(reader, 4)
        if not number:
            os._exit(0)
        compile_one(jobs[int.from_bytes(number, "big")])

children = []
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(1)
    children.append(child)
os.close(reader)
for number in range(len(jobs)):
    os.write(writer, number.to_bytes(4, "big"))
os.close(writer)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
""".replace("ROOT", ROOT)


def compile_units(
    sandbox: Sandbox,
    interpreter: Interpreter,
    units: Sequence[Mapping[str, int]],
    folder: Path,
    *,
    processes: int | None = None,
) -> list[Path]:
    """Compile the sources of each unit; returns the folders below `folder` that hold its byte code.

    A unit's sources are paths in the image, without a leading slash, with their sizes; its folder then
    holds each one's `__pycache__/NAME.cpython-3NN.pyc` by its path in the image. Sources that do not compile
    are left out. Raises BuildError when Python crashes, and HostError.
    """
    made = [folder / "out" / str(number) for number in range(len(units))]
    for path in made:
        path.mkdir(parents=True)
    # The largest first, so that no process is left with one of them at the end.
    jobs = sorted((-size, path, number) for number, unit in enumerate(units) for path, size in unit.items())
    lines = (f"{number}\n/{path}\0" for _, path, number in jobs)
    (folder / "list").write_bytes(os.fsencode("".join(lines)))
    status, told = sandbox.run(
        [sources.python(interpreter), "-s", "-S", "-c", _PROGRAM, str(processes or _cores())],
        mounts=((folder, ROOT, False),),
        environment={"PYTHONHASHSEED": "0", "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root"},
        network=False,
    )
    if status:
        end = "\n  ".join(told.strip().splitlines()[-5:])
        raise BuildError(f"compiling to byte code failed with status {status}:\n  {end}".rstrip())
    return made


def _cores() -> int:
    return len(os.sched_getaffinity(0))
