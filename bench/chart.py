"""Draws the medians as an SVG picture: a bar for each side in each row, as shares of the longest."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from bench.measure import median

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bench.reference import Row
    from bench.rounds import Figures

_COLOURS = {"peer": "#8a94a6", "buildah": "#c3cad6", "ours": "#1f8a5b"}
_LABEL, _BAR, _VALUE = 250, 460, 90  # widths
_HEIGHT, _GAP = 13, 12  # of a bar, between rows


def draw(path: Path, rows: Sequence[Row], figures: Figures, versions: Mapping[str, str]) -> None:
    """Write the picture; rows that one side alone can take are left out."""
    sides = [side for side in _COLOURS if side in versions]
    shown = [row for row in rows if len([side for side in sides if figures.of(row.name, side)]) > 1]
    body: list[str] = []
    top = 40
    for row in shown:
        medians = {side: median(figures.of(row.name, side)) for side in sides}
        taken = {side: value for side, value in medians.items() if value is not None}
        middle = top + len(taken) * _HEIGHT / 2 + 4
        body.append(f'<text x="{_LABEL - 10}" y="{middle}" text-anchor="end">{escape(row.title)}</text>')
        body += _bars(taken, row.unit, top)
        top += len(taken) * _HEIGHT + _GAP
    width = _LABEL + _BAR + _VALUE
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" '
        f'font-family="sans-serif" font-size="12" fill="#333">\n'
        f'<rect width="{width}" height="{top}" fill="#fff"/>\n'
        + "\n".join([*_legend(sides, versions), *body])
        + "\n</svg>\n"
    )


def _bars(taken: Mapping[str, float], unit: str, top: float) -> Iterator[str]:
    longest = max(taken.values())
    for side, value in taken.items():
        width = max(1.0, value / longest * _BAR)
        place = f'x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_HEIGHT - 2}"'
        yield f'<rect {place} fill="{_COLOURS[side]}"/>'
        number = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
        yield f'<text x="{_LABEL + width + 6:.1f}" y="{top + _HEIGHT - 3}">{number} {unit}</text>'
        top += _HEIGHT


def _legend(sides: Sequence[str], versions: Mapping[str, str]) -> Iterator[str]:
    x = _LABEL
    for side in sides:
        yield f'<rect x="{x}" y="12" width="11" height="11" fill="{_COLOURS[side]}"/>'
        yield f'<text x="{x + 16}" y="22">{escape(versions[side])}</text>'
        x += 30 + 7 * len(versions[side])
