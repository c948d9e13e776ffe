"""How values are written for people: sizes, durations, ages, names, columns, changes. Pure functions."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wardian import Change

SHORT_KEY = 12  # hexadecimal digits that tell keys apart for people, as other container tools show
CHANGES_SHOWN = 20  # beyond that a list is no longer read
_BREAKS = str.maketrans({"\n": "\\n", "\t": "\\t"})


def plain(text: str) -> str:
    """`text` without anything that a terminal takes for a command: that is written as `\\x1b`.

    Names and messages come from servers, images and packages, and may hold whatever harms (ECMA-48's control
    sequences, marks that turn the direction of writing round). Lines and tabs stay.
    """
    if text.isprintable():
        return text
    import unicodedata

    return "".join(
        letter
        if letter.isprintable() or letter in "\n\t" or unicodedata.category(letter) == "Zs"
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


def json_text(value: object) -> str:
    """`value` as indented JSON, with escapes where a terminal would take a letter for a command."""
    import json

    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text if plain(text) == text else json.dumps(value, indent=2)


def size(amount: int) -> str:
    """Bytes in decimal units: `0 B`, `1.2 kB`, `975.0 MB`."""
    if amount < 1000:
        return f"{amount} B"
    value = float(amount)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95 or unit == "TB":
            break
    return f"{value:.1f} {unit}"


def seconds(amount: float) -> str:
    """A duration: `0.04 s`, `3.2 s`, `2 min 5 s`."""
    if amount < 0.995:
        return f"{amount:.2f} s"
    if amount < 59.95:
        return f"{amount:.1f} s"
    minutes, rest = divmod(round(amount), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def age(amount: float) -> str:
    """How long ago, in the largest whole unit: `just now`, `5 minutes ago`, `3 days ago`."""
    for length, unit in ((86400 * 365, "year"), (86400, "day"), (3600, "hour"), (60, "minute")):
        count = int(amount // length)
        if count > 0:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def count(amount: int, noun: str) -> str:
    """`1 package`, `3 packages`."""
    return f"{amount} {noun}" + ("" if amount == 1 else "s")


def columns(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> list[str]:
    """Rows as aligned lines; the columns whose indexes are in `right` are aligned to the right.

    Names of files may hold lines and tabs, which would break the table: they are escaped.
    """
    flat = [[plain(cell).translate(_BREAKS) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*flat, strict=True)]
    ends = set(right)
    return ["  ".join(_cells(row, widths, ends)).rstrip() for row in flat]


def _cells(row: Sequence[str], widths: Sequence[int], right: set[int]) -> list[str]:
    return [
        cell.rjust(width) if index in right else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def change_lines(changes: Sequence[Change], *, everything: bool = False) -> list[str]:
    """What a lock gained, lost and changed; a long list of additions is summed up unless all is wanted."""
    if not everything and len(changes) > CHANGES_SHOWN:
        return [_sum_up(changes)]
    return [_change_line(change) for change in changes]


def _change_line(change: Change) -> str:
    if change.old is None:
        return f"+ {change.name} {change.new} ({change.ecosystem})"
    if change.new is None:
        return f"- {change.name} {change.old} ({change.ecosystem})"
    return f"~ {change.name} {change.old} -> {change.new} ({change.ecosystem})"


def _sum_up(changes: Sequence[Change]) -> str:
    kinds = {"added": 0, "removed": 0, "changed": 0}
    for change in changes:
        kinds["added" if change.old is None else "removed" if change.new is None else "changed"] += 1
    told = ", ".join(f"{amount} {kind}" for kind, amount in kinds.items() if amount)
    return f"{count(len(changes), 'package')}: {told} (`--verbose` names them)"


def changes_as_json(changes: Sequence[Change]) -> list[dict[str, str | None]]:
    """What a lock gained, lost and changed, as `--json` has it."""
    return [
        {"ecosystem": change.ecosystem, "name": change.name, "old": change.old, "new": change.new}
        for change in changes
    ]
