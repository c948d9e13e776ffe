"""Resolves requirements to locked files, by uv, for a Python and a platform that are not the host's.

No code of a package runs on the host. Where a source distribution tells its dependencies only when it
is built, uv is run again in a sandbox, by the image's own Python and with a cache of its own.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.ecosystems.python import errors, pylock
from wardian.ecosystems.python.indexes import local_path, uv_environment
from wardian.ecosystems.python.pylock import Target
from wardian.errors import FetchError, ResolveError, SpecError
from wardian.system.http import MissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from packaging.requirements import Requirement

    from wardian.ecosystems.python.model import Interpreter, PythonPackage
    from wardian.ecosystems.python.program import Uv
    from wardian.ecosystems.python.sandbox import Sandbox

_HASH = re.compile(r"\s*--hash[= ](?P<algorithm>\w+):(?P<digest>[0-9a-f]+)")
_PROJECT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")  # PyPA "Names and normalization"
_ROUNDS = 4  # of letting go of pins; each takes as long as a resolution
_DOING = "cannot resolve the Python packages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be resolved. Requirements are PEP 508 lines, each perhaps with pip's `--hash` options.

    `upgrade` is True for all, or the names that may change. `as_of` is an RFC 3339 time: files uploaded
    later do not exist. `keep` are locked packages, whose versions are preferred. `kept_for` are the `asked`
    that they are all the packages for, with this Python and target; None where that is not known.
    """

    requirements: Sequence[str]
    constraints: Sequence[str] = ()
    interpreter: Interpreter
    target: Target
    keep: Sequence[PythonPackage] = ()
    kept_for: Collection[str] | None = None
    upgrade: bool | Collection[str] = False
    as_of: str | None = None
    offline: bool = False

    @property
    def asked(self) -> tuple[str, ...]:
        """The requirements without hashes, in order."""
        return tuple(sorted({_HASH.sub("", line) for line in self.requirements}))


def resolve(
    uv: Uv, request: Request, *, sandbox: Callable[[], Sandbox] | None = None
) -> tuple[PythonPackage, ...]:
    """The locked packages, in name order.

    `sandbox` is called only when a package must be built to know its dependencies; it gives a root that
    holds the image's Python. Raises ResolveError, FetchError, VerificationError.
    """
    if not request.requirements:
        return ()
    packages = _grow(uv, request, sandbox)
    if packages is None:
        packages = _packages(uv, request, _solve(uv, request, sandbox))
    return tuple(packages[name] for name in sorted(packages))


def _grow(uv: Uv, request: Request, sandbox: Callable[[], Sandbox] | None) -> dict[str, PythonPackage] | None:
    """The kept packages, and what new requirements need beside them; None where more may have to change.

    What is kept fulfils the requirements that it was resolved for, and is pinned while the new ones are
    resolved. So only the pages of what is new are asked for, and of what it requires (one package beside
    113: 0.3 s instead of 0.7).
    """
    pins = _pins(request)
    earlier = request.kept_for
    if earlier is None or not {*earlier} <= {*request.asked} or len(pins) < len(request.keep):
        return None
    kept = {package.name: package for package in request.keep}
    allowed = {name: _allowed(request, name) for name in kept}
    is_refused = any(allowed[name] and kept[name].sha256 not in allowed[name] for name in kept)
    if request.upgrade or request.as_of or is_refused:
        return None
    new = [line for line in request.asked if line not in earlier]
    if not new:
        return kept
    status, told, found = _compile(uv, replace(request, requirements=new, keep=()), sandbox, pins=pins)
    if status and "No solution found" not in told:
        raise _error(request, told)
    return None if status else kept | _packages(uv, request, found)


def _packages(uv: Uv, request: Request, found: Iterable[pylock.Resolved]) -> dict[str, PythonPackage]:
    chosen = _choose(request, found)
    sizes = _sizes(uv, [file for _, file in chosen])
    return {entry.name: pylock.package(entry, file, sizes[file.name]) for entry, file in chosen}


def _solve(uv: Uv, request: Request, sandbox: Callable[[], Sandbox] | None) -> tuple[pylock.Resolved, ...]:
    """Resolve with as many kept versions as possible.

    They are pinned, for uv's preferences are not enough: where several indexes list a preferred version,
    uv looks at the first one's files alone, and takes an older version if none of those fits. Pins that
    uv names as being in the way are let go of, at last all for preferences.
    """
    pins = _pins(request)
    for last in (*(False,) * _ROUNDS, True):
        pins = [] if last else pins
        status, told, found = _compile(uv, request, sandbox, pins=pins)
        if not status:
            return found
        if not pins or "No solution found" not in told:
            break
        left = [pin for pin in pins if not re.search(rf"(?<![\w.-]){re.escape(_name(pin))}(?![\w.-])", told)]
        pins = left if len(left) < len(pins) else []
    raise _error(request, told)


def _pins(request: Request) -> list[str]:
    """Kept versions as constraints, without those that may change or that a requirement excludes.

    Requirements count whose markers hold for the target.
    """
    if request.upgrade is True:
        return []
    free = {_name(name) for name in request.upgrade or ()}
    lines = map(_parse, (*request.requirements, *request.constraints))
    asked = [entry for entry in lines if entry.marker is None or request.target.fits(entry.marker)]
    for kept in request.keep:
        mine = (entry.specifier for entry in asked if _name(entry.name) == kept.name)
        if not all(specifier.contains(kept.version, prereleases=True) for specifier in mine):
            free.add(kept.name)
    return [f"{kept.name}=={kept.version}" for kept in request.keep if kept.name not in free]


def _parse(line: str) -> Requirement:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(_HASH.sub("", line))
    except InvalidRequirement as error:
        raise SpecError(f"{line!r} is no requirement: {error}", hint="write one such as pandas>=2") from error


def _compile(
    uv: Uv, request: Request, sandbox: Callable[[], Sandbox] | None, *, pins: Sequence[str]
) -> tuple[int, str, tuple[pylock.Resolved, ...]]:
    with uv.work() as folder:
        _write(request, pins, folder)
        status, told = uv.run(_arguments(uv, request, folder, sys.executable), folder=folder)
        if status and (refused := errors.refused_build(told)) and not request.offline:
            status, told = _in_sandbox(uv, request, folder, refused, sandbox)
        return status, told, () if status else pylock.read((folder / "pylock.toml").read_text())


def _error(request: Request, told: str) -> Exception:
    known = [name for name in map(_name, request.requirements) if name]
    error = errors.explain(told, doing=_DOING, known=known, offline=request.offline)
    if request.as_of and error.hint is None:
        error.hint = "an index that tells no upload times has no files as of a date"
    return error


def _write(request: Request, pins: Sequence[str], folder: Path) -> None:
    (folder / "requirements.in").write_text(_lines(request.requirements))
    (folder / "constraints.in").write_text(_lines([*request.constraints, *pins]))
    pinned = {_name(pin) for pin in pins}
    if preferred := [package for package in request.keep if package.name not in pinned]:
        (folder / "pylock.toml").write_text(pylock.write(preferred))


def _lines(requirements: Iterable[str]) -> str:
    # Hashes are ours to check (pylock.choose): uv would want them for all or none.
    return "".join(f"{_HASH.sub('', line)}\n" for line in requirements)


def _arguments(uv: Uv, request: Request, folder: Path, python: str) -> list[str]:
    upgrade = request.upgrade
    # Debian's names are among them too.
    names = [] if isinstance(upgrade, bool) else [name for name in upgrade if _PROJECT.fullmatch(name)]
    return [
        *("pip", "compile", f"{folder}/requirements.in", "--constraints", f"{folder}/constraints.in"),
        *("--output-file", f"{folder}/pylock.toml", "--format", "pylock.toml", "--no-header"),
        *("--python", python, *request.target.arguments, "--no-sources"),
        *uv.indexes.arguments(),
        *(["--exclude-newer", request.as_of] if request.as_of else []),
        *(["--offline"] if request.offline else []),
        *(["--upgrade"] if upgrade is True else [f"--upgrade-package={name}" for name in names]),
    ]


def _in_sandbox(
    uv: Uv,
    request: Request,
    folder: Path,
    refused: errors.RefusedBuild,
    sandbox: Callable[[], Sandbox] | None,
) -> tuple[int, str]:
    from wardian.ecosystems.python import sources
    from wardian.ecosystems.python.sandbox import ROOT, UV

    if sandbox is None:
        raise ResolveError(
            f"{refused.what.replace('==', ' ')} is there as source only, and has to be built to be resolved",
            hint=_meant(refused.what) or "ask for a version that has a wheel",
        )
    arguments = _arguments(uv, request, Path(ROOT), sources.python(request.interpreter))
    status, told = sandbox().run(
        [UV, *arguments],
        mounts=sources.mounts(uv, folder),
        environment=sources.variables(uv, uv_environment(uv.indexes, uv.environment, f"{ROOT}/cache")),
        network=True,
    )
    if status and (failed := errors.refused_build(told)):
        error = sources.build_error(failed.what, told)
        error.hint = _meant(failed.what) or error.hint
        raise error
    return status, told


def _meant(what: str) -> str | None:
    """A hint for names that are on the index to say that they are wrong, as `sklearn` is."""
    near = errors.near_names(_name(what))
    return f"did you mean {near[0]}?" if near and near[0] != _name(what) else None


def _choose(request: Request, found: Iterable[pylock.Resolved]) -> list[tuple[pylock.Resolved, pylock.File]]:
    tags = request.target.tags()
    kept = {package.name: package for package in request.keep}
    return [
        (
            entry,
            pylock.choose(
                entry,
                tags,
                kept=kept.get(entry.name),
                allowed=_allowed(request, entry.name),
                target=request.target,
            ),
        )
        for entry in found
    ]


def _name(requirement: str) -> str:
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


def _allowed(request: Request, name: str) -> frozenset[str]:
    lines = [line for line in (*request.requirements, *request.constraints) if _name(line) == name]
    found = (match for line in lines for match in _HASH.finditer(line))
    return frozenset(match["digest"] for match in found if match["algorithm"] == "sha256")


def _sizes(uv: Uv, files: Sequence[pylock.File]) -> dict[str, int]:
    """The files' sizes by name, asked for at once where the index does not tell (PEP 503 never does)."""
    from concurrent.futures import ThreadPoolExecutor

    known = {file.name: file.size for file in files if file.size is not None}
    unknown = [file for file in files if file.size is None]
    if not unknown:
        return known
    with ThreadPoolExecutor(8) as pool:
        return known | dict(
            zip((file.name for file in unknown), pool.map(lambda file: _size(uv, file), unknown), strict=True)
        )


def _size(uv: Uv, file: pylock.File) -> int:
    if (path := local_path(file.address)) is not None:
        return path.stat().st_size
    address = uv.indexes.with_credentials(file.address, uv.environment)
    try:
        length = uv.fetcher.head(address).headers.get("content-length", "")
    except MissingError:
        raise
    except FetchError:  # presigned addresses take GET alone
        length = ""
    if length.isdigit() and int(length):
        return int(length)
    answer = uv.fetcher.get(address, headers={"Range": "bytes=0-0"})
    total = answer.headers.get("content-range", "").rpartition("/")[2]
    if answer.status == 206 and total.isdigit():
        return int(total)
    if answer.status == 200:
        return len(answer.body)  # a server that knows no ranges sends it all
    raise FetchError(f"cannot learn the size of {file.name}: the index answers {answer.status}")
