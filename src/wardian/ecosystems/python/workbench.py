"""What running notebooks needs beyond a project's own packages. It never ships and never changes those."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wardian.ecosystems.python.resolve import resolve
from wardian.errors import ResolveError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wardian.ecosystems.python.model import PythonPackage
    from wardian.ecosystems.python.program import Uv
    from wardian.ecosystems.python.resolve import Request
    from wardian.ecosystems.python.sandbox import Sandbox

# ipykernel runs the cells, nbclient drives it, nbconvert renders the result.
REQUIREMENTS = ("ipykernel>=6.29", "nbclient>=0.10", "nbconvert>=7.16")


def resolve_workbench(
    uv: Uv,
    request: Request,
    locked: Sequence[PythonPackage],
    *,
    grown: bool = False,
    sandbox: Callable[[], Sandbox] | None = None,
) -> tuple[PythonPackage, ...]:
    """The packages beyond `locked`, in name order; `request` is that of the project.

    Its `keep` holds the workbench locked before; `grown` says that this stood beside what is `locked` now, or
    a part of it. Raises ResolveError, naming the project's pin that leaves no room for running notebooks;
    FetchError.
    """
    from packaging.requirements import Requirement

    pins = tuple(f"{package.name}=={package.version}" for package in locked)
    kept = (*request.keep, *locked)
    names = {package.name for package in kept}
    whole = [line for line in REQUIREMENTS if Requirement(line).name in names] if grown else None
    asked = replace(request, requirements=REQUIREMENTS, constraints=pins, keep=kept, kept_for=whole)
    try:
        found = resolve(uv, asked, sandbox=sandbox)
    except ResolveError as error:
        raise _no_room(error, locked) from error
    names = {package.name for package in locked}
    return tuple(package for package in found if package.name not in names)


def _no_room(error: ResolveError, locked: Sequence[PythonPackage]) -> ResolveError:
    named = [f"{pin.name} {pin.version}" for pin in locked if f"{pin.name}=={pin.version}" in error.message]
    culprit = " and ".join(named) or "the project's locked versions"
    detail = error.message.partition("\n")[2]
    return ResolveError(
        f"notebooks cannot be run beside {culprit}" + (f":\n{detail}" if detail else f": {error.message}"),
        hint="loosen that requirement, or run a script instead of a notebook",
    )
