"""Runs build steps in a container as emulated root, in a process of their own.

A process that enters a user namespace must have one thread, and builds have many: so each step starts
`python -m wardian.runtime.sandbox`, which reads its request and becomes `container.run`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.errors import HostError, WardianError
from wardian.runtime import bundle, container, namespace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REFUSED = 118  # this module's own exit status: the container did not start


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A root under construction: layers from bottom to top, and the folder that takes the changes.

    With no `upper` each run's changes are thrown away. `folder` is for the runs' own files.
    """

    runtime: Path
    lowers: tuple[Path, ...]
    upper: Path | None
    folder: Path

    def run(
        self,
        arguments: Sequence[str],
        *,
        mounts: Sequence[tuple[Path, str, bool]] = (),
        environment: Mapping[str, str],
        network: bool = False,
    ) -> tuple[int, str]:
        """Run a command to its end; returns its exit status and what it printed.

        `mounts` are (host path, path inside, read-only). Raises HostError when the container cannot be
        set up.
        """
        config = bundle.root_config(
            arguments,
            environment=environment,
            mounts=[bundle.bind(str(source), target, read_only=closed) for source, target, closed in mounts],
            network=network,
        )
        self.folder.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="sandbox-", dir=self.folder))
        (folder / "request.json").write_text(json.dumps(self._request(config, folder)))
        result = subprocess.run(
            [sys.executable, "-m", __name__, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if result.returncode == _REFUSED:
            message, _, hint = result.stdout.strip().partition("\0")
            raise HostError(message, hint=hint or None)
        return result.returncode, result.stdout

    def _request(self, config: dict[str, object], folder: Path) -> dict[str, object]:
        upper = self.upper or folder / "upper"
        upper.mkdir(exist_ok=True)
        return {
            "runtime": str(self.runtime),
            "lowers": [str(path) for path in self.lowers],
            "upper": str(upper),
            "config": config,
        }


def main(folder: str) -> int:
    """Serve one request."""
    namespace.die_with_parent(os.getppid())
    request = json.loads(Path(folder, "request.json").read_text())
    Path(folder, "run").mkdir()
    root = container.Root(request["lowers"], request["upper"])
    try:
        return container.run(request["runtime"], request["config"], root, f"{folder}/run")
    except WardianError as error:
        sys.stdout.write(f"{error.message}\0{error.hint or ''}")
        return _REFUSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
