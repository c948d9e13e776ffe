"""From a spec to a lock: Debian and Python packages of each platform, resolved side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wardian.ecosystems.debian import resolve as debian
from wardian.ecosystems.debian.suites import SUITES
from wardian.ecosystems.python import interpreter as interpreters
from wardian.ecosystems.python.model import PythonLock
from wardian.ecosystems.python.resolve import Request, resolve
from wardian.ecosystems.python.workbench import resolve_workbench
from wardian.errors import LockError, ResolveError
from wardian.lock.model import Lock, PlatformLock
from wardian.project import grammar
from wardian.project.kinds import nearest
from wardian.system import background

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from wardian.ecosystems.debian.model import DebianLock
    from wardian.ecosystems.python.model import Interpreter, PythonPackage
    from wardian.ecosystems.python.sandbox import Sandbox
    from wardian.ecosystems.workshop import Workshop
    from wardian.image.platform import Platform
    from wardian.project.spec import Declared, Spec

# The second is a wheel of 1.8 MB, which environments' `pip` runs (ecosystems/python/launcher.py).
PYTHON_ROOTS = ("python3", "python3-pip-whl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a lock is wanted of.

    `upgrade` is True for every package or names those that may change; `as_of` is a time before which
    everything must have been published; `workbench` asks for what running notebooks needs; `building`
    says that the lock will be built at once, so that fetching may begin while the rest is resolved.
    """

    spec: Spec
    declared: Declared
    platforms: tuple[Platform, ...]
    keep: Lock | None = None
    upgrade: bool | Collection[str] = False
    as_of: datetime | None = None
    workbench: bool = False
    building: bool = False


def resolve_lock(
    workshop: Workshop,
    wish: Wish,
    *,
    sandbox: Callable[[DebianLock, Interpreter, Platform], Sandbox],
) -> Lock:
    """Resolve a wish. `sandbox` gives a root that holds the image's Python, for sources that must be run.

    Raises ResolveError, FetchError, VerificationError, SpecError, and LockError for a name to upgrade that
    nothing has.
    """
    _check_upgrade(wish)
    parts = tuple(_platform(workshop, wish, platform, sandbox) for platform in sorted(wish.platforms))
    return Lock(spec=digest(wish.spec, wish.declared), platforms=parts)


def digest(spec: Spec, declared: Declared) -> str:
    """The digest by which a lock knows its spec."""
    return f"sha256:{spec.lock_digest(declared)}"


def _check_upgrade(wish: Wish) -> None:
    """Raise LockError for a name to upgrade that is neither locked nor asked for: it would free nothing.

    Where nothing is locked yet, any package may come to be.
    """
    if isinstance(wish.upgrade, bool) or wish.keep is None:
        return
    lines = (line.partition(" --hash=")[0] for line in wish.spec.requirements(wish.declared))
    python = {"python", *(grammar.parse_requirement(line).name for line in lines)}
    debian = {grammar.debian_name(text) for text in wish.spec.system.packages}
    for part in wish.keep.platforms:
        debian |= {package.name for package in part.debian.packages}
        if part.python:
            python |= {package.name for package in (*part.python.packages, *part.python.workbench)}
    for name in wish.upgrade:
        if name not in debian and grammar.normalize_name(name) not in python:
            near = nearest(name, tuple(sorted(python | debian)))
            raise LockError(
                f"cannot upgrade {name[:100]!r}: no package of that name is locked or asked for",
                hint=f"did you mean {near}?" if near else "name a package that is in wardian.lock",
            )


def _platform(
    workshop: Workshop,
    wish: Wish,
    platform: Platform,
    sandbox: Callable[[DebianLock, Interpreter, Platform], Sandbox],
) -> PlatformLock:
    kept = wish.keep.platform(platform) if wish.keep else None
    if wish.spec.python is None:
        lock = background.start(lambda: _debian(workshop, wish, platform, kept, ())).result()
        return PlatformLock(platform=platform, debian=lock, python=None)
    interpreter = _interpreter(workshop, wish, platform, kept, SUITES[wish.spec.suite].python)
    roots = PYTHON_ROOTS if interpreter.source == "debian" else ()
    # Each takes a second or two; much of it is waiting for the network or for one core.
    debian_lock = background.start(lambda: _debian(workshop, wish, platform, kept, roots))

    def image() -> Sandbox:
        return sandbox(debian_lock.result(), interpreter, platform)

    python = _python(workshop, wish, platform, kept, interpreter, image)
    if interpreter.source == "debian":
        found = _python_version(debian_lock.result())
        if found != interpreter.version:
            python = _python(workshop, wish, platform, kept, replace(interpreter, version=found), image)
    return PlatformLock(platform=platform, debian=debian_lock.result(), python=python)


def _python_version(lock: DebianLock) -> str:
    """The upstream version of the suite's Python: 3.13.5 of 3.13.5-1 (Debian policy 5.6.12)."""
    version = next(package.version for package in lock.packages if package.name == "python3")
    return version.partition(":")[2].partition("-")[0] if ":" in version else version.partition("-")[0]


def _interpreter(
    workshop: Workshop, wish: Wish, platform: Platform, kept: PlatformLock | None, suite_version: str
) -> Interpreter:
    return interpreters.choose(
        workshop.uv,
        asked=wish.spec.python_specifier(wish.declared),
        suite_version=suite_version,
        platform=platform,
        keep=kept.python.interpreter if kept and kept.python else None,
        upgrade=wish.upgrade is True or (wish.upgrade is not False and "python" in wish.upgrade),
        mirror=workshop.configuration.python_install_mirror,
        as_of=wish.as_of,
    )


def _debian(
    workshop: Workshop,
    wish: Wish,
    platform: Platform,
    kept: PlatformLock | None,
    roots: tuple[str, ...],
) -> DebianLock:
    return debian.resolve(
        workshop.store,
        workshop.fetcher,
        workshop.configuration,
        platform,
        suite=wish.spec.suite,
        roots=wish.spec.system.packages,
        base_roots=(*debian.BASE_ROOTS, *roots),
        host=workshop.host,
        keep=kept.debian if kept else None,
        upgrade=wish.upgrade,
        as_of=wish.as_of,
        offline=workshop.offline,
        progress=workshop.progress,
    )


def _kept_for(wish: Wish, kept: PlatformLock | None, interpreter: Interpreter) -> tuple[str, ...] | None:
    """What the Python packages were locked for, unless that was another Python or another C library."""
    if kept is None or kept.python is None or kept.debian.suite != wish.spec.suite:
        return None
    return kept.python.requirements if kept.python.interpreter == interpreter else None


def _python(
    workshop: Workshop,
    wish: Wish,
    platform: Platform,
    kept: PlatformLock | None,
    interpreter: Interpreter,
    image: Callable[[], Sandbox],
) -> PythonLock:
    earlier = kept.python if kept else None
    request = Request(
        requirements=wish.spec.requirements(wish.declared),
        constraints=wish.declared.constraints,
        interpreter=interpreter,
        target=workshop.target(wish.spec.suite, interpreter.version, platform),
        keep=earlier.packages if earlier else (),
        kept_for=_kept_for(wish, kept, interpreter),
        upgrade=wish.upgrade,
        as_of=wish.as_of.strftime("%Y-%m-%dT%H:%M:%SZ") if wish.as_of else None,
        offline=workshop.offline,
    )
    with workshop.progress.step("resolving Python packages"):
        packages = resolve(workshop.uv, request, sandbox=image)
    if wish.building and platform == workshop.host:
        workshop.prefetch(packages, request.target)
    bench: tuple[PythonPackage, ...] = ()
    if wish.workbench or (earlier and earlier.workbench):
        is_grown = request.kept_for is not None and {*request.keep} <= {*packages}
        request = replace(request, keep=earlier.workbench if earlier else ())
        with workshop.progress.step("resolving the workbench"):
            try:
                bench = resolve_workbench(workshop.uv, request, packages, grown=is_grown, sandbox=image)
            except ResolveError:
                if wish.workbench:
                    raise
                # It was locked for a notebook that ran once; the next one to run is told why.
                workshop.progress.message(
                    "what runs notebooks does not fit beside the project's packages any more: it is left out "
                    "of the lock"
                )
    return PythonLock(interpreter=interpreter, packages=packages, workbench=bench, requirements=request.asked)
