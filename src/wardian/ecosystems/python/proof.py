"""Imports packages' modules with the image's own Python, in the sandbox, to see whether they still can be."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.ecosystems.python.sandbox import ROOT
from wardian.errors import BuildError

if TYPE_CHECKING:
    from wardian.ecosystems.python.sandbox import Sandbox
    from wardian.image.entry import Entry

_LARGEST = 64 << 20  # bytes of results: packages' code may write anything
_SITE = re.compile(r"^.*?lib/python3[^/]*/site-packages/(.+)$")

# A process for each package, so that one that crashes, hangs or changes Python disturbs no other. Workers
# take the next number off the pipe. What a module prints is nobody's business.
_PROGRAM = r"""
import json, os, signal, sys
with open("ROOT/jobs") as file:
    jobs = json.load(file)
for path in jobs["removed"]:
    try:
        os.unlink("/" + path)
    except OSError:
        continue
    while (path := path.rpartition("/")[0]):
        try:
            os.rmdir("/" + path)
        except OSError:
            break
packages = jobs["packages"]
results = os.open("ROOT/results", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
nothing = os.open("/dev/null", os.O_RDWR)
reader, writer = os.pipe()

def tell(**told):
    os.write(results, json.dumps(told).encode() + b"\n")

def explain(error):
    files, trace = [], error.__traceback__
    while trace:
        files.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    return {"error": f"{type(error).__name__}: {error}"[:500], "files": files[-20:],
            "missing": str(getattr(error, "name", None) or "")}

def prove(name, modules):
    signal.alarm(jobs["seconds"])
    for number in range(3):
        os.dup2(nothing, number)
    import importlib
    for module in modules:
        try:
            importlib.import_module(module)
        except BaseException as error:
            tell(package=name, module=module, **explain(error))
        else:
            tell(package=name, module=module, error="")
    tops = set()
    for module in list(sys.modules.values()):
        before, found, after = str(getattr(module, "__file__", None)).partition("/site-packages/")
        if found:
            tops.add(after.partition("/")[0])
    tell(package=name, used=sorted(tops))
    os._exit(0)

def work():
    os.close(writer)
    while number := os.read(reader, 4):
        name, modules = packages[int.from_bytes(number, "big")]
        child = os.fork()
        if not child:
            try:
                prove(name, modules)
            finally:
                os._exit(1)
        os.waitpid(child, 0)

children = []
for _ in range(jobs["processes"]):
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    children.append(child)
os.close(reader)
for number in range(len(packages)):
    os.write(writer, number.to_bytes(4, "big"))
os.close(writer)
for child in children:
    os.waitpid(child, 0)
""".replace("ROOT", ROOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A module that could not be imported: why, which module was missing, which files were on the way."""

    error: str
    missing: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What importing found: failures by package and module; which names below site-packages each used."""

    failures: Mapping[str, Mapping[str, Failure]]
    used: Mapping[str, tuple[str, ...]]


def modules(entries: Iterable[Entry]) -> tuple[str, ...]:
    """What a package can be imported by: its modules at the top, of a namespace (PEP 420) those below it."""
    found: dict[str, bool] = {}
    for entry in entries:
        match = _SITE.match(entry.path)
        if match and entry.kind == "file" and match[1].endswith((".py", ".so")):
            *folders, file = match[1].split("/")
            parts = folders if file == "__init__.py" else [*folders, file.partition(".")[0]]
            if parts and all(part.isidentifier() for part in parts):
                name = ".".join(parts)
                found[name] = found.get(name, False) or file == "__init__.py"
    packages = {name for name, is_package in found.items() if is_package}
    return tuple(sorted(name for name in found if not any(above in packages for above in _above(name))))


def _above(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]


def import_all(
    sandbox: Sandbox,
    python: str,
    packages: Mapping[str, Sequence[str]],
    folder: Path,
    *,
    removed: Iterable[str] = (),
    compiled: bool = False,
    seconds: int = 300,
) -> Outcome:
    """Import each package's modules.

    `removed` are paths that are taken out of the sandbox's root before, which must be one that is thrown
    away. `compiled` says that there is byte code. `folder` is empty and for this call's files, `seconds` is
    what one package may take. Raises HostError, and BuildError when Python cannot be started or when what
    was imported has spoilt the results.
    """
    jobs = {
        "removed": list(removed),
        "packages": [[name, list(found)] for name, found in packages.items()],
        "seconds": seconds,
        "processes": len(os.sched_getaffinity(0)),
    }
    (folder / "jobs").write_text(json.dumps(jobs))
    status, told = sandbox.run(
        [python, "-c", _PROGRAM],
        mounts=((folder, ROOT, False),),
        environment=_environment(compiled),
        network=False,
    )
    if status:
        end = "\n  ".join(told.strip().splitlines()[-5:])
        raise BuildError(f"trying the imports of a slim image failed with status {status}:\n  {end}".rstrip())
    results = _read(folder / "results")
    used = {
        str(line.get("package")): tuple(map(str, line["used"]))
        for line in results
        if isinstance(line.get("used"), list)
    }
    return Outcome(failures=_failures(packages, results), used=used)


def _environment(compiled: bool) -> dict[str, str]:
    # Where there is no byte code, what one package's process compiles serves the others.
    cache = {"PYTHONDONTWRITEBYTECODE": "1"} if compiled else {"PYTHONPYCACHEPREFIX": "/tmp/wardian-pycache"}
    search = "/opt/venv/bin:/opt/python/bin:/usr/local/bin:/usr/bin:/bin"
    return {**cache, "PATH": search, "HOME": "/tmp", "LANG": "C.UTF-8", "MPLBACKEND": "Agg"}


def _failures(
    packages: Mapping[str, Sequence[str]], results: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, Failure]]:
    told = {(str(line.get("package")), str(line.get("module"))): line for line in results}
    found: dict[str, dict[str, Failure]] = {}
    for package, names in packages.items():
        for module in names:
            line = told.get((package, module), {"error": "Python crashed, or took too long"})
            if line.get("error"):
                files = line.get("files")
                found.setdefault(package, {})[module] = Failure(
                    error=str(line["error"]),
                    missing=str(line.get("missing", "")),
                    files=tuple(map(str, files)) if isinstance(files, list) else (),
                )
    return found


def _read(path: Path) -> list[dict[str, Any]]:
    """The results, which are a plain file of sane size: imported code may have left anything there.

    Raises BuildError for anything else. Without results nothing is proved.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _spoilt() from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise _spoilt()
        lines = file.read(_LARGEST).splitlines()
    found = []
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict):
            found.append(told)
    return found


def _spoilt() -> BuildError:
    return BuildError(
        "what importing the packages of a slim image found cannot be read: one of them has spoilt it",
        hint="leave `slim` out of [image]",
    )
