"""How the difference of two images is shown: lines for people, or JSON. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wardian.cli.image_inspect import printable
from wardian.cli.render import columns, count, size
from wardian.cli.sizes import legible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wardian import Difference, File, FileChange, Inventory, PackageChange, Setting

FILES_SHOWN = 50  # a longer list is asked for by --files
_LONGEST = 200  # characters of a setting


def lines(difference: Difference, *, files: bool) -> Iterator[str]:
    """The difference in lines; with `files` all files, else those of no package."""
    old, new = difference.old, difference.new
    yield f"{printable(old.title)} -> {printable(new.title)}"
    yield from columns(
        [
            ("unpacked", size(old.bytes), "->", size(new.bytes), _signed(new.bytes - old.bytes)),
            ("packed", size(old.packed), "->", size(new.packed), _signed(new.packed - old.packed)),
        ],
        right=(1, 3, 4),
    )
    yield (
        f"layers: {difference.shared} shared ({size(difference.shared_bytes)}), "
        f"{difference.new_layers} new ({size(difference.new_bytes)} to send), "
        f"{difference.gone} gone ({size(difference.gone_bytes)})"
    )
    changes = [change for change in difference.files if files or change.is_loose]
    cut = changes if files else changes[:FILES_SHOWN]
    sections = {
        "Packages": [_package(change) for change in difference.packages],
        "Configuration": [_setting(setting) for setting in difference.settings],
        "Files" if files else "Files outside of packages": [_file(change) for change in cut],
    }
    for heading, rows in sections.items():
        if rows:
            yield from ("", heading, *(f"  {line}" for line in columns(rows, right=(2,))))
    if cut != changes:
        yield f"  and {len(changes) - len(cut)} more (--files lists them)"
    if not difference:
        yield "nothing differs in files and configuration"


def _signed(amount: int) -> str:
    return f"{'-' if amount < 0 else '+'}{size(abs(amount))}"


def _package(change: PackageChange) -> tuple[str, str, str]:
    name = printable(f"{change.name} ({change.ecosystem})")
    if change.old is None or change.new is None:
        sign = "+" if change.old is None else "-"
        version = change.new if change.old is None else change.old
        return f"{sign} {name}", printable(version or ""), _signed(change.new_bytes - change.old_bytes)
    versions = f"{change.old} -> {change.new}"
    if change.old == change.new:
        versions = f"{change.new}, {count(change.files, 'file')} changed"
    return f"~ {name}", printable(versions), _signed(change.new_bytes - change.old_bytes)


def _setting(setting: Setting) -> tuple[str, str, str]:
    if setting.old is None or setting.new is None:
        sign, value = ("+", setting.new) if setting.old is None else ("-", setting.old)
        return f"{sign} {printable(setting.name)}", _short(value or ""), ""
    return f"~ {printable(setting.name)}", f"{_short(setting.old)} -> {_short(setting.new)}", ""


def _short(text: str) -> str:
    line = printable(text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _file(change: FileChange) -> tuple[str, str, str]:
    path = f"/{printable(change.path)}"
    if change.old is None or change.new is None:
        sign = "+" if change.old is None else "-"
        file = change.old or change.new
        kind = file.kind if file and file.kind != "file" else ""
        return f"{sign} {path}", kind, _signed(change.bytes)
    return f"~ {path}", ", ".join(_aspects(change, change.old, change.new)), _signed(change.bytes)


def _aspects(change: FileChange, old: File, new: File) -> Iterator[str]:
    values = {
        "kind": (old.kind, new.kind),
        "target": (printable(old.target), printable(new.target)),
        "mode": (f"{old.mode:o}", f"{new.mode:o}"),
        "owner": (f"{old.uid}:{old.gid}", f"{new.uid}:{new.gid}"),
    }
    for what in change.what:
        yield f"{what} {' -> '.join(values[what])}" if what in values else what


def as_json(difference: Difference, *, files: bool) -> dict[str, object]:
    """All of it; with `files` all files, else those of no package."""
    return {
        "differ": bool(difference),
        "old": _image(difference.old),
        "new": _image(difference.new),
        "layers": {
            "shared": {"count": difference.shared, "bytes": difference.shared_bytes},
            "new": {"count": difference.new_layers, "bytes": difference.new_bytes},
            "gone": {"count": difference.gone, "bytes": difference.gone_bytes},
        },
        "packages": [
            {
                "ecosystem": change.ecosystem,
                "name": legible(change.name),
                "old": None if change.old is None else legible(change.old),
                "new": None if change.new is None else legible(change.new),
                "old_bytes": change.old_bytes,
                "new_bytes": change.new_bytes,
                "files": change.files,
            }
            for change in difference.packages
        ],
        "configuration": [
            {
                "name": legible(setting.name),
                "old": None if setting.old is None else legible(setting.old),
                "new": None if setting.new is None else legible(setting.new),
            }
            for setting in difference.settings
        ],
        "files": [
            {
                "path": legible(f"/{change.path}"),
                "old": _state(change.old),
                "new": _state(change.new),
                "changed": list(change.what),
            }
            for change in difference.files
            if files or change.is_loose
        ],
    }


def _image(inventory: Inventory) -> dict[str, object]:
    return {
        "name": legible(inventory.image.name),
        "digest": inventory.image.descriptor.digest,
        "bytes": inventory.bytes,
        "packed": inventory.packed,
        "files": len(inventory.files),
    }


def _state(file: File | None) -> dict[str, object] | None:
    if file is None:
        return None
    return {
        "kind": file.kind,
        "bytes": file.size,
        "sha256": file.digest or None,
        "target": legible(file.target) or None,
        "mode": f"{file.mode:04o}",
        "uid": file.uid,
        "gid": file.gid,
    }
