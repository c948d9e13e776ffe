"""Carries a plan out: each missing layer is built once, in parallel where layers are independent.

The Debian layers are fetched and unpacked together and configured one upon the other. The Python
environment's files are fetched at the same time, and linked as soon as the base stands. Every layer is
built in a temporary folder under its key's lock and appears by rename.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.build import bytecode
from wardian.build.image import Part
from wardian.build.plan import (
    BytecodeLayer,
    DebianLayer,
    InterpreterLayer,
    Layer,
    Plan,
    PythonLayer,
    SlimLayer,
)
from wardian.build.slimming import Slimming
from wardian.build.threads import guard, settle, start
from wardian.build.tree import read_tree
from wardian.ecosystems.debian import configure, recording
from wardian.ecosystems.debian.fetch import fetch
from wardian.ecosystems.debian.unpacking import UnpackedStage, Unpacking, make_skeleton
from wardian.ecosystems.python import interpreter as interpreters
from wardian.ecosystems.python.install import install, recorded_bytes
from wardian.ecosystems.workshop import FILES, Workshop
from wardian.errors import HostError
from wardian.image.platform import Platform
from wardian.runtime.sandbox import Sandbox
from wardian.store import snapshots
from wardian.store.snapshots import Snapshot
from wardian.system import files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from wardian.lock.model import PlatformLock
    from wardian.store.store import Store
    from wardian.system.progress import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Builds the plans of one lock into the workshop's store."""

    workshop: Workshop
    lock: PlatformLock

    @property
    def store(self) -> Store:
        """Where snapshots go."""
        return self.workshop.store

    def build(self, plan: Plan) -> tuple[Part, ...]:
        """Build what is missing; returns all layers in the plan's order.

        Raises BuildError, FetchError, VerificationError and HostError; nothing half-made is left.
        """
        found = {layer.key: snapshots.find(self.store, layer.key) for layer in plan.all}
        if all(found.values()):
            return tuple(_part(snapshot, reused=True) for snapshot in found.values() if snapshot)
        if plan.platform != Platform.host():
            raise HostError(
                f"{plan.platform} cannot be built here: its programs do not run on {Platform.host()}",
                hint=f"build on a {plan.platform} machine; `wardian lock` locks it anywhere",
            )
        return self._build_missing(plan)

    def _build_missing(self, plan: Plan) -> tuple[Part, ...]:
        # A layer's future ends when its snapshot is there, or with what failed.
        built: dict[str, Future[Part]] = {layer.key: Future() for layer in plan.all}
        debian = [layer for layer in plan.all if isinstance(layer, DebianLayer)]
        others = [layer for layer in plan.all if not isinstance(layer, DebianLayer)]
        threads = [start(settle, [built[layer.key] for layer in debian], self._build_debian, debian, built)]
        threads += [start(settle, [built[layer.key]], self._build_other, layer, built) for layer in others]
        parts = tuple(built[layer.key].result() for layer in plan.all)
        for thread in threads:  # a run may follow, and wants its process to have one thread
            thread.join()
        return parts

    def _build_other(self, layer: Layer, built: dict[str, Future[Part]]) -> None:
        with self._locked(layer):
            if snapshot := snapshots.find(self.store, layer.key):
                built[layer.key].set_result(_part(snapshot, reused=True))
                return
            began = time.monotonic()
            with self.store.temporary() as folder:
                files.make_folder(folder / "snapshot/root/opt")
                if isinstance(layer, PythonLayer):
                    self._build_python(layer, folder, built)
                elif isinstance(layer, InterpreterLayer):
                    self._unpack_interpreter(layer, folder / "snapshot/root/opt/python")
                elif isinstance(layer, BytecodeLayer):
                    self._compile(layer, folder, built)
                elif isinstance(layer, SlimLayer):
                    self._slim(layer, folder, built)
                total = _bytes(layer, folder / "snapshot/root")
                built[layer.key].set_result(self._commit(layer, folder / "snapshot", total, began))

    def _locked(self, layer: Layer) -> AbstractContextManager[None]:
        def tell() -> None:
            self.workshop.progress.message(f"waiting for another process, which builds {layer.name}")

        return self.store.lock(layer.key, waiting=tell)

    def _build_python(self, layer: PythonLayer, folder: Path, built: dict[str, Future[Part]]) -> None:
        workshop = self.workshop
        target = workshop.target(self.lock.debian.suite, layer.interpreter.version, self.lock.platform)
        place = "/opt/workbench" if layer.workbench else "/opt/venv"
        workshop.prefetch(layer.packages, target).result()
        for key in layer.below:
            built[key].result()
        with workshop.progress.step(f"installing {layer.name}"):
            install(
                workshop.uv,
                layer.packages,
                interpreter=layer.interpreter,
                target=target,
                sandbox=self.sandbox(layer.below, folder),
                into=folder / f"snapshot/root{place}",
                place=place,
                below=layer.below,
                offline=workshop.offline,
                progress=workshop.progress,
            )
        digests = "\n".join(package.sha256 for package in layer.packages)
        (folder / "snapshot" / FILES).write_text(digests)

    def _compile(self, layer: BytecodeLayer, folder: Path, built: dict[str, Future[Part]]) -> None:
        for key in layer.below:
            built[key].result()
        with self.workshop.progress.step("compiling Python to byte code"):
            bytecode.build(self.store, layer, self.sandbox(layer.below, folder), folder)

    def _slim(self, layer: SlimLayer, folder: Path, built: dict[str, Future[Part]]) -> None:
        for key in layer.below:
            built[key].result()

        def sandbox(roots: tuple[Path, ...]) -> Sandbox:
            return Sandbox(runtime=self.workshop.runtime(), lowers=roots, upper=None, folder=folder)

        below = Plan(platform=self.lock.platform, layers=layer.layers, workbench=None)
        with self.workshop.progress.step("leaving out what running does not need"):
            tree = read_tree(self.store, below)
            Slimming(store=self.store, layer=layer, tree=tree, sandbox=sandbox, folder=folder).build()

    def sandbox(self, layers: Sequence[str], folder: Path) -> Sandbox:
        """A root of built layers, whose changes are thrown away with `folder`."""
        lowers = tuple(self._root(key) for key in layers)
        return Sandbox(runtime=self.workshop.runtime(), lowers=lowers, upper=None, folder=folder)

    def _unpack_interpreter(self, layer: InterpreterLayer, target: Path) -> None:
        workshop = self.workshop
        archive = interpreters.fetch(
            workshop.uv,
            workshop.store,
            layer.interpreter,
            platform=self.lock.platform,
            mirror=workshop.configuration.python_install_mirror,
            progress=workshop.progress,
        )
        with workshop.progress.step(f"unpacking Python {layer.interpreter.version}"):
            interpreters.unpack(archive, target)

    def _build_debian(self, layers: Sequence[DebianLayer], built: dict[str, Future[Part]]) -> None:
        with ExitStack() as stack:
            missing: list[DebianLayer] = []
            for layer in layers:  # from the base up, so that two builders never wait for each other
                snapshot = snapshots.find(self.store, layer.key)
                if snapshot is None:
                    stack.enter_context(self._locked(layer))
                    snapshot = snapshots.find(self.store, layer.key)  # by whom we have waited for
                if snapshot is None:
                    missing.append(layer)
                else:
                    built[layer.key].set_result(_part(snapshot, reused=True))
            if missing:
                self._build_stages(missing, stack.enter_context(self.store.temporary()), built)

    def _build_stages(
        self, layers: Sequence[DebianLayer], folder: Path, built: dict[str, Future[Part]]
    ) -> None:
        began = time.monotonic()
        roots = [folder / layer.key / "root" for layer in layers]
        for layer, root in zip(layers, roots, strict=True):
            make_skeleton(root, layer.architecture, base=not layer.below)
        (folder / "scratch").mkdir()
        content = self.store.contents()
        stages = [(layer.packages, root) for layer, root in zip(layers, roots, strict=True)]
        count = sum(len(layer.packages) for layer in layers)
        with ExitStack() as stack:
            step = self.workshop.progress.step("unpacking", total=count, unit="packages")
            unpacking = stack.enter_context(
                Unpacking(
                    stages,
                    content=content,
                    scratch=folder / "scratch",
                    docs=layers[0].docs,
                    step=step,
                )
            )
            start(guard, unpacking.fail, self._feed, layers, unpacking, step)
            for number, layer in enumerate(layers):
                total = self._configure(layer, folder, unpacking.wait(number))
                built[layer.key].set_result(self._commit(layer, folder / layer.key, total, began))
                began = time.monotonic()

    def _feed(self, layers: Sequence[DebianLayer], unpacking: Unpacking, step: Step) -> None:
        stage = {package.sha256: number for number, layer in enumerate(layers) for package in layer.packages}
        workshop = self.workshop
        arriving = fetch(
            workshop.store,
            workshop.fetcher,
            workshop.archives(self.lock.debian.suite),
            [package for layer in layers for package in layer.packages],
            releases=self.lock.debian.releases,
            progress=workshop.progress,
        )
        with step:
            for package, _ in arriving:
                unpacking.submit(stage[package.sha256], package)
            unpacking.finish()
            unpacking.join()

    def _configure(self, layer: DebianLayer, folder: Path, unpacked: UnpackedStage) -> int:
        """Configure a stage and record its contents; returns the bytes of its files."""
        scratch = folder / f"{layer.key}.work"
        (scratch / "exchange").mkdir(parents=True)
        moment = recording.Moment.now(scratch)
        root = folder / layer.key / "root"
        below = [self.store.snapshot(key) for key in layer.below]
        sandbox = Sandbox(
            runtime=self.workshop.runtime(),
            lowers=tuple(path / "root" for path in below),
            upper=root,
            folder=scratch / "sandbox",
        )
        with self.workshop.progress.step(f"configuring {layer.name}"):
            stage = configure.Stage(
                below=configure.State.read(below[-1] / "dpkg.json") if below else configure.EMPTY,
                unpacked=unpacked.unpacked,
                deferred=unpacked.deferred,
                lists=unpacked.lists,
                interests=unpacked.interests,
                roots=(*sandbox.lowers, root),
                architecture=layer.architecture,
                docs=layer.docs,
                owners=scratch / "owners",
            )
            state = configure.configure(sandbox, scratch / "exchange", stage)
            state.write(folder / layer.key / "dpkg.json")
            return recording.record_contents(
                recording.Stage(
                    folder=folder / layer.key,
                    below=below,
                    records=unpacked.records,
                    links=stage.owners,
                    unpacked=moment,
                    content=self.store.contents(),
                    docs=layer.docs,
                )
            )

    def _commit(self, layer: Layer, folder: Path, total: int, began: float) -> Part:
        snapshot = Snapshot(
            name=layer.name,
            key=layer.key,
            bytes=total,
            seconds=round(time.monotonic() - began, 3),
        )
        snapshots.commit(self.store, folder, snapshot)
        return _part(snapshot, reused=False)

    def _root(self, key: str) -> Path:
        return self.store.snapshot(key) / "root"


def _bytes(layer: Layer, root: Path) -> int:
    # What an environment holds stands in its RECORDs: reading them takes a tenth of looking at each file.
    return recorded_bytes(root) if isinstance(layer, PythonLayer) else files.tree_bytes(root)


def _part(snapshot: Snapshot, *, reused: bool) -> Part:
    return Part(
        name=snapshot.name,
        key=snapshot.key,
        bytes=snapshot.bytes,
        seconds=0.0 if reused else snapshot.seconds,
        reused=reused,
    )
