"""Takes the figures in rounds, peer and ours in turn, so that a drift of the machine meets both."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bench.ours import Ours
from bench.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from bench.reference import Row


_PUSHED = {"push", "repush", "sent", "pull", "packed", "unpacked", "slim-packed", "slim-unpacked"}


class Side(Protocol):
    """Who is measured."""

    @property
    def name(self) -> str:
        """`ours`, `peer` or `buildah`."""
        ...

    @property
    def rows(self) -> frozenset[str]:
        """The rows that this side can take."""
        ...

    def first(self) -> float: ...
    def memory(self) -> float: ...
    def python(self) -> float: ...
    def system(self) -> float: ...
    def reset(self) -> None: ...
    def nothing(self) -> float: ...
    def run(self) -> float: ...
    def second_import(self) -> float: ...
    def push(self, registry: Registry) -> float: ...
    def repush(self, registry: Registry) -> float: ...
    def sent(self) -> float: ...
    def pull(self, registry: Registry) -> float: ...


@dataclass(slots=True)
class Figures:
    """All samples, by row and side, in the order in which they were taken."""

    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, row: str, side: str, value: float) -> None:
        """Keep one sample."""
        self.samples.setdefault(row, {}).setdefault(side, []).append(value)

    def of(self, row: str, side: str) -> list[float]:
        """The samples of one side in one row."""
        return self.samples.get(row, {}).get(side, [])


def take(
    rows: Collection[Row],
    sides: Sequence[Side],
    *,
    count: int,
    work: Path,
    tell: Callable[[str], None],
) -> Figures:
    """Measure `rows` in `count` rounds. Every round begins anew, so that what is added was never there.

    Raises BenchError.
    """
    figures = Figures()
    for number in range(1, count + 1):
        # Who comes first alternates too: what one leaves to the kernel to write meets the other.
        order = list(sides) if number % 2 else list(reversed(sides))
        tell(f"round {number} of {count}")
        _round(rows, order, figures, work / f"registries-{number}", tell)
    return figures


def _round(
    rows: Collection[Row],
    sides: Sequence[Side],
    figures: Figures,
    work: Path,
    tell: Callable[[str], None],
) -> None:
    wanted = {row.name: row for row in rows}

    def each(name: str, method: Callable[[Side], float], *, keep: bool = True) -> None:
        repeats = wanted[name].repeats if name in wanted else 1
        for _ in range(repeats):
            for side in sides:
                if name not in side.rows:
                    continue
                if name in ("python", "system"):
                    os.sync()  # what was written before is not written now
                value = method(side)
                tell(f"  {name}, {side.name}: {value:.3f}" + ("" if keep else " (not counted)"))
                if keep:
                    figures.add(name, side.name, value)

    if "memory" in wanted:
        each("memory", lambda side: side.memory())
    if wanted.keys() - {"memory"}:
        each("first", lambda side: side.first(), keep="first" in wanted)
    if "python" in wanted:
        each("python", lambda side: side.python())
        _reset(sides)
    if "system" in wanted:
        each("system", lambda side: side.system())
        _reset(sides)
    if "nothing" in wanted:
        each("nothing", lambda side: side.nothing())
    if "run" in wanted:
        each("run", lambda side: side.run())
    if "import" in wanted:
        each("import", lambda side: side.second_import())
    if wanted.keys() & _PUSHED:
        _push(wanted, sides, figures, each, work)


def _push(
    wanted: Mapping[str, Row],
    sides: Sequence[Side],
    figures: Figures,
    each: Callable[..., None],
    work: Path,
) -> None:
    """What needs a registry: each side has an empty one of its own."""
    with ExitStack() as stack:
        registries = {side.name: stack.enter_context(Registry(work / side.name)) for side in sides}
        each("push", lambda side: side.push(registries[side.name]), keep="push" in wanted)
        if "packed" in wanted:
            each("packed", lambda side: registries[side.name].packed(f"{side.name}:1"))
        if "unpacked" in wanted:
            each("unpacked", lambda side: registries[side.name].unpacked(f"{side.name}:1"))
        if wanted.keys() & {"repush", "sent"}:
            each("repush", lambda side: side.repush(registries[side.name]))
            each("sent", lambda side: side.sent())
        if "pull" in wanted:
            each("pull", lambda side: side.pull(registries[side.name]))
        if wanted.keys() & {"slim-packed", "slim-unpacked"}:
            ours = next(side for side in sides if isinstance(side, Ours))
            ours.slim(registries[ours.name])
            figures.add("slim-packed", ours.name, registries[ours.name].packed("ours:slim"))
            figures.add("slim-unpacked", ours.name, registries[ours.name].unpacked("ours:slim"))


def _reset(sides: Sequence[Side]) -> None:
    for side in sides:
        side.reset()
