"""What a run or build needs before it can start: spec, lock, image, launch record."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.api import recording, warm
from wardian.api.images import Image
from wardian.api.locks import Lock
from wardian.build import image as images
from wardian.build.execute import Builder
from wardian.build.plan import Plan, plan
from wardian.ecosystems.workshop import Workshop
from wardian.errors import LockError, SpecError
from wardian.image.platform import Platform
from wardian.lock import model
from wardian.lock.resolve import Wish, digest, resolve_lock
from wardian.lock.text import read_lock, write_lock
from wardian.project.detect import Detection, detect
from wardian.runtime.sandbox import Sandbox
from wardian.store.store import Store
from wardian.system import files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wardian.ecosystems.debian.model import DebianLock
    from wardian.ecosystems.python.model import Interpreter
    from wardian.system.progress import Progress

LOCK_FILE = "wardian.lock"


@dataclass(slots=True, kw_only=True)
class Preparation:
    """One project on this machine, from its declaration to its launch record."""

    folder: Path
    script: str | None
    detection: Detection
    inputs: dict[str, list[int] | None]
    workshop: Workshop
    locked: bool
    _lock: model.Lock | None = field(default=None)
    _record: dict[str, Any] | None = field(default=None)

    @classmethod
    def open(
        cls,
        folder: str,
        *,
        script: str | None,
        home: str,
        environment: Mapping[str, str],
        progress: Progress,
        offline: bool,
        locked: bool,
    ) -> Preparation:
        """Read the declaration; raises SpecError and StoreError."""
        workshop = Workshop(
            store=Store.open(home), environment=environment, progress=progress, offline=offline
        )
        detection, inputs = _detect(Path(folder), Path(script) if script else None)
        return cls(
            folder=Path(folder),
            script=script,
            detection=detection,
            inputs=inputs,
            workshop=workshop,
            locked=locked,
        )

    @property
    def identity(self) -> str:
        """The name under which the store remembers this project."""
        return warm.identify(str(self.folder), self.script)

    @property
    def lock_path(self) -> Path:
        """The lock's file; a script with an environment of its own has its lock beside it."""
        if self.script:
            return Path(self.script).with_suffix(".wardian.lock")
        return self.folder / LOCK_FILE

    def lock(
        self,
        *,
        upgrade: bool | Sequence[str] = False,
        as_of: str | None = None,
        platforms: Sequence[str] | None = None,
        workbench: bool = False,
        building: bool = False,
    ) -> Lock:
        """Write a lock that fits the declaration; what is locked stays where it fits."""
        earlier = self._earlier()
        wanted = {*self._platforms(earlier), *(Platform.parse(name) for name in platforms or ())}
        resolved = resolve_lock(
            self.workshop,
            Wish(
                spec=self.detection.spec,
                declared=self.detection.declared,
                platforms=tuple(wanted),
                keep=earlier,
                # Everything as of then: what was locked later has no claim to stay.
                upgrade=(upgrade if isinstance(upgrade, bool) else tuple(upgrade)) or as_of is not None,
                as_of=_moment(as_of) if as_of else None,
                workbench=workbench,
                building=building,
            ),
            sandbox=self._resolving_sandbox,
        )
        if resolved != earlier or not self.lock_path.exists():
            files.write_atomic(self.lock_path, write_lock(resolved), durable=True)
        self._lock = resolved
        return Lock(path=self.lock_path, content=resolved, changes=model.changes(earlier, resolved))

    def _earlier(self) -> model.Lock | None:
        """The lock that is there; one that was damaged or edited gives no versions to keep."""
        try:
            return read_lock(self.lock_path)
        except LockError as error:
            if "newer" in error.message:
                raise
            self.workshop.progress.message(f"{error.message}; resolving anew")
            return None

    def _platforms(self, earlier: model.Lock | None) -> set[Platform]:
        declared = self.detection.spec.platforms
        if declared:
            return set(declared)
        return (
            {Platform.host(), *(part.platform for part in earlier.platforms)}
            if earlier
            else {Platform.host()}
        )

    def check_lock(self) -> model.Lock:
        """The lock, if it fits the declaration; raises LockError where it is missing or stale."""
        lock = read_lock(self.lock_path)
        if lock is None:
            raise LockError(f"there is no {self.lock_path}", hint="run `wardian lock`")
        missing = [name for name in self._platforms(lock) if lock.platform(name) is None]
        if lock.spec != digest(self.detection.spec, self.detection.declared) or missing:
            what = f"lacks {missing[0]}" if missing else "was made from another spec"
            raise LockError(f"{self.lock_path} is stale: it {what}", hint="run `wardian lock`")
        return lock

    def current(self, *, workbench: bool = False) -> model.PlatformLock:
        """The lock's part for this machine, resolved first where it does not fit the declaration."""
        lock = self._lock or self._fitting()
        part = lock.platform(Platform.host()) if lock else None
        needs_bench = workbench and part and part.python and not part.python.workbench
        if part is None or (needs_bench and not _has_bench(part)):
            if self.locked:
                self.check_lock()
                raise LockError(
                    f"{self.lock_path} does not hold what running notebooks needs",
                    hint="run the notebook once without --locked",
                )
            locked = self.lock(workbench=workbench, building=True)
            part = locked.content.platform(Platform.host())
        if part is None:
            raise SpecError(
                f"the spec's platforms do not include this machine's, {Platform.host()}",
                hint=f"add {Platform.host()} to platforms",
            )
        return part

    def _fitting(self) -> model.Lock | None:
        if self.locked:
            return self.check_lock()
        try:
            self._lock = self.check_lock()
        except LockError as error:
            if "newer" in error.message:
                raise
            self._lock = None
        return self._lock

    def build(self, *, workbench: bool = False) -> Image:
        """Lock if need be, build what is missing, and remember the image."""
        start = time.monotonic()
        for sentence in () if self.detection.document else self.detection.sources:
            self.workshop.progress.message(sentence)
        lock = self.current(workbench=workbench)
        made = plan(lock, workbench=workbench)
        parts = Builder(workshop=self.workshop, lock=lock).build(made)
        image = Image(
            name=self.detection.spec.name,
            key=images.image_key([layer.key for layer in made.layers]),
            platform=made.platform,
            seconds=round(time.monotonic() - start, 3),
            parts=parts,
        )
        self._remember(image, made, lock)
        return image

    def record(self) -> dict[str, Any]:
        """The launch record of the image, which is built first if need be."""
        if self._record is None:
            self.build()
        assert self._record is not None  # building remembers
        return self._record

    def bench_root(self, lock: model.PlatformLock) -> Path | None:
        """Where the built workbench lies on the host."""
        bench = plan(lock, workbench=True).workbench
        return self.workshop.store.snapshot(bench.key) / "root/opt/workbench" if bench else None

    def _remember(self, image: Image, made: Plan, lock: model.PlatformLock) -> None:
        project = recording.Project(
            identity=self.identity, folder=self.folder, spec=self.detection.spec, lock=lock
        )
        recording.remember_image(self.workshop, project, image, made)
        inputs = {**self.inputs, **warm.states([str(self.lock_path)])}
        self._record = recording.remember_launch(self.workshop, project, image, made, inputs)

    def _resolving_sandbox(self, debian: DebianLock, interpreter: Interpreter, platform: Platform) -> Sandbox:
        """A root with the image's Python, for sources that tell their needs only when they are run."""
        from wardian.ecosystems.python.model import PythonLock

        python = PythonLock(interpreter=interpreter, packages=())
        lock = model.PlatformLock(platform=platform, debian=debian, python=python)
        layers = [layer for layer in plan(lock).layers if layer.name != "python"]
        builder = Builder(workshop=self.workshop, lock=lock)
        builder.build(Plan(platform=platform, layers=tuple(layers), workbench=None))
        return builder.sandbox([layer.key for layer in layers], self._scratch())

    def _scratch(self) -> Path:
        folder = self.workshop.store.cache("resolving") / f"{os.getpid()}-{threading.get_ident()}"
        folder.mkdir(exist_ok=True)
        return folder


def _has_bench(part: model.PlatformLock) -> bool:
    """Whether notebooks run without more: the workbench is locked, or the project has all of it."""
    names = {package.name for package in part.python.packages} if part.python else set()
    return bool(part.python and part.python.workbench) or {"ipykernel", "nbclient", "nbconvert"} <= names


def _detect(folder: Path, script: Path | None) -> tuple[Detection, dict[str, list[int] | None]]:
    """Detect, with the states of all that was read, noted before it was read.

    What is read becomes known by reading it, so it is read until it did not change meanwhile.
    """
    while True:
        found = detect(folder, script)
        before = warm.states(map(str, found.inputs))
        again = detect(folder, script)
        if warm.states(map(str, again.inputs)) == before:
            return again, before


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
