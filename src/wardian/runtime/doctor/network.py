"""What comes from outside: servers, the certificates they are trusted by, programs from packages."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.errors import WardianError
from wardian.runtime.doctor.check import Check, not_tried
from wardian.system import connections

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SLOW_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A server to be reached. `reach` returns when it was; else it raises WardianError or OSError.

    `in_store` says that it works in the store.
    """

    name: str
    address: str
    reach: Callable[[], None]
    in_store: bool = False


def check_probes(probes: Sequence[Probe], *, writable: bool = True) -> list[Check]:
    """Reach every server, all at once; `writable` says whether the store is."""
    if not probes:
        return []
    with ThreadPoolExecutor(max_workers=len(probes)) as pool:
        return list(pool.map(lambda probe: _probe(probe, writable), probes))


def check_certificates(environment: Mapping[str, str]) -> Check:
    """Which certificates servers are trusted by, and whether they can be read."""
    name = "certificates"
    try:
        connections.certificates(environment)
    except WardianError as error:
        return Check(name=name, ok=False, message=error.message, hint=error.hint)
    file = next((variable for variable in _FILES if environment.get(variable)), None)
    named = [variable for variable in (file, "SSL_CERT_DIR") if variable and environment.get(variable)]
    found = " and ".join(f"{environment[variable]} ({variable})" for variable in named)
    return Check(name=name, ok=True, message=found or "those that the system trusts")


def check_programs(programs: Mapping[str, Callable[[], Path]]) -> list[Check]:
    """Whether the programs that come with Python packages are there and start."""
    return [_check_program(name, find) for name, find in programs.items()]


def _check_program(name: str, find: Callable[[], Path]) -> Check:
    hint = "reinstall wardian, so that the package gets the wheel for this machine"
    try:
        path = find()
        result = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except WardianError as error:
        return Check(name=name, ok=False, message=error.message, hint=error.hint or hint)
    except (OSError, subprocess.SubprocessError) as error:
        return Check(name=name, ok=False, message=f"does not start: {error}", hint=hint)
    return Check(name=name, ok=True, message=f"{result.stdout.strip()} ({path})")


def _probe(probe: Probe, writable: bool) -> Check:
    if probe.in_store and not writable:
        return not_tried(probe.name)
    begin = time.monotonic()
    try:
        probe.reach()
    except WardianError as error:
        hint = error.hint or "check the network and the proxy variables, or configure another mirror"
        return Check(name=probe.name, ok=False, message=error.message, hint=hint)
    except OSError as error:  # the store's, for one, in which uv works
        place = f"{error.filename}: " if error.filename else ""
        message = f"{probe.address} cannot be asked: {place}{error.strerror or error}"
        return Check(name=probe.name, ok=False, message=message, hint="see to what failed above first")
    seconds = time.monotonic() - begin
    message = f"{probe.address} answers in {seconds:.1f} s"
    if seconds > _SLOW_SECONDS:
        return Check(name=probe.name, ok=None, message=message, hint="configure a mirror that is nearer")
    return Check(name=probe.name, ok=True, message=message)
