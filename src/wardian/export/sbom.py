"""A software bill of materials of an image: every package with its purl, version, hash and licence.

The libraries that write the formats are large, and imported when a bill is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from wardian.lock.model import PlatformLock

Format = Literal["spdx", "cyclonedx"]
FORMATS: tuple[Format, ...] = ("spdx", "cyclonedx")


def sbom(name: str, lock: PlatformLock, roots: Sequence[Path], *, format: Format) -> str:
    """The bill of the image `name` as JSON, SPDX 2.3 or CycloneDX 1.6; the same for the same image.

    `roots` are the root folders of the image's snapshots from bottom to top, where licences are read.
    Raises HostError for roots that cannot be read.
    """
    from wardian.export.component import make_bill

    bill = make_bill(name, lock, roots)
    if format == "spdx":
        from wardian.export.spdx import spdx_text

        return spdx_text(bill)
    from wardian.export.cyclonedx import cyclonedx_text

    return cyclonedx_text(bill)
