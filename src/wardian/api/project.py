"""A project folder: the one object from which locking, building and running start.

On the start-up path of every run: what a run of an unchanged project does not need is imported where it
is used.
"""

from __future__ import annotations

import contextlib
import os

from wardian.api import targets, warm
from wardian.api.folders import check_encoding, find_folder, open_folder
from wardian.store import usage
from wardian.system import variables
from wardian.system.progress import Silent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from wardian.api.images import Image
    from wardian.api.locks import Lock
    from wardian.api.preparation import Preparation
    from wardian.api.request import RunRequest
    from wardian.api.shipping import Pushed
    from wardian.build.assemble import Arrived
    from wardian.build.compare import Difference
    from wardian.image.compression import Compression
    from wardian.image.library import StoredImage
    from wardian.project.detect import Detection
    from wardian.project.edit import Change
    from wardian.project.spec import Spec
    from wardian.system.progress import Progress


class Project:
    """A folder and what it declares. Cheap to open; reads the declaration when it is first asked for."""

    def __init__(
        self,
        folder: str,
        *,
        home: str,
        environment: Mapping[str, str],
        progress: Progress,
        offline: bool,
        locked: bool,
        script: str | None = None,
    ) -> None:
        self._folder = folder
        self._home = home
        self._environment = environment
        self._progress = progress
        self._offline = offline
        self._locked = locked
        self._script = script
        self._preparation: Preparation | None = None
        self._inferred: tuple[str, ...] | None = None

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str] = ".",
        *,
        home: str | os.PathLike[str] | None = None,
        environment: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        offline: bool = False,
        locked: bool = False,
        here: bool = False,
    ) -> Project:
        """Open the project that `folder` belongs to: the nearest folder from there up with a written spec.

        Where there is none, or with `here`, it is `folder` itself. `home` is the store (default:
        $WARDIAN_HOME), `locked` forbids resolving, `offline` the network. Raises SpecError when the folder
        cannot be read or its path is not UTF-8, or when the spec stands in a folder above it and is another
        user's, and HostError where the current folder was removed.
        """
        outside = os.environ if environment is None else environment
        start = open_folder(folder)
        return cls(
            check_encoding(start if here else find_folder(start)),
            home=os.fspath(home) if home is not None else variables.home(outside),
            environment=outside,
            progress=progress or Silent(),
            offline=offline or outside.get("WARDIAN_OFFLINE") == "1",
            locked=locked,
        )

    @property
    def folder(self) -> Path:
        """The project's folder, absolute."""
        from pathlib import Path

        return Path(self._folder)

    @property
    def detection(self) -> Detection:
        """The spec with where it comes from; raises SpecError."""
        return self._prepared().detection

    @property
    def spec(self) -> Spec:
        """What the project asks for; raises SpecError."""
        return self.detection.spec

    @property
    def name(self) -> str:
        """The project's name, and its image's."""
        return self.spec.name

    @property
    def detected(self) -> tuple[str, ...]:
        """Sentences that say what was read and inferred; empty where a spec is written.

        After `initialize`, what it was written from.
        """
        if self._inferred is not None:
            return self._inferred
        return () if self.detection.document is not None else self.detection.sources

    def initialize(self, *, force: bool = False) -> Path:
        """Write what is detected as a commented wardian.toml; returns its path.

        Raises SpecError where one is written already, unless `force` has it overwritten.
        """
        from wardian.project.initial import write_initial

        path, self._inferred = write_initial(self.folder, force=force)
        self._preparation = None
        return path

    def add(self, python: Sequence[str] = (), system: Sequence[str] = ()) -> tuple[Change, Lock]:
        """Add requirements and Debian packages to the written spec, and lock them.

        A spec that cannot be locked is put back as it was, unless somebody has written it since. Raises what
        `lock` raises, and LockError also for a lock that was edited by hand or damaged.
        """
        from wardian.project.edit import add

        return self._edited(lambda: add(self.folder, python=python, system=system))

    def remove(self, python: Sequence[str] = (), system: Sequence[str] = ()) -> tuple[Change, Lock]:
        """Remove requirements and Debian packages from the written spec, and lock what is left.

        As `add`.
        """
        from wardian.project.edit import remove

        return self._edited(lambda: remove(self.folder, python=python, system=system))

    def lock(
        self,
        *,
        upgrade: bool | Sequence[str] = False,
        as_of: str | None = None,
        platforms: Sequence[str] | None = None,
    ) -> Lock:
        """Bring the lock up to date with the spec, keeping the versions that still fit.

        A lock that was edited by hand or damaged is written anew, from nothing. `upgrade` lets all or the
        named packages change; `as_of` resolves as on a date (RFC 3339); `platforms` are locked beside
        those of the spec. Raises SpecError, ResolveError, FetchError and VerificationError, BuildError for
        a package that tells its needs only when it is built, HostError, and LockError for a lock that is
        newer or cannot be read, a date that is none, or a name to upgrade that nothing has.
        """
        return self._prepared().lock(upgrade=upgrade, as_of=as_of, platforms=platforms, discarding=True)

    def check_lock(self) -> None:
        """Raise StaleLockError when the lock is missing or stale, LockError when it cannot be used at all."""
        self._prepared().check_lock()

    def build(self) -> Image:
        """Lock if need be, then build the image for this machine's platform.

        Where nothing has changed since the last time, it only says what there is. Raises what `lock`
        raises, and LockError also for a lock that was edited by hand or damaged.
        """
        record = warm.recall(self._home, warm.identify(self._folder, self._script))
        if record and all(map(os.path.isdir, record["beside"])):
            from wardian.api.images import recalled

            return recalled(record)
        return self._prepared().build(shipping=True)

    def assemble(self, *, compression: Compression = "gzip", arrived: Arrived | None = None) -> StoredImage:
        """Lock and build if need be, then pack the image and name it `NAME:latest` in the store.

        `arrived` is told of each blob (descriptor and path) as soon as it is there, from several threads.
        Raises what `build` raises, and SpecError for files that cannot go into an image.
        """
        from wardian.api.assembling import assemble_project

        return assemble_project(self._prepared(), compression=compression, arrived=arrived)

    def push(
        self,
        reference: str,
        *,
        compression: Compression = "gzip",
        insecure: bool = False,
        beside: bool = False,
    ) -> Pushed:
        """Assemble the image and push it to a registry; layers are sent as soon as they are packed.

        With `beside`, or where the project is for several platforms, it takes its place beside those of
        other platforms under that tag, in an index. `insecure` lets the registry go without TLS, or with a
        certificate that is not valid. Raises what `assemble` raises, RegistryError, CredentialsError and
        ImageError.
        """
        from wardian.api.shipping import push
        from wardian.image.reference import Reference

        wanted, prepared = Reference.parse(reference), self._prepared()
        with prepared.using():
            return push(
                lambda arrived: self.assemble(compression=compression, arrived=arrived),
                wanted,
                store=prepared.workshop.store,
                environment=self._environment,
                progress=self._progress,
                insecure=insecure,
                beside=beside or prepared.has_platforms(),
            )

    def verify(self, *, compression: Compression = "gzip") -> tuple[StoredImage, Difference | None]:
        """Assemble the image, build it a second time from nothing, and compare the two.

        Returns the image, and the first difference if there is any. Raises what `assemble` raises.
        """
        from wardian.api.assembling import verify_project

        return verify_project(self._prepared(), compression=compression)

    def run(self, request: RunRequest) -> int:
        """Lock and build if need be, then run; returns the exit status.

        Raises RunError for a target that does not exist or a notebook that fails, and what `build` raises.
        """
        with self._using():
            return self._run(request)

    def _run(self, request: RunRequest) -> int:
        script = targets.own_environment(self._folder, request)
        if script != self._script:
            return self._for_script(script)._run(request)
        if targets.is_notebook(request):
            from wardian.api.notebooks import run_notebook

            return run_notebook(self._prepared(), request)
        from wardian.api.running import run

        record = warm.recall(self._home, warm.identify(self._folder, self._script))
        if record is None:
            targets.resolve(targets.preview(self._folder, self.spec), request)  # before anything is built
            record = self._prepared().record()
        return run(self._home, record, request, self._environment, self._progress)

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        """Keep `prune` from what a run needs, from before its record is read until it ends."""

        def tell() -> None:
            self._progress.message("waiting for another process, which prunes")

        with usage.using(self._home, tell):
            yield

    def _for_script(self, script: str | None) -> Project:
        return Project(
            self._folder,
            home=self._home,
            environment=self._environment,
            progress=self._progress,
            offline=self._offline,
            locked=self._locked,
            script=script,
        )

    def _prepared(self) -> Preparation:
        if self._preparation is None:
            from wardian.api.preparation import Preparation

            self._preparation = Preparation.open(
                self._folder,
                script=self._script,
                home=self._home,
                environment=self._environment,
                progress=self._progress,
                offline=self._offline,
                locked=self._locked,
            )
        return self._preparation

    def _edited(self, edit: Callable[[], Change]) -> tuple[Change, Lock]:
        change = edit()
        self._preparation = None
        try:
            return change, self._prepared().lock()
        except BaseException:
            self._preparation = None
            change.undo()
            raise
