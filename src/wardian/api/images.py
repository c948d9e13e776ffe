"""Images: what a build returns, and those that this machine has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.build import image as records
from wardian.build.image import Part
from wardian.build.slim import REPORT, SlimReport
from wardian.image.platform import Platform
from wardian.store import snapshots
from wardian.store.store import Store
from wardian.system import variables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A built image. `seconds` is what the build took, `parts` its layers, reused and built.

    `slim` says what is left out of it when it is packed; None where all of it goes in.
    """

    name: str
    key: str
    platform: Platform
    seconds: float
    parts: tuple[Part, ...]
    slim: SlimReport | None = None


def recalled(record: Mapping[str, Any]) -> Image:
    """The image of a launch record: everything is there already."""
    image = record["image"]
    return Image(
        name=image["name"],
        key=image["key"],
        platform=Platform.parse(image["platform"]),
        seconds=0.0,
        parts=tuple(Part(**part, seconds=0.0, reused=True) for part in image["parts"]),
        slim=slim_report(record["beside"]),
    )


def slim_report(snapshots: Iterable[str]) -> SlimReport | None:
    """The report that is beside one of the snapshots, if there is any."""
    found = (folder for folder in map(Path, snapshots) if (folder / REPORT).exists())
    return next(map(SlimReport.read, found), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """An image that is there. `shared` are those of its `bytes` that other images use too."""

    name: str
    key: str
    platform: Platform
    project: Path
    created: datetime
    bytes: int
    shared: int


def images(home: str | Path | None = None) -> list[ImageRecord]:
    """The images of the store at `home` ($WARDIAN_HOME), in no particular order; raises StoreError."""
    store = Store.open(home or variables.home(os.environ))
    found = [record for _, record in records.read_records(store)]
    uses: dict[str, int] = {}
    for record in found:
        for key in record.layers:
            uses[key] = uses.get(key, 0) + 1
    sizes = {key: _bytes(store, key) for key in uses}
    return [
        ImageRecord(
            name=record.name,
            key=record.key,
            platform=Platform.parse(record.platform),
            project=Path(record.project),
            created=datetime.fromisoformat(record.created),
            bytes=sum(sizes[key] for key in record.layers),
            shared=sum(sizes[key] for key in record.layers if uses[key] > 1),
        )
        for record in found
        if all(snapshots.find(store, key) for key in record.layers)
    ]


def _bytes(store: Store, key: str) -> int:
    snapshot = snapshots.find(store, key)
    return snapshot.bytes if snapshot else 0
