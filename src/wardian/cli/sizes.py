"""How what an image holds is shown: a tree in a terminal, lists below it, or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wardian import Branch, measure
from wardian.cli.image_inspect import printable
from wardian.cli.parser import colours
from wardian.cli.render import SHORT_KEY, count, size

if TYPE_CHECKING:
    from wardian import Inventory, Measures
    from wardian.cli.session import Session

WIDTH = 110  # columns where no terminal has any
_BAR = 12
_LONGEST = 100
_BIG_FILES = 20  # in JSON, which has all of the rest
_STYLES = {"debian": "red", "alpine": "red", "python": "blue", "code": "green", "other": "yellow"}


def show(inventory: Inventory, session: Session, *, depth: int, top: int) -> None:
    """Print the tree down to `depth`, the `top` largest of each node, and what is remarkable."""
    console = _console(coloured=colours(sys.stdout, session.environment))
    measures = measure(inventory)
    console.print(Text(_headline(inventory, measures.tree)))
    console.print()
    with console.capture() as captured:
        console.print(_tree(measures.tree, depth, top))
    for line in captured.get().splitlines():
        print(line.rstrip())  # rich fills the last column up
    for heading, lines in _remarks(measures, top):
        console.print()
        console.print(Text(heading, style="bold"))
        for line in lines:
            console.print(Text(f"  {line}"), soft_wrap=True)


def _console(*, coloured: bool) -> Console:
    return Console(
        file=sys.stdout,
        force_terminal=coloured,
        no_color=not coloured,
        color_system="auto" if coloured else None,
        highlight=False,
        emoji=False,
        markup=False,
        width=None if sys.stdout.isatty() else WIDTH,
    )


def _headline(inventory: Inventory, root: Branch) -> str:
    layers = count(len(inventory.layers), "layer")
    return (
        f"{printable(inventory.title)} ({inventory.image.descriptor.digest.hex[:SHORT_KEY]}): "
        f"{size(root.bytes)} in {count(root.files, 'file')}, {size(inventory.packed)} packed in {layers}"
    )


def _tree(root: Branch, depth: int, top: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("PACKAGE", no_wrap=True, overflow="ellipsis")
    for heading, width in (("UNPACKED", 8), ("SHARE", 6), ("PACKED ~", 8)):
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    table.add_column("", no_wrap=True, min_width=_BAR)
    for guide, branch in _rows(root, depth, top, ""):
        share = branch.bytes / root.bytes if root.bytes else 0.0
        style = _STYLES.get(branch.kind, "")
        table.add_row(
            Text.assemble((guide, "dim"), (_name(branch), "" if guide else f"bold {style}")),
            size(branch.bytes),
            f"{share:.1%}",
            size(branch.packed),
            Text("█" * round(share * _BAR), style=style),
        )
    return table


def _rows(branch: Branch, depth: int, top: int, indent: str) -> Iterator[tuple[str, Branch]]:
    """The children with what stands before their names; those beyond `top` are one."""
    children = [child for child in branch.children if child.bytes]
    if branch.kind:  # ecosystems are few, and all of them are told
        children = _cut(children, top, branch.kind)
    for number, child in enumerate(children):
        last = number == len(children) - 1
        guide = "" if not branch.kind else indent + ("└─ " if last else "├─ ")
        yield guide, child
        if depth > 1:
            below = "" if not branch.kind else indent + ("   " if last else "│  ")
            yield from _rows(child, depth - 1, top, below)


def _cut(children: list[Branch], top: int, kind: str) -> list[Branch]:
    if len(children) <= top + 1:
        return children
    rest = children[top:]
    more = Branch(
        name=f"{len(rest)} more",
        kind=kind,
        bytes=sum(it.bytes for it in rest),
        packed=sum(it.packed for it in rest),
    )
    return [*children[:top], more]


def _name(branch: Branch) -> str:
    text = printable(branch.name) or "?"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _remarks(measures: Measures, top: int) -> Iterator[tuple[str, Sequence[str]]]:
    """Headings and lines."""
    same, big, gone = measures.duplicates, measures.largest, measures.lost
    if same:
        wasted = size(sum(it.wasted for it in same))
        lines = [
            f"{size(it.wasted):>9}  {len(it.paths)} x {size(it.size)}  /{printable(it.paths[0])}"
            f", /{printable(it.paths[1])}{', …' if it.paths[2:] else ''}"
            for it in same[:top]
        ]
        yield f"Duplicates: the same content in several places takes {wasted} more than once", lines
    if gone:
        total = size(sum(it.size for it in gone))
        lines = [
            f"{size(it.size):>9}  /{printable(it.path)} ({'removed' if it.is_removed else 'replaced'})"
            for it in gone[:top]
        ]
        yield f"Overwritten or removed by upper layers: {total} that travel and are never seen", lines
    if big:
        lines = [
            f"{size(it.size):>9}  /{printable(it.path)} ({printable(it.package.title)})" for it in big[:top]
        ]
        yield "Big files", lines


def as_json(inventory: Inventory, top: int | None) -> dict[str, object]:
    """All of it, of every list the first `top`."""
    measures = measure(inventory)
    root, same, gone = measures.tree, measures.duplicates, measures.lost
    return {
        "name": legible(inventory.image.name),
        "digest": inventory.image.descriptor.digest,
        "bytes": root.bytes,
        "packed": inventory.packed,
        "files": root.files,
        "ecosystems": [
            {**_measures(branch), "packages": [_package(child) for child in branch.children[:top]]}
            for branch in root.children
        ],
        "duplicates": {
            "bytes": sum(it.wasted for it in same),
            "contents": [
                {"bytes": it.size, "wasted": it.wasted, "paths": [legible(f"/{path}") for path in it.paths]}
                for it in same[:top]
            ],
        },
        "lost": {
            "bytes": sum(it.size for it in gone),
            "files": [
                {
                    "path": legible(f"/{it.path}"),
                    "layer": it.layer,
                    "bytes": it.size,
                    "removed": it.is_removed,
                }
                for it in gone[:top]
            ],
        },
        "big_files": [
            {
                "path": legible(f"/{it.path}"),
                "bytes": it.size,
                "layer": it.layer,
                "package": legible(it.package.title),
            }
            for it in measures.largest[: top or _BIG_FILES]
        ],
        "layers": [
            {"name": legible(it.name), "digest": it.digest, "bytes": it.unpacked, "packed": it.packed}
            for it in inventory.layers
        ],
    }


def legible(text: str) -> str:
    """Text that can be written as UTF-8: names of files may be of any bytes, and stay different."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _measures(branch: Branch) -> dict[str, object]:
    return {"name": branch.kind, "bytes": branch.bytes, "packed": branch.packed, "files": branch.files}


def _package(branch: Branch) -> dict[str, object]:
    assert branch.package is not None  # grow() gives one to each child of an ecosystem
    found = _measures(branch)
    found["name"] = legible(branch.package.name)
    return {**found, "version": legible(branch.package.version)}
