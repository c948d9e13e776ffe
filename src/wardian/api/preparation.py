"""What a run or build needs before it can start: spec, lock, image, launch record."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.api import warm
from wardian.api.declaration import read_declaration
from wardian.api.images import Image, slim_report
from wardian.api.lockfile import LockFile
from wardian.api.locks import Lock
from wardian.build import image as images
from wardian.build.plan import Plan, plan
from wardian.ecosystems.workshop import Workshop
from wardian.errors import LockError, ResolveError, SpecError, StaleLockError
from wardian.image.platform import Platform
from wardian.lock import model
from wardian.lock.resolve import Wish, digest, resolve_lock
from wardian.store.store import Store
from wardian.system import background

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from wardian.ecosystems.debian.model import DebianLock
    from wardian.ecosystems.python.model import Interpreter
    from wardian.project.detect import Detection
    from wardian.runtime.sandbox import Sandbox
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
    file: LockFile
    _lock: model.Lock | None = field(default=None)
    _record: dict[str, Any] | None = field(default=None)
    _told: bool = field(default=False)

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
        detection, inputs = read_declaration(Path(folder), Path(script) if script else None, environment)
        path = _script_lock(Path(script)) if script else Path(folder, LOCK_FILE)
        return cls(
            folder=Path(folder),
            script=script,
            detection=detection,
            inputs=inputs,
            workshop=workshop,
            locked=locked,
            file=LockFile(path, Path(folder)),
        )

    @property
    def identity(self) -> str:
        """The name under which the store remembers this project."""
        return warm.identify(str(self.folder), self.script)

    def lock(
        self,
        *,
        upgrade: bool | Sequence[str] = False,
        as_of: str | None = None,
        platforms: Sequence[str] | None = None,
        workbench: bool = False,
        building: bool = False,
        discarding: bool = False,
    ) -> Lock:
        """Write a lock that fits the declaration; what is locked stays where it fits.

        With `discarding` a lock that was damaged or edited by hand is written anew, else it is an error.
        """
        moment = None if as_of is None else _moment(as_of)
        asked = {Platform.parse(name) for name in platforms or ()}
        with self.using(), ExitStack() as stack:
            earlier = self.file.read_or_discard(self._tell) if discarding else self.file.read()
            wish = Wish(
                spec=self.detection.spec,
                declared=self.detection.declared,
                platforms=tuple(self._platforms(earlier) | asked),
                keep=earlier,
                # Everything as of then: what was locked later has no claim to stay.
                upgrade=(upgrade if isinstance(upgrade, bool) else tuple(upgrade)) or moment is not None,
                as_of=moment,
                workbench=workbench,
                building=building,
            )
            if building:  # while uv resolves: importing the executor takes 50 ms
                background.start(_import_executor)
            self._tell_detected()
            try:
                resolved = resolve_lock(self.workshop, wish, sandbox=partial(self._resolving_sandbox, stack))
            except ResolveError as error:
                if self._is_about_inferred(error):
                    error.hint = (
                        "it was inferred from what the folder imports: mend the import, or run "
                        "`wardian init` and name the package that is meant in wardian.toml"
                    )
                raise
            written = resolved != earlier
            if written:
                self.file.write(resolved)
        self._lock = resolved
        changes = model.changes(earlier, resolved)
        return Lock(path=self.file.path, content=resolved, changes=changes, written=written)

    def _is_about_inferred(self, error: ResolveError) -> bool:
        import re

        from wardian.project.grammar import parse_requirement

        names = (parse_requirement(text).name for text in self.detection.inferred)
        return any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", error.message) for name in names)

    def _tell_detected(self) -> None:
        """Say once what was read and inferred, where no spec is written."""
        if self.detection.document is None and not self._told:
            self._told = True
            for sentence in self.detection.sources:
                self._tell(sentence)

    def using(self) -> AbstractContextManager[None]:
        """Keep `prune` from what is being made."""
        return self.workshop.store.use(lambda: self._tell("waiting for another process, which prunes"))

    def _tell(self, sentence: str) -> None:
        self.workshop.progress.message(sentence)

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
        """The lock, if it fits the declaration; raises StaleLockError where it is missing or does not.

        Raises LockError for one that cannot be used at all.
        """
        lock = self.file.read()
        if lock is None:
            raise StaleLockError(f"there is no {self.file.path}", hint="run `wardian lock`")
        missing = sorted(name for name in self._platforms(lock) if lock.platform(name) is None)
        if lock.spec != digest(self.detection.spec, self.detection.declared) or missing:
            what = f"lacks {missing[0]}" if missing else "was made from another spec"
            raise StaleLockError(f"{self.file.path} is stale: it {what}", hint="run `wardian lock`")
        return lock

    def current(self, *, workbench: bool = False) -> model.PlatformLock:
        """The lock's part for this machine, resolved first where it does not fit the declaration."""
        if self._lock is None:
            self._lock = self.check_lock() if self.locked else self._fitting()
        part = self._lock.platform(Platform.host()) if self._lock else None
        if part is None:
            self._check_host_is_wanted()
        if part is None or (workbench and not _has_bench(part)):
            if self.locked:
                raise LockError(
                    f"{self.file.path} does not hold what running notebooks needs",
                    hint="run the notebook once without --locked",
                )
            part = self._locked(Platform.host(), workbench=workbench)
        return part

    def _locked(self, platform: Platform, *, workbench: bool) -> model.PlatformLock:
        lock = self.lock(platforms=[str(platform)], workbench=workbench, building=True)
        return next(part for part in lock.content.platforms if part.platform == platform)

    def _fitting(self) -> model.Lock | None:
        try:
            return self.check_lock()
        except StaleLockError:
            return None

    def _check_host_is_wanted(self) -> None:
        """Before anything is resolved: no lock of this spec would have a part for this machine."""
        declared = self.detection.spec.platforms
        if declared and Platform.host() not in declared:
            raise SpecError(
                f"the spec's platforms do not include this machine's, {Platform.host()}",
                hint=f"add {Platform.host()} to platforms",
            )

    def build(self, *, workbench: bool = False, shipping: bool = False) -> Image:
        """Lock if need be, build what is missing, and remember the image.

        With `shipping`, also what the image has and runs have not: byte code, and what slim leaves.
        """
        start = time.monotonic()
        self._tell_detected()
        with self.using():
            lock = self.current(workbench=workbench)
            wish = self.detection.spec.image
            made = plan(lock, workbench=workbench, docs=wish.docs)
            whole = made
            if shipping:
                whole = plan(lock, docs=wish.docs, bytecode=wish.bytecode, slim=wish.slim)
            from wardian.build.execute import Builder

            parts = Builder(workshop=self.workshop, lock=lock).build(whole)
            image = Image(
                name=self.detection.spec.name,
                key=images.image_key([layer.key for layer in made.layers]),
                platform=made.platform,
                seconds=round(time.monotonic() - start, 3),
                parts=parts,
                slim=slim_report(str(self.workshop.store.snapshot(layer.key)) for layer in whole.layers),
            )
            self._remember(image, made, lock)
        return image

    def has_platforms(self) -> bool:
        """Whether the image is one of several."""
        return len(self._platforms(self.file.read())) > 1

    def record(self) -> dict[str, Any]:
        """The launch record of the image, which is built first if need be."""
        if self._record is None:
            self.build()
        assert self._record is not None  # building remembers
        return self._record

    def bench_root(self, lock: model.PlatformLock) -> Path | None:
        """Where the built workbench lies on the host."""
        bench = plan(lock, workbench=True, docs=self.detection.spec.image.docs).workbench
        return self.workshop.store.snapshot(bench.key) / "root/opt/workbench" if bench else None

    def _remember(self, image: Image, made: Plan, lock: model.PlatformLock) -> None:
        from wardian.api import recording

        project = recording.Project(
            identity=self.identity, folder=self.folder, spec=self.detection.spec, lock=lock
        )
        recording.remember_image(self.workshop, project, image, made)
        inputs = {**self.inputs, **self.file.state}
        self._record = recording.remember_launch(self.workshop, project, image, made, inputs)

    def _resolving_sandbox(
        self, stack: ExitStack, debian: DebianLock, interpreter: Interpreter, platform: Platform
    ) -> Sandbox:
        """A root with the image's Python, for sources that tell their needs only when they are run."""
        from wardian.ecosystems.python.model import PythonLock

        python = PythonLock(interpreter=interpreter, packages=())
        lock = model.PlatformLock(platform=platform, debian=debian, python=python)
        layers = [layer for layer in plan(lock).layers if layer.name != "python"]
        from wardian.build.execute import Builder

        builder = Builder(workshop=self.workshop, lock=lock)
        builder.build(Plan(platform=platform, layers=tuple(layers), workbench=None))
        scratch = stack.enter_context(self.workshop.store.temporary())
        return builder.sandbox([layer.key for layer in layers], scratch)


def _script_lock(script: Path) -> Path:
    """The lock of a script with an environment of its own: beside it, and not a namesake notebook's."""
    return script.with_suffix(f"{'' if script.suffix == '.py' else script.suffix}.wardian.lock")


def _has_bench(part: model.PlatformLock) -> bool:
    """Whether notebooks run without more: the workbench is locked, or the project has all of it."""
    if part.python is None:
        return True  # the workbench of no Python is nothing
    names = {package.name for package in part.python.packages}
    return bool(part.python.workbench) or {"ipykernel", "nbclient", "nbconvert"} <= names


def _import_executor() -> None:
    import wardian.api.recording
    import wardian.build.execute  # noqa: F401


def _moment(text: str) -> datetime:
    """A time in UTC from RFC 3339, or a date, which is its beginning; raises LockError.

    Also for what is still to come: the packages of then are not known, and the lock would not last.
    """
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise LockError(
            f"{text!r} is no date to lock as of", hint="write it as 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from error
    if moment > datetime.now(UTC):
        raise LockError(
            f"{text!r} is no date to lock as of: it is still to come (in UTC)",
            hint="name one that has been; without any, the newest packages are locked",
        )
    return moment
