"""From wanted packages to a whole set. apt decides; this file says what is kept, and in which stage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wardian.ecosystems.debian.apt import solve_with_apt
from wardian.ecosystems.debian.relations import Solution, parse_depends
from wardian.errors import ResolveError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from wardian.ecosystems.debian.index import Index
    from wardian.ecosystems.debian.model import DebianLock, DebianPackage
    from wardian.ecosystems.debian.packages import Stanza
    from wardian.store.store import Store
    from wardian.toolbox.toolbox import Toolbox

# Debian policy 5.6.7, with `=version` as apt has it.
_ROOT = re.compile(r"([a-z0-9][a-z0-9+.\-]+)(?:=([A-Za-z0-9.+:~\-]+))?")


def solve(
    store: Store,
    toolbox: Toolbox,
    index: Index,
    *,
    roots: Sequence[str],
    base_roots: Sequence[str],
    keep: DebianLock | None = None,
    upgrade: bool | Collection[str] = False,
) -> tuple[DebianPackage, ...]:
    """The packages that `roots` (`name` or `name=version`) and `base_roots` (also apt's patterns) need.

    The base and what it needs get stage 0, the rest stage 1. With `keep`, packages that it holds keep
    version and stage where the index allows it, new ones get the next stage (stage 0 where the base has
    come to need them), and what nothing needs any more is dropped. `upgrade` frees the named packages, and
    what they come from and need; True frees all. Raises ResolveError.
    """
    for root in roots:
        _check_root(index, root)
    kept = {} if keep is None or upgrade is True else {package.name: package for package in keep.packages}
    freed = set() if isinstance(upgrade, bool) else set(upgrade)
    if kept and not freed and _stands(index, kept, roots, base_roots):
        return tuple(kept[name] for name in sorted(kept))
    versions = _solve(store, toolbox, index, wanted=[*base_roots, *roots], kept=kept, freed=freed)
    solution = Solution({name: index.stanza(name, version) or {} for name, version in versions.items()})
    stages = _stages(solution, versions, kept, base_roots)
    return tuple(index.package(name, versions[name], stage=stages[name]) for name in sorted(versions))


def _stands(
    index: Index, kept: Mapping[str, DebianPackage], roots: Sequence[str], base_roots: Sequence[str]
) -> bool:
    """Whether what is kept is just what the roots need, the base in stage 0: apt takes 0.6 s to say it."""
    matches = [match for root in (*base_roots, *roots) if (match := _ROOT.fullmatch(root))]
    if any(match[2] and (match[1] not in kept or kept[match[1]].version != match[2]) for match in matches):
        return False
    stanzas = {name: index.stanza(name, package.version) for name, package in kept.items()}
    found = {name: stanza for name, stanza in stanzas.items() if stanza is not None}
    names = [match[1] for match in matches]
    solution = Solution(found)
    if len(found) != len(kept) or not solution.is_just(names):
        return False
    return all(kept[name].stage == 0 for name in _base(solution, kept, base_roots))


def _solve(
    store: Store,
    toolbox: Toolbox,
    index: Index,
    *,
    wanted: Sequence[str],
    kept: Mapping[str, DebianPackage],
    freed: Collection[str],
) -> dict[str, str]:
    """Solve afresh with what is kept pinned, so that the result does not depend on the order of changes.

    Pins may forbid what is wanted (a newer library, say): then what hangs together with the new and the
    freed is let go, and at last everything.
    """
    chosen = {match[1] for root in wanted if (match := _ROOT.fullmatch(root)) and match[2]}
    stanzas = {name: index.stanza(name, package.version) for name, package in kept.items()}
    pins = {name: kept[name].version for name, stanza in stanzas.items() if stanza}

    def without(names: Collection[str]) -> dict[str, str]:
        """Packages of one source depend on each other's exact version: they are let go together."""
        sources = {_source(name, stanzas.get(name) or index.stanza(name)) for name in names}
        return {name: pins[name] for name in pins if _source(name, stanzas[name]) not in sources}

    def loosened() -> Iterator[dict[str, str]]:
        yield without({*freed, *chosen})
        new = {match[1] for root in wanted if (match := _ROOT.fullmatch(root)) and match[1] not in kept}
        yield without(_needed(index, {*freed, *chosen, *new}))
        yield {}

    failure: ResolveError | None = None
    for attempt in loosened():
        try:
            return solve_with_apt(store, toolbox, index, wanted=wanted, pins=attempt)
        except ResolveError as error:
            failure = error
        if not attempt:
            break
    raise failure or ResolveError("nothing was tried")


def _source(name: str, stanza: Stanza | None) -> str:
    return (stanza or {}).get("Source", name).partition(" ")[0]


def _needed(index: Index, names: Collection[str]) -> set[str]:
    """All that `names` may need in their newest versions."""
    found: set[str] = set()
    pending = sorted(names)
    while pending:
        name = pending.pop()
        if name in found or (stanza := index.stanza(name)) is None:
            continue
        found.add(name)
        pending += [alternative.name for need in parse_depends(stanza) for alternative in need]
    return found


def _stages(
    solution: Solution,
    versions: Mapping[str, str],
    kept: Mapping[str, DebianPackage],
    base_roots: Sequence[str],
) -> dict[str, int]:
    following = max((package.stage for package in kept.values()), default=0) + 1
    first = {name: kept[name].stage if name in kept else following for name in versions}
    # The base may need more than it did: Python's environment stands on it alone (build/plan.py).
    return solution.restage({**first, **dict.fromkeys(_base(solution, kept, base_roots), 0)})


def _base(solution: Solution, kept: Mapping[str, DebianPackage], base_roots: Sequence[str]) -> set[str]:
    """What belongs to stage 0; what is there already satisfies a need before anything else does."""
    return solution.closure(base_roots, preferred={name for name in kept if kept[name].stage == 0})


def _check_root(index: Index, root: str) -> None:
    """Whether `root` names something: apt would take an unknown name for a pattern, or for an option."""
    match = _ROOT.fullmatch(root)
    if match is None:
        raise ResolveError(
            f"{root!r} is no Debian package name", hint="write it as apt does: name or name=version"
        )
    name, version = match[1], match[2]
    if index.stanza(name) is None:
        _check_virtual(index, name)
    elif version and index.stanza(name, version) is None:
        there = ", ".join(index.versions(name))
        raise ResolveError(f"Debian package {name} has no version {version}", hint=f"there is {there}")


def _check_virtual(index: Index, name: str) -> None:
    providers = index.providers(name)
    if len(providers) > 1:
        raise ResolveError(
            f"several Debian packages provide {name}", hint=f"choose one of {', '.join(providers[:8])}"
        )
    if not providers:
        near = index.near(name)
        raise ResolveError(
            f"no Debian package is called {name!r} in {index.title}",
            hint=f"did you mean {' or '.join(near)}?" if near else "check the name",
        )
