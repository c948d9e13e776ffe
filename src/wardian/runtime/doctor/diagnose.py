"""Every check, in the order in which one builds on the other."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.runtime.doctor import cgroups, kernel, network, storage, trial
from wardian.runtime.doctor.check import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wardian.runtime.doctor.network import Probe


def diagnose(
    environment: Mapping[str, str],
    home: Path,
    *,
    programs: Mapping[str, Callable[[], Path]],
    probes: Sequence[Probe] = (),
    temporary: Path | None = None,
    host: Path = Path("/"),
) -> list[Check]:
    """Check what building and running need; never raises for what it finds.

    `home` is the store's folder, which is made if need be; `programs` says how each program that comes
    with a Python package is found; `probes` are the servers to be reached. `host` is where `/proc` and
    `/sys` are read from.
    """
    checks = [
        kernel.check_kernel(host),
        *storage.check_storage(home, temporary or Path(tempfile.gettempdir())),
    ]
    writable = storage.is_writable(home)
    steps = trial.attempt(home) if writable else {}
    checks += [kernel.check_namespaces(host, steps), kernel.check_seccomp(host)]
    checks += [storage.check_overlay(host, home, steps), storage.check_hard_links(home, writable=writable)]
    checks += [cgroups.check_cgroups(host)]
    checks += network.check_programs(programs)
    checks += [network.check_certificates(environment), *network.check_probes(probes, writable=writable)]
    return checks
