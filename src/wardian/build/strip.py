"""Takes symbol tables and debugging information out of ELF files (System V ABI, chapter 4).

What a program loads lies in its segments; sections that none of them covers serve linkers and debuggers.
Nothing that is loaded is moved or changed, whatever patchelf and its like have made of the file: that is
where general strip programs have damaged wheels' libraries. The same file gives the same bytes everywhere,
which no two versions of binutils promise. A file that is in any way unusual is left as it is.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass

# Counted up when the same files give other bytes.
VERSION = 2

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_PROGRAM, _SYMBOLS, _NOBITS = 1, 2, 8  # sh_type
_ALLOCATED = 2  # sh_flags: in memory while the program runs
_DEBUG = (b".debug_", b".zdebug_", b".gdb_index", b".gnu.debuglto_", b".stab")
_Data = bytes | bytearray | mmap.mmap
_NAME = 64  # bytes of a section's name that are looked at
_EXECUTABLE, _SHARED = 2, 3  # e_type


@dataclass(frozen=True, slots=True)
class _Section:
    """A section's name and its header, of which the file offset may change."""

    name: bytes
    header: tuple[int, ...]

    @property
    def kind(self) -> int:
        return self.header[1]

    @property
    def is_loaded(self) -> bool:
        return bool(self.header[2] & _ALLOCATED)

    @property
    def offset(self) -> int:
        return self.header[4]

    @property
    def size(self) -> int:
        return 0 if self.kind in (0, _NOBITS) else self.header[5]

    @property
    def links(self) -> tuple[int, int]:
        """The sections that this one refers to: sh_link, and sh_info where it is an index (SHF_INFO_LINK)."""
        is_index = self.kind in (4, 9) or self.header[2] & 0x40
        return self.header[6], self.header[7] if is_index else 0


def strip(data: _Data) -> bytearray | None:
    """A 64-bit little-endian program or shared library without what only debuggers read.

    None where nothing is won, or where the file is not understood to its last byte.
    """
    try:
        return _strip(data)
    except (struct.error, ValueError, IndexError, OverflowError):
        return None


def _strip(data: _Data) -> bytearray | None:
    if data[:6] != b"\x7fELF\x02\x01":
        return None
    fields = list(_HEADER.unpack_from(data))
    sections = _sections(data, fields)
    if fields[1] not in (_EXECUTABLE, _SHARED) or not sections:
        return None
    loaded = _loaded(data, fields)
    dropped = {number for number, section in enumerate(sections) if _is_dropped(section, loaded)}
    # String tables of dropped symbol tables go with them; the names of the sections stay.
    for number in list(dropped):
        table = sections[number].links[0]
        if sections[number].kind == _SYMBOLS and not sections[table].is_loaded and table != fields[13]:
            dropped.add(table)
    if not dropped or not _is_whole(data, fields, sections, loaded):
        return None
    kept = [number for number in range(len(sections)) if number not in dropped]
    if any(link in dropped for number in kept for link in sections[number].links):
        return None
    made = _written(data, fields, sections, kept, loaded)
    return made if len(made) < len(data) else None


def _is_dropped(section: _Section, loaded: int) -> bool:
    if section.is_loaded or section.offset < loaded:
        return False  # patchelf puts segments behind such sections: what lies between stays
    return section.kind == _SYMBOLS or section.name.startswith(_DEBUG)


def _sections(data: _Data, fields: Sequence[int]) -> list[_Section]:
    offset, size, count, names = fields[6], fields[11], fields[12], fields[13]
    if size != _SECTION.size or not count or names >= count:
        return []
    headers = [_SECTION.unpack_from(data, offset + number * size) for number in range(count)]
    strings = bytes(data[headers[names][4] : headers[names][4] + headers[names][5]])
    if max(header[0] for header in headers) > strings.rfind(b"\0"):
        raise ValueError("a name without an end")
    # Their beginnings alone: all sections may share one name, as long as the file.
    starts = [strings[header[0] : header[0] + _NAME].partition(b"\0")[0] for header in headers]
    return [_Section(name, header) for name, header in zip(starts, headers, strict=True)]


def _loaded(data: _Data, fields: Sequence[int]) -> int:
    """Where the last segment ends in the file: before that, everything stays as it is."""
    offset, size, count = fields[5], fields[9], fields[10]
    if size != _SEGMENT.size:
        raise ValueError("segments of another size")
    ends = [offset + size * count]
    for number in range(count):
        segment = _SEGMENT.unpack_from(data, offset + number * size)
        ends.append(segment[2] + segment[5])
    return max(ends)


def _is_whole(data: _Data, fields: Sequence[int], sections: Sequence[_Section], loaded: int) -> bool:
    """Whether segments, sections and headers account for every byte but padding.

    What else a file holds, as self-extracting programs do, may be found by its distance from the end.
    """
    table = (fields[6], fields[6] + fields[11] * fields[12])
    spans = sorted([(0, loaded), table, *((item.offset, item.offset + item.size) for item in sections)])
    end = 0
    for start, stop in spans:
        if stop > len(data) or (start > end and data[end:start].strip(b"\0")):
            return False
        end = max(end, stop)
    return not data[end:].strip(b"\0")


def _written(
    data: _Data,
    fields: list[int],
    sections: Sequence[_Section],
    kept: Sequence[int],
    loaded: int,
) -> bytearray:
    """The file anew: all that is loaded, the kept sections behind it, and their headers at the end."""
    with memoryview(data) as view:
        made = bytearray(view[:loaded])
    numbers = {old: new for new, old in enumerate(kept)}
    headers = []
    for number in kept:
        section = sections[number]
        header = list(section.header)
        if section.offset >= loaded and section.size:
            made += bytes(-len(made) % max(1, min(header[8], 4096)))
            header[4] = len(made)
            made += data[section.offset : section.offset + section.size]
            if len(made) > len(data):
                raise ValueError("sections that overlap")
        elif section.offset > loaded:
            header[4] = loaded  # it has no bytes, but its place must not lie behind the end
        link, info = section.links
        header[6] = numbers[link]
        header[7] = numbers[info] if info else header[7]
        headers.append(header)
    made += bytes(-len(made) % 8)
    fields[6], fields[12], fields[13] = len(made), len(kept), numbers[fields[13]]
    for header in headers:
        made += _SECTION.pack(*header)
    made[: _HEADER.size] = _HEADER.pack(*fields)
    return made
