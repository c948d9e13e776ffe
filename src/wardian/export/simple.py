"""A short Dockerfile: the same packages by name, neither the archive's date nor hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wardian.export.base import check_base, default_base
from wardian.export.ending import ending, own_user
from wardian.export.form import PYTHON
from wardian.export.instructions import run
from wardian.export.places import comment
from wardian.export.python_stages import PIP_ARGUMENTS

if TYPE_CHECKING:
    from wardian.export.places import Places
    from wardian.export.source import Source
    from wardian.export.stages import Block


def simple_blocks(source: Source, places: Places) -> list[Block]:
    """The blocks of the short Dockerfile."""
    found = [_system(source, places)]
    if source.locks[0].python:
        found.append(_python(source, places))
    user = [*comment("A user who is not root."), *run(own_user(source))]
    return [*found, user, *ending(source, places)]


def _base(source: Source) -> str:
    if source.base or not source.managed:
        return check_base(source.base or default_base(source.spec))
    # The published images of other Pythons stand on the same suites.
    return f"python:{source.managed.version}-slim-{source.spec.suite}"


def _system(source: Source, places: Places) -> Block:
    python = ["python3", "python3-venv"] if source.locks[0].python and not source.managed else []
    packages = list(dict.fromkeys(["ca-certificates", *python, *source.spec.system.packages]))
    asked = places.items(source.spec.system.packages, "system", "packages")
    version = source.managed.version if source.base and source.managed else ""
    named = f"The base has to bring Python {version}." if version else ""
    return [
        *comment(named, f"Debian packages: {asked or 'the base alone'}."),
        f"FROM {_base(source)}",
        *run(
            [
                "apt-get update",
                "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \\\n      "
                + " \\\n      ".join(packages),
                "rm -rf /var/lib/apt/lists/*",
            ]
        ),
    ]


def _python(source: Source, places: Places) -> Block:
    spec = source.spec.python
    packages = places.items(spec.packages if spec else (), "python", "packages")
    files = places.items(spec.requirements if spec else (), "python", "requirements")
    asked = "; ".join(filter(None, (packages, files)))
    return [
        *comment(f"Python packages: {asked or 'none'}, with all they need at the locked versions."),
        *PIP_ARGUMENTS,
        f"COPY {PYTHON}/requirements.txt /tmp/requirements.txt",
        *run(
            [
                "python3 -m venv /opt/venv",
                "/opt/venv/bin/pip install --no-cache-dir --no-deps --requirement /tmp/requirements.txt",
                "rm /tmp/requirements.txt",
            ]
        ),
    ]
