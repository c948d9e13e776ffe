"""What a run is asked to do. A plain class: a run that has nothing to prepare imports no dataclasses."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class RunRequest:
    """A run: of a notebook, script or task named `target`, or with `target=None` of the `arguments` alone.

    `parameters` are a notebook's, as text; `volumes` are (host path, path inside, read-only); `memory` is
    in bytes, `cpus` a number of processors; `keep` names a root that is kept; `root` asks for emulated
    root inside; `output` is a notebook's folder for results; `interactive` asks for a terminal inside;
    `directory` is where the caller stands, and relative targets are seen from; `verbose` asks for what a
    notebook's cells print.
    """

    __slots__ = (
        "arguments",
        "cpus",
        "directory",
        "environment",
        "interactive",
        "keep",
        "memory",
        "network",
        "output",
        "parameters",
        "root",
        "target",
        "verbose",
        "volumes",
    )

    def __init__(
        self,
        *,
        target: str | None,
        arguments: Sequence[str] = (),
        parameters: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        volumes: Sequence[tuple[str, str, bool]] = (),
        network: str = "host",
        memory: int | None = None,
        cpus: float | None = None,
        keep: str | None = None,
        root: bool = False,
        output: str | None = None,
        interactive: bool = False,
        directory: str | None = None,
        verbose: bool = False,
    ) -> None:
        self.target = target
        self.arguments = tuple(arguments)
        self.parameters = dict(parameters or {})
        self.environment = dict(environment or {})
        self.volumes = tuple(volumes)
        self.network = network
        self.memory = memory
        self.cpus = cpus
        self.keep = keep
        self.root = root
        self.output = output
        self.interactive = interactive
        self.directory = directory
        self.verbose = verbose
