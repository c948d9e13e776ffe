"""How layers are compressed (image-spec, layer.md, media-types.md): the same tar gives the same blob.

A tar is cut into pieces of 4 MiB, and each is compressed on its own: gzip as members (RFC 1952, 2.2), zstd as
frames (RFC 8878, 3), which every decoder reads as one stream. So all cores work on one big layer, little
memory is needed, and how many cores there are never shows in the bytes. Ratio and speed are those of whole
layers, within a hundredth: gzip's window is 32 KiB, zstd's at this level 2 MiB.

It compresses pieces, in any thread; blob.py cuts and collects them, chunked.py writes zstd:chunked's table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from wardian.image.descriptor import LAYER_GZIP, LAYER_TAR, LAYER_ZSTD

Compression = Literal["gzip", "zstd", "zstd:chunked", "none"]
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)

PIECE = 4 << 20
# Of libdeflate. Measured per core on the reference runtime, 1 208 MB before files became links (twins.py):
# level 1 223 MB/s and 415 MB left, 2 163 MB/s and 397, 3 153 MB/s and 392, 5 122 MB/s and 379, 6 90 MB/s and
# 376; zlib's 6 30 MB/s and 376. Intel's ISA-L compresses worse than level 1, and its bytes differ
# between CPUs. libdeflate's do not: its vector instructions only compute checksums and compare what is
# the same in all ways. Level 5 costs two cores a second more than 3, and takes 13 MB from every first
# push; 6 costs two more for 3 MB.
_GZIP_LEVEL = 5
# A slim image's 957 MB become 300 MB at 262 MB/s; 3, zstd's own default, gives 303 at 292, 5 292 at 148,
# 6 284 at 106. gzip gives 327.
_ZSTD_LEVEL = 4

# What decides a blob's bytes beside its tar. Libraries compress better from version to version, and so
# differently: a blob made by another version is not taken for this one's, and pyproject.toml names exactly
# the versions that these are.
FORMATS: dict[Compression, str] = {
    "gzip": f"deflate 0.9.0, level {_GZIP_LEVEL}, members of {PIECE}",
    "zstd": f"zstandard 0.25.0, level {_ZSTD_LEVEL}, frames of {PIECE}",
    "zstd:chunked": f"zstandard 0.25.0, level {_ZSTD_LEVEL}, chunks of {PIECE}",
    "none": "tar",
}
MEDIA_TYPES: dict[Compression, str] = {
    "gzip": LAYER_GZIP,
    "zstd": LAYER_ZSTD,
    "zstd:chunked": LAYER_ZSTD,
    "none": LAYER_TAR,
}

# Takes the parts of one piece, and gives what is written for each. It may be called in several threads.
Compress = Callable[[Sequence[memoryview]], Sequence[bytes | bytearray]]


def compressor(compression: Compression) -> Compress:
    """What compresses pieces. Its libraries release the interpreter's lock while they work."""
    found: dict[Compression, Compress] = {"gzip": _gzip, "zstd": zstd, "zstd:chunked": zstd, "none": _plain}
    return found[compression]


def zstd(parts: Sequence[memoryview | bytes]) -> list[bytes]:
    """Compress each part to a zstd frame of its own."""
    # Not compression.zstd, which Python has from 3.14 on: it is built with whatever libzstd the system
    # has, so that the bytes would depend on it. zstandard's wheels bring their own.
    import zstandard

    context = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)  # for one thread; making it takes 10 µs
    return [context.compress(part) for part in parts]


def _gzip(parts: Sequence[memoryview]) -> list[bytearray]:
    import deflate

    # The header's time is 0, its system unknown (255).
    return [deflate.gzip_compress(part, _GZIP_LEVEL) for part in parts]


def _plain(parts: Sequence[memoryview]) -> list[bytes]:
    return [bytes(part) for part in parts]
