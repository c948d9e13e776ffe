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
from wardian.runtime import bundle, container, refusals
from wardian.system import namespace
from wardian.system.processes import module_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_REQUEST = "request.json"
_REFUSED = "refused"  # what the request is called once the container did not start
_LONGEST_OUTPUT = 1 << 20  # bytes; those who read it want its end


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
        owners: Path | None = None,
    ) -> tuple[int, str]:
        """Run a command to its end; returns its exit status and what it printed, of much the last MiB.

        `mounts` are (host path, path inside, read-only). With `owners`, the owners that it gives to files
        are recorded on them, and in that file those which cannot be (runtime/owners.py). Raises HostError
        when the container cannot be set up.
        """
        config = bundle.root_config(
            arguments,
            environment=environment,
            mounts=[
                *(bundle.network_mounts() if network else ()),
                *(bundle.bind(str(source), target, read_only=closed) for source, target, closed in mounts),
            ],
            network=network,
            record=owners is not None,
        )
        self.folder.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="sandbox-", dir=self.folder))
        upper = self.upper or folder / "upper"
        upper.mkdir(exist_ok=True)
        lowers = [str(path) for path in self.lowers]
        root = container.Root(lowers, str(upper), owners=str(owners or ""))
        with start(str(self.runtime), config, root, folder, stderr=subprocess.STDOUT) as process:
            text = _last(process).decode(errors="replace")
        check_refusal(folder, text)
        return process.returncode, text


def _last(process: subprocess.Popen[bytes]) -> bytes:
    """The end of what a process prints, which is read until it closes its output."""
    assert process.stdout is not None
    kept = bytearray()
    while chunk := os.read(process.stdout.fileno(), 1 << 16):
        kept += chunk
        if len(kept) > 2 * _LONGEST_OUTPUT:
            del kept[:-_LONGEST_OUTPUT]
    return bytes(kept[-_LONGEST_OUTPUT:])


def start(
    runtime: str, config: Mapping[str, Any], root: container.Root, folder: Path, *, stderr: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a container in a process of its own, without input, its standard output a pipe.

    Its files go to `folder`. To be waited for; `check_refusal` says whether it ever began.
    """
    layers = {"lowers": root.lowers, "upper": root.upper, "kept": root.kept, "owners": root.owners}
    request = {"parent": os.getpid(), "runtime": runtime, "root": layers, "config": config}
    (folder / _REQUEST).write_text(json.dumps(request))
    command = module_command(__name__, str(folder))
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr)


def check_refusal(folder: Path, output: str) -> None:
    """Raise HostError if the process that was started with `folder` could not set up the container."""
    if (folder / _REFUSED).exists():
        message, _, hint = output.strip().partition("\0")
        raise HostError(message, hint=hint or None)


def main(folder: str) -> int:
    """Serve one request."""
    request = json.loads(Path(folder, _REQUEST).read_text())
    namespace.die_with_parent(request["parent"])
    root = container.Root(**request["root"])
    try:
        Path(folder, "run").mkdir()
        return container.run(request["runtime"], request["config"], root, f"{folder}/run")
    except WardianError as error:
        return _refuse(folder, error)
    except OSError as error:
        name, reason = str(error.filename or "its files"), error.strerror or str(error)
        return _refuse(folder, refusals.explain(error.errno or 0, name, reason))


def _refuse(folder: str, error: WardianError) -> int:
    # A name is changed where no room may be left for a file.
    os.rename(f"{folder}/{_REQUEST}", f"{folder}/{_REFUSED}")
    # Of names that are no UTF-8 it holds surrogates.
    sys.stdout.buffer.write(f"{error.message}\0{error.hint or ''}".encode(errors="backslashreplace"))
    return error.exit_status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
