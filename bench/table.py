"""Shows figures: one table for people, one JSON object for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from bench.measure import median

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.reference import Row
    from bench.rounds import Figures

_WIDTH = 120  # where there is no terminal whose width counts


def show(rows: Sequence[Row], figures: Figures, versions: Mapping[str, str]) -> None:
    """Print the table; plain characters where standard output is no terminal."""
    console = Console(highlight=False)
    plain = not console.is_terminal
    console = Console(highlight=False, width=_WIDTH) if plain else console
    title = " against ".join(versions[side] for side in ("ours", "peer", "buildah") if side in versions)
    table = Table(title=title, box=box.ASCII2 if plain else box.SIMPLE_HEAD, title_justify="left")
    table.add_column("median of")
    for heading in ("peer", "buildah", "ours", "ours, min to max", "ours / peer"):
        table.add_column(heading, justify="right")
    table.add_column("asked for")
    for row in rows:
        peer, ours = figures.of(row.name, "peer"), figures.of(row.name, "ours")
        spread = f"{_number(min(ours), row)} to {_number(max(ours), row)}" if ours else ""
        table.add_row(
            f"{row.title}, {row.unit} ({len(ours)})",
            _number(median(peer), row),
            _number(median(figures.of(row.name, "buildah")), row),
            _number(median(ours), row),
            spread,
            _ratio(median(peer), median(ours)),
            row.asked,
        )
    console.print(table)


def write(path: Path, rows: Sequence[Row], figures: Figures, versions: Mapping[str, str]) -> None:
    """Write medians and every sample."""
    content = {
        "versions": dict(versions),
        "rows": {
            row.name: {
                "title": row.title,
                "unit": row.unit,
                "asked": row.asked,
                **{
                    side: {
                        "median": median(figures.of(row.name, side)),
                        "samples": [round(value, 4) for value in figures.of(row.name, side)],
                    }
                    for side in versions
                },
            }
            for row in rows
        },
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _number(value: float | None, row: Row) -> str:
    if value is None:
        return ""
    if row.unit == "MB":
        return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def _ratio(peer: float | None, ours: float | None) -> str:
    """`1/3.1` where ours is less, else the plain number."""
    if not peer or not ours:
        return ""
    return f"1/{peer / ours:.1f}" if ours < peer else f"{ours / peer:.2f}"
