"""Which indexes this machine is configured for: by wardian's configuration, else uv's own, else pip's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wardian.ecosystems.python import pip_settings, uv_settings
from wardian.ecosystems.python.indexes import Indexes, certificates, local_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wardian.project.configuration import Configuration


def read_indexes(configuration: Configuration, environment: Mapping[str, str], *, prefix: Path) -> Indexes:
    """Read what this machine is configured for; `prefix` is the running Python's `sys.prefix`.

    Raises SpecError when uv's configuration cannot be read. Local folders that are not there are left
    out, as pip does.
    """
    pip = pip_settings.read(environment, prefix)
    found = _configured(configuration) or uv_settings.read(environment) or pip
    return Indexes(
        origin=found.origin,
        default=found.default,
        extra=_existing(found.extra),
        find_links=_existing(found.find_links),
        no_index=found.no_index,
        strategy=found.strategy,
        certificates=certificates(environment) or found.certificates or pip.certificates,
        insecure_hosts=found.insecure_hosts,
        keyring=found.keyring,
    )


def _configured(configuration: Configuration) -> Indexes | None:
    places = configuration.python_index, configuration.python_extra_indexes, configuration.python_find_links
    if not any(places):
        return None
    return Indexes(
        origin="wardian's configuration",
        default=configuration.python_index,
        extra=configuration.python_extra_indexes,
        find_links=configuration.python_find_links,
    )


def _existing(places: Iterable[str]) -> tuple[str, ...]:
    return tuple(place for place in places if (path := local_path(place)) is None or path.exists())
