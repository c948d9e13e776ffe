"""Files of one layer with the same content: the first is kept, the others become hard links to it.

Wheels put one file at two places, and libraries under each of their names, for want of links in zip archives:
40 MB of the reference runtime's 1.2 GB. What unpacks a layer writes them once, and engines copy a file
before it is written to, so that they are still two for who edits one. Where a tree is unpacked without an
engine they are not: configuration, which people edit in place, is never linked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from wardian.image.entry import Entry

SMALLEST = 4096  # bytes that a link is worth: a file takes a block of a disk at least


def linked(entries: Sequence[Entry], digest: Callable[[Entry], bytes]) -> Iterator[Entry]:
    """The entries in their order, with links for files that are as one before them: content, mode, owner,
    time and extended attributes. `digest` gives a content's hash; it is called only where sizes agree.
    """
    alike = Counter(_attributes(entry) for entry in entries if _counts(entry))
    first: dict[object, str] = {}
    for entry in entries:
        if not _counts(entry) or alike[_attributes(entry)] == 1:
            yield entry
            continue
        path = first.setdefault((_attributes(entry), digest(entry)), entry.path)
        yield entry if path == entry.path else _link(entry, path)


def _counts(entry: Entry) -> bool:
    is_large = entry.kind == "file" and entry.size >= SMALLEST and entry.data is None
    return is_large and not entry.path.startswith("etc/")


def _attributes(entry: Entry) -> tuple[object, ...]:
    xattrs = tuple(sorted(entry.xattrs.items()))
    return entry.size, entry.mode, entry.uid, entry.gid, entry.mtime, xattrs


def _link(entry: Entry, target: str) -> Entry:
    return replace(entry, kind="hardlink", target=target, xattrs={}, size=0, root=0, source="")
