"""What an image is said from, in others' formats: the declaration, the lock, and the project's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.build.execution import execution
from wardian.image.platform import Platform

if TYPE_CHECKING:
    from wardian.ecosystems.python.model import Interpreter
    from wardian.image.entry import Entry
    from wardian.image.manifest import Execution
    from wardian.lock.model import PlatformLock
    from wardian.project.detect import Detection
    from wardian.project.spec import Spec

_VENV = "opt/venv/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One project, locked.

    `locks` are the platforms to say it for, one at least. `code` are the entries of the project's files as
    the image has them, their sources relative to `folder`; empty where the image has no code.
    `annotations` are the image's. `dropped` are the paths that `[image] slim` leaves out, without a leading
    slash. `interpreters` hold the address of the managed Python's archive for each
    platform that has one. `base` is a reference that the user has given, or one whose digest is known;
    empty for the spec's own.
    """

    folder: Path
    detection: Detection
    locks: tuple[PlatformLock, ...]
    code: tuple[Entry, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    interpreters: Mapping[Platform, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    base: str = ""

    @property
    def spec(self) -> Spec:
        """What the project asks for."""
        return self.detection.spec

    @property
    def execution(self) -> Execution:
        """How containers of the image run."""
        return execution(self.spec, self.locks[0], self.annotations)

    @property
    def managed(self) -> Interpreter | None:
        """The managed Python, where the image has one instead of the suite's."""
        python = self.locks[0].python
        return python.interpreter if python and python.interpreter.source == "uv" else None

    @property
    def dropped_python(self) -> tuple[str, ...]:
        """What is left out of the environment, relative to it."""
        return tuple(path.removeprefix(_VENV) for path in self.dropped if path.startswith(_VENV))

    @property
    def dropped_debian(self) -> tuple[str, ...]:
        """What is left out of Debian's packages, as absolute paths."""
        return tuple(f"/{path}" for path in self.dropped if not path.startswith("opt/"))
