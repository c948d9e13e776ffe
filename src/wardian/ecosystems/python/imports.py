"""Which of certain modules a source names: in imports, and as strings that are imported later.

By text, not by syntax: a hundred megabytes are read in a second, and what does not parse is read too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

# Each begins with a letter, which a search finds ten times as fast as a class.
# Repetitions that another may follow are bounded: sources may be made to be slow to search.
_FROM = re.compile(rb"from[ \t]{1,80}([\w.]{0,400})[ \t]{1,80}import[ \t]*")
_LINE = re.compile(rb"(?:[^\n\\]|\\\r?\n)*")
_IMPORT = re.compile(rb"import[ \t]+((?:[^\n\\;]|\\\r?\n)+)")
_QUOTED = re.compile(rb"[\"']([\w.]*)\Z")
_REST = re.compile(rb"([\w.]{0,200})[\"':]")
_LONGEST = 200  # bytes of a dotted name in quotes
_ENTRY_POINT = re.compile(rb"^[^=\n]*=\s*([\w.]+)", re.MULTILINE)
_WORD = re.compile(r"[\w.]+")


def imported(source: bytes, path: str, modules: Collection[str], word: bytes) -> set[str]:
    """Those of `modules` that are named, with the packages that they lie in as far as these are among them.

    `path` is the source's below site-packages, for relative imports; "" for a script. Each of `modules` has
    `word` in its name.
    """
    if path.endswith("/entry_points.txt"):
        named = {found.decode(errors="replace") for found in _ENTRY_POINT.findall(source)}
    else:
        named = set(_named(source, path, word))
    found: set[str] = set()
    for module in named:
        parts = module.split(".")
        names = [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        found.update(name for name in names if name in modules)
    return found


def _named(source: bytes, path: str, word: bytes) -> Iterator[str]:
    is_inside = word in path.encode(errors="replace")
    for origin, names in _froms(source):
        if is_inside or word in origin or word in names:
            base = _absolute(origin.decode(errors="replace"), path)
            yield base
            yield from (f"{base}.{name}" for name in _WORD.findall(_without_comments(names)))
    for names in _IMPORT.findall(source):
        if word in names:
            yield from _WORD.findall(_without_comments(names))
    for match in re.finditer(re.escape(word), source):
        before = _QUOTED.search(source, max(0, match.start() - _LONGEST), match.start())
        after = _REST.match(source, match.end())
        if before and after and (text := before[1] + word + after[1]).count(b"."):
            yield _absolute(text.decode(errors="replace"), path)


def _froms(source: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What each `from` imports from, and the text of the names."""
    position, last = 0, source.rfind(b")")
    while found := _FROM.search(source, position):
        start = found.end()
        if source.startswith(b"(", start) and start < last:
            position = source.index(b")", start) + 1
        else:
            line = _LINE.match(source, start)
            position = line.end() if line else start
        yield found[1], source[start:position]


def _without_comments(names: bytes) -> str:
    return re.sub(r"#[^\n]*", "", names.decode(errors="replace"))


def _absolute(name: str, path: str) -> str:
    """A module's absolute name. One dot is the package of the file, each further one the package above."""
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    folders = path.split("/")[:-1]
    base = folders[: len(folders) - (level - 1)]
    return ".".join([*base, *([name[level:]] if name[level:] else [])])
