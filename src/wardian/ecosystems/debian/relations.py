"""Dependencies between the packages of one solution, and the stages that follow from them.

A stage is a round of configuration (model.DebianPackage): what a package depends on is configured in the
same round or in an earlier one, never later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.ecosystems.debian.packages import parse_provides
from wardian.ecosystems.debian.versions import satisfies

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from wardian.ecosystems.debian.packages import Stanza

# Layers of an image are bounded, and each round of configuration costs a start of dpkg.
LARGEST_STAGE = 7
_RELATION = re.compile(r"\s*([^\s:(]+)(?::\S+)?\s*(?:\(\s*([<>=]+)\s*([^)\s]+)\s*\))?\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One way to satisfy a dependency: `name (relation version)`; both empty where any version does."""

    name: str
    relation: str
    version: str


def parse_depends(stanza: Stanza) -> list[list[Alternative]]:
    """What a package needs to be configured: each inner list is one need, its first entry preferred."""
    return parse_relations(", ".join(filter(None, (stanza.get("Pre-Depends"), stanza.get("Depends")))))


def parse_relations(text: str) -> list[list[Alternative]]:
    """A relationship field (Debian policy 7.1), such as `a (>= 1) | b, c`."""
    needs = []
    for need in filter(str.strip, text.replace("\n", " ").split(",")):
        found = [_RELATION.fullmatch(item) for item in need.split("|")]
        needs.append([Alternative(name=m[1], relation=m[2] or "", version=m[3] or "") for m in found if m])
    return needs


class Solution:
    """The stanzas of an installable set, by package name."""

    def __init__(self, stanzas: Mapping[str, Stanza]) -> None:
        self._stanzas = stanzas
        self._needs = {name: parse_depends(stanza) for name, stanza in stanzas.items()}
        self._provided: dict[str, list[tuple[str, str]]] = {}
        for name, stanza in sorted(stanzas.items()):
            for virtual, version in parse_provides(stanza):
                self._provided.setdefault(virtual, []).append((name, version))

    def closure(self, roots: Iterable[str], *, preferred: Collection[str] = ()) -> set[str]:
        """`roots`, the essential and required packages, and all that these need.

        Of several packages that satisfy a need, one that is `preferred` is taken before the first.
        """
        found: set[str] = set()
        pending = sorted(
            {name for root in roots for name in self._carriers(root)}
            | {name for name, stanza in self._stanzas.items() if _is_required(stanza)}
        )
        while pending:
            name = pending.pop(0)
            if name in found:
                continue
            found.add(name)
            for options in self._options(name):
                if options and found.isdisjoint(options):
                    pending.append(next((option for option in options if option in preferred), options[0]))
        return found

    def is_just(self, roots: Sequence[str]) -> bool:
        """Whether these packages are what `roots` need: none is missing, none is one too many."""
        if not all(self._carriers(root) for root in roots):
            return False
        closure = self.closure(roots)
        return closure == set(self._stanzas) and all(all(self._options(name)) for name in closure)

    def restage(self, stages: Mapping[str, int]) -> dict[str, int]:
        """`stages` with packages moved later until none needs one of a later stage; numbered 0, 1, 2 …"""
        moved = dict(stages)
        is_settled = False
        while not is_settled:
            is_settled = True
            for name in moved:
                needed = [
                    min(moved[option] for option in options) for options in self._options(name) if options
                ]
                latest = max(needed, default=0)
                if latest > moved[name]:
                    moved[name] = latest
                    is_settled = False
        return _renumber(moved)

    def _options(self, name: str) -> list[list[str]]:
        return [
            list(dict.fromkeys(option for alternative in need for option in self._satisfying(alternative)))
            for need in self._needs[name]
        ]

    def _satisfying(self, wanted: Alternative) -> Iterable[str]:
        stanza = self._stanzas.get(wanted.name)
        if stanza is not None and satisfies(stanza["Version"], wanted.relation, wanted.version):
            yield wanted.name
        for provider, version in self._provided.get(wanted.name, ()):
            if not wanted.relation or (version and satisfies(version, wanted.relation, wanted.version)):
                yield provider

    def _carriers(self, name: str) -> Sequence[str]:
        if name in self._stanzas:
            return [name]
        return [provider for provider, _ in self._provided.get(name, ())]


def _is_required(stanza: Stanza) -> bool:
    return stanza.get("Essential") == "yes" or stanza.get("Priority") == "required"


def _renumber(stages: Mapping[str, int]) -> dict[str, int]:
    """Close the gaps that dropped packages leave; where there are too many stages, two remain."""
    order = {stage: number for number, stage in enumerate(sorted({0, *stages.values()}))}
    if len(order) > LARGEST_STAGE + 1:
        order = {stage: min(number, 1) for stage, number in order.items()}
    return {name: order[stage] for name, stage in stages.items()}
