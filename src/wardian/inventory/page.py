"""What an image holds as one page: a treemap to click through, and tables. It needs nothing from elsewhere.

Names are hostile: they are made printable and escaped, and a content security policy (W3C CSP3) lets no
script run but ours, and nothing be fetched. Without scripts the map is a picture.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence

from wardian.inventory.measure import Branch, duplicates, grow, largest, lost
from wardian.inventory.model import ECOSYSTEMS, Inventory
from wardian.inventory.treemap import HEIGHT, WIDTH, Size, boxes, escape, name_of, rest_of, stylesheet

_PACKAGES, _ROWS = 30, 20
_FINEST = 1 / 16000  # of the image: what is smaller is told as one with others
_DEEPEST = 8
Row = Sequence[tuple[str, str]]  # cells: their class and their text


def page(inventory: Inventory, size: Size) -> str:
    """The page; `size` writes bytes for people."""
    root = grow(inventory)
    style, script = stylesheet("page.css") + stylesheet("treemap.css"), stylesheet("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(inventory.title)}: {size(root.bytes)}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            *_head(inventory, root, size),
            '<nav id="trail" aria-label="Where the map is"></nav>',
            f'<svg class="map" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="group" aria-label="Sizes">',
            f'<rect class="ground" width="{WIDTH:.0f}" height="{HEIGHT:.0f}"/>{boxes(root, size)}</svg>',
            '<div id="tip" role="tooltip" hidden></div>',
            *_tables(inventory, root, size),
            f'<script type="application/json" id="data">{_data(root)}</script>',
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _head(inventory: Inventory, root: Branch, size: Size) -> Iterable[str]:
    yield f"<h1>{escape(inventory.title)}</h1>"
    yield f"<p><code>{inventory.image.descriptor.digest}</code> · {escape(str(inventory.image.platform))}</p>"
    yield '<ul class="facts">'
    for value, what in (
        (size(root.bytes), f"unpacked, {root.files} files"),
        (size(inventory.packed), f"packed, {len(inventory.layers)} layers"),
    ):
        yield f"<li><b>{value}</b><span>{what}</span></li>"
    for branch in root.children:
        share = branch.bytes / root.bytes if root.bytes else 0
        yield (
            f'<li><b>{size(branch.bytes)}</b><span><i class="dot {branch.kind}"></i>'
            f"{escape(branch.name)}, {share:.1%}</span></li>"
        )
    yield "</ul>"


def _tables(inventory: Inventory, root: Branch, size: Size) -> Iterable[str]:
    packages = sorted(
        (package for ecosystem in root.children for package in ecosystem.children),
        key=lambda it: (-it.bytes, it.kind, it.name),
    )
    rows: list[Row] = [
        (
            ("", f'<i class="dot {it.kind}"></i>{escape(name_of(it))}'),
            ("number", size(it.bytes)),
            ("number", f"{it.bytes / root.bytes:.1%}" if root.bytes else ""),
            ("number", size(it.packed)),
            ("number", str(it.files)),
        )
        for it in packages[:_PACKAGES]
    ]
    headings = ("Package", "Unpacked", "Share", "Packed, about", "Files")
    yield from _table("Biggest packages", "", headings, rows)
    same = duplicates(inventory)
    rows = [
        (
            ("path", "<br>".join(escape(f"/{path}") for path in it.paths[:4]) + _more(len(it.paths) - 4)),
            ("number", size(it.size)),
            ("number", size(it.wasted)),
        )
        for it in same[:_ROWS]
    ]
    told = f"The same content in several places takes {size(sum(it.wasted for it in same))} more than once."
    yield from _table("Duplicates", told, ("Paths", "Each", "Wasted"), rows)
    gone = lost(inventory)
    rows = [
        (
            ("path", escape(f"/{it.path}")),
            ("", "removed" if it.is_removed else "replaced"),
            ("number", size(it.size)),
        )
        for it in gone[:_ROWS]
    ]
    told = f"{size(sum(it.size for it in gone))} travel and are never seen."
    yield from _table("Overwritten or removed by upper layers", told, ("Path", "", "Bytes"), rows)
    rows = [
        (("path", escape(f"/{it.path}")), ("", escape(it.package.title)), ("number", size(it.size)))
        for it in largest(inventory)[:_ROWS]
    ]
    yield from _table("Big files", "", ("Path", "Package", "Bytes"), rows)


def _more(count: int) -> str:
    return f"<br>and {count} more" if count > 0 else ""


def _table(title: str, told: str, headings: Sequence[str], rows: Sequence[Row]) -> Iterable[str]:
    """A table under its heading; the cells' texts are markup. Nothing for no rows."""
    if not rows:
        return
    kinds = [kind if kind == "number" else "" for kind, _ in rows[0]]
    yield f"<h2>{title}</h2>"
    if told:
        yield f"<p>{told}</p>"
    yield '<div class="scroll"><table><thead><tr>'
    yield "".join(
        f'<th scope="col" class="{kind}">{name}</th>' for kind, name in zip(kinds, headings, strict=True)
    )
    yield "</tr></thead><tbody>"
    for row in rows:
        cells = "".join(f'<td class="{kind}">{text}</td>' for kind, text in row)
        yield f"<tr>{cells}</tr>"
    yield "</tbody></table></div>"


def _data(root: Branch) -> str:
    """The tree for the script, as JSON that cannot end its element (HTML, 4.12.1.3)."""
    text = json.dumps(_node(root, root.bytes * _FINEST, 0), separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _node(branch: Branch, least: float, depth: int) -> list[object]:
    """Name, bytes, packed, files, children; an ecosystem's kind too."""
    large: list[Branch] = []
    if depth < _DEEPEST:
        large = [child for child in branch.children if child.bytes >= max(least, 1)]
        if large:
            large += rest_of([child for child in branch.children if 0 < child.bytes < least])
    found: list[object] = [name_of(branch), branch.bytes, branch.packed, branch.files]
    found.append([_node(child, least, depth + 1) for child in large])
    return [*found, branch.kind] if branch.kind in ECOSYSTEMS and depth == 1 else found


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
