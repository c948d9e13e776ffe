"""The tree of an image's bytes as a picture: a squarified treemap (Bruls, Huizing and van Wijk, 2000) in SVG.

The same tree gives the same bytes. Names are hostile: they are cut, made printable and escaped.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from wardian.export.places import shorten
from wardian.inventory.measure import Branch

Size = Callable[[int], str]  # how bytes are written for people

WIDTH, HEIGHT = 1200.0, 720.0
LEVELS = 4  # ecosystem, package, and two levels of folders in it
_HEADER = (20.0, 16.0)  # the height of a name above what is in it: of ecosystems, of all below
_GAP = (3.0, 2.0, 1.0)  # around what is in it
_SMALLEST = 30.0  # the area of what is still drawn by itself
_MOST = 500  # boxes in one folder: more are told as one, however large the picture
_ROOM = (34.0, 26.0)  # the width and height from which on the inside is drawn
_LETTER = (7.4, 6.6)  # the width of one, on average: of bold ones, of others
_LONGEST = 160  # characters of a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One rectangle of the picture; `level` is 0 for ecosystems. What is in it comes after it."""

    branch: Branch
    level: int
    x: float
    y: float
    width: float
    height: float
    is_open: bool = False


def drawing(root: Branch, size: Size) -> str:
    """The picture as a file of its own, which follows the viewer's dark or light scheme."""
    style = stylesheet("treemap.css")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}"'
        f' width="{WIDTH:.0f}" height="{HEIGHT:.0f}" role="img">'
        f"<title>{escape(root.name)}: {size(root.bytes)}</title>"
        f"<style>{style}</style>"
        f'<rect class="ground" width="{WIDTH:.0f}" height="{HEIGHT:.0f}"/>'
        f"{boxes(root, size)}</svg>\n"
    )


def boxes(root: Branch, size: Size) -> str:
    """The elements of the picture, WIDTH by HEIGHT."""
    return "".join(_element(box, root.bytes, size) for box in lay_out(root))


def stylesheet(name: str) -> str:
    """A file that is shipped beside this one, as it goes into a page."""
    return (files("wardian.inventory") / name).read_text(encoding="utf-8")


def name_of(branch: Branch) -> str:
    """A branch's name in one printable line."""
    text = shorten(branch.name) or "?"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def escape(text: str) -> str:
    """Text as it may stand in an element and in an attribute."""
    return html.escape(shorten(text), quote=True)


def lay_out(root: Branch) -> Iterator[Box]:
    """The boxes of a tree, in the order in which they are drawn."""
    yield from _inside(root, 0, 0.0, 0.0, WIDTH, HEIGHT)


def _inside(branch: Branch, level: int, x: float, y: float, width: float, height: float) -> Iterator[Box]:
    from squarify import squarify  # type: ignore[import-untyped]

    shown = _shown(branch, width * height)
    total = sum(child.bytes for child in shown)
    sizes = [child.bytes / total * width * height for child in shown]
    gap = _GAP[min(level, len(_GAP) - 1)]
    for child, place in zip(shown, squarify(sizes, x, y, width, height), strict=True):
        box = Box(
            branch=child,
            level=level,
            x=place["x"],
            y=place["y"],
            width=max(place["dx"] - gap, 0.5),
            height=max(place["dy"] - gap, 0.5),
        )
        yield from _opened(box)


def _opened(box: Box) -> Iterator[Box]:
    """A box, and what is in it where there is room."""
    header, gap = _HEADER[min(box.level, 1)], _GAP[min(box.level + 1, len(_GAP) - 1)]
    width, height = box.width - 2 * gap, box.height - header - gap
    if not box.branch.children or box.level + 1 >= LEVELS or width < _ROOM[0] or height < _ROOM[1]:
        yield box
        return
    yield Box(
        branch=box.branch,
        level=box.level,
        x=box.x,
        y=box.y,
        width=box.width,
        height=box.height,
        is_open=True,
    )
    yield from _inside(box.branch, box.level + 1, box.x + gap, box.y + header, width + gap, height + gap)


def _shown(branch: Branch, area: float) -> Sequence[Branch]:
    """The children that are large enough; all others are one."""
    least = branch.bytes * _SMALLEST / area
    there = [child for child in branch.children if child.bytes]
    count = sum(child.bytes >= least for child in there[:_MOST])  # the largest come first
    return sorted([*there[:count], *rest_of(there[count:])], key=lambda child: -child.bytes)


def rest_of(small: Sequence[Branch]) -> list[Branch]:
    """Branches that are told as one; none where there are none."""
    if not small:
        return []
    return [
        Branch(
            name=f"{len(small)} smaller",
            kind=small[0].kind,
            bytes=sum(child.bytes for child in small),
            packed=sum(child.packed for child in small),
            files=sum(child.files for child in small),
        )
    ]


def _element(box: Box, total: int, size: Size) -> str:
    told = f"{name_of(box.branch)}, {size(box.branch.bytes)}, {box.branch.bytes / total:.1%}"
    kind = box.branch.kind  # one of ours
    state = " open" if box.is_open else ""
    return (
        f'<g class="box {kind} l{box.level}{state}"><title>{html.escape(told)}</title>'
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"/>'
        f"{_label(box, size)}</g>"
    )


def _label(box: Box, size: Size) -> str:
    """The name, and the size where there is room: on one line above what is in the box, else on two."""
    name, amount = name_of(box.branch), size(box.branch.bytes)
    letters = int((box.width - 8) / (_LETTER[0] if box.level < 2 else _LETTER[1]))
    if letters < 3 or box.height < _HEADER[1] - 1:
        return ""
    left, top = box.x + 4, box.y + (14 if box.level == 0 else 12)
    told = f'<tspan class="name">{html.escape(_cut(name, letters))}</tspan>'
    if box.is_open and len(name) + len(amount) + 2 <= letters:
        told += f'<tspan class="size" dx="6">{amount}</tspan>'
    elif not box.is_open and box.height >= 2 * _HEADER[1] and len(amount) <= letters:
        told += f'<tspan class="size" x="{left:.1f}" dy="14">{amount}</tspan>'
    return f'<text x="{left:.1f}" y="{top:.1f}">{told}</text>'


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
