"""Where the managed Pythons of a lock are fetched from, as a Dockerfile has to name it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from wardian.ecosystems.python import interpreter
from wardian.system.connections import without_credentials

if TYPE_CHECKING:
    from wardian.ecosystems.python.program import Uv
    from wardian.image.platform import Platform
    from wardian.lock.model import PlatformLock


def interpreter_addresses(
    uv: Uv, locks: Iterable[PlatformLock], *, mirror: str | None = None
) -> Mapping[Platform, str]:
    """The archives' addresses by platform; of platforms with the suite's own Python there is none.

    A mirror's password stays here: what is exported is made to be passed on.
    """
    return {
        lock.platform: without_credentials(
            interpreter.address(uv, lock.python.interpreter, platform=lock.platform, mirror=mirror)
        )
        for lock in locks
        if lock.python and lock.python.interpreter.source == "uv"
    }
