"""Layers made from recipes, once for each content, by processes (packing_process.py); kept in the store.

    layers/KEY.COMPRESSION.json     what a layer's blob is: digests, sizes
    content/sha256/…                the blob

The record is written after the blob, and counts only while the blob is there with its size. Nothing is
forced to the disk: what a loss of power takes shows in the blob's size, and the layer is made again.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.errors import HostError, ImageError, InternalError
from wardian.image import tar
from wardian.image.compression import FORMATS, MEDIA_TYPES, Compression
from wardian.image.descriptor import Descriptor, Digest
from wardian.image.entry import Entry
from wardian.image.packing_process import Worker
from wardian.system import files

if TYPE_CHECKING:
    from types import TracebackType

    from wardian.store.store import Store
    from wardian.system.progress import Step

# More processes would wait for the disk, and each takes up to 64 MiB.
_MOST_PROCESSES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a layer is made of.

    `key` is the hash of all that decides the tar's bytes. `roots` are the folders that entries' sources are
    relative to. `entries` is called only if the layer has to be made. `check` is called when it has been,
    and raises where the files may have changed meanwhile, so that they are not what the key says. With
    `links`, files with the same content become hard links (twins.py).
    """

    key: str
    name: str
    roots: tuple[Path, ...]
    entries: tuple[Entry, ...] | Callable[[], Iterable[Entry]]
    check: Callable[[], None] | None = None
    links: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A layer in the store: `diff_id` and `size` are its tar's, the descriptor is its blob's."""

    name: str
    diff_id: Digest
    descriptor: Descriptor
    size: int


def packed(store: Store, key: str, compression: Compression) -> Packed | None:
    """The layer of that key, if it was made before and its blob is still there."""
    try:
        record = json.loads(_record(store, key, compression).read_bytes())
        found = Packed(
            name=str(record["name"]),
            diff_id=Digest.parse(record["diff_id"]),
            descriptor=Descriptor.parse(record["descriptor"], "a layer's record"),
            size=int(record["size"]),
        )
        there = os.stat(store.content(found.descriptor.digest.hex)).st_size == found.descriptor.size
    except (OSError, ValueError, KeyError, TypeError, ImageError):
        return None
    return found if there and record.get("format") == FORMATS[compression] else None


class Packing:
    """Layers being packed, on all cores; a context manager, whose end waits for them.

    `step` advances by bytes of tars. Where its block is left by an error, what is under way is given up.
    """

    def __init__(self, store: Store, *, compression: Compression, step: Step) -> None:
        self._store, self._compression, self._step = store, compression, step
        self._jobs: queue.SimpleQueue[tuple[Recipe, Future[Packed]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._most = min(len(os.sched_getaffinity(0)), _MOST_PROCESSES)
        self._expected = 0
        self._given_up = False
        self._resources = ExitStack()
        self._folder: Path | None = None

    def __enter__(self) -> Packing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._resources:
            try:
                if error is None:
                    self._finish()
            finally:
                self._give_up()

    def submit(self, recipe: Recipe) -> Future[Packed]:
        """Have a layer made, unless it is there. The future may raise VerificationError, for a file that is
        not as its entry says, ImageError, for an entry that no tar can hold, and HostError.
        """
        future: Future[Packed] = Future()
        if found := packed(self._store, recipe.key, self._compression):
            future.set_result(replace(found, name=recipe.name))
            return future
        if isinstance(recipe.entries, tuple):
            self._expect(sum(map(tar.estimate, recipe.entries)))
        self._jobs.put((recipe, future))
        if len(self._workers) < self._most:
            self._begin()
        return future

    def _begin(self) -> None:
        with self._lock:
            if self._folder is None:
                self._folder = self._resources.enter_context(self._store.temporary())
            worker = Worker(self._folder)
            self._workers.append(worker)
        # Daemons: Ctrl-C does not wait for one that waits for another wardian's lock.
        threading.Thread(target=self._work, args=(worker,), daemon=True, name="packing").start()

    def _finish(self) -> None:
        for _ in self._workers:
            self._jobs.put(None)
        for worker in self._workers:
            worker.done.wait()

    def _give_up(self) -> None:
        with self._lock:
            self._given_up = True
            for worker in self._workers:
                worker.kill()
        with contextlib.suppress(queue.Empty):
            while True:
                if job := self._jobs.get_nowait():
                    job[1].cancel()
        for _ in self._workers:
            self._jobs.put(None)

    def _expect(self, amount: int) -> None:
        with self._lock:
            self._expected += amount
            self._step.total(self._expected)

    # In workers' threads.

    def _work(self, worker: Worker) -> None:
        while job := self._jobs.get():
            recipe, future = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(self._make(worker, recipe))
            except BaseException as error:
                future.set_exception(error)
        worker.end()
        worker.done.set()

    def _make(self, worker: Worker, recipe: Recipe) -> Packed:
        with self._store.lock(f"layer-{recipe.key}"):
            if found := packed(self._store, recipe.key, self._compression):  # another process was quicker
                self._step.advance(found.size)
                return replace(found, name=recipe.name)
            entries = recipe.entries if isinstance(recipe.entries, tuple) else tuple(recipe.entries())
            estimate = sum(map(tar.estimate, entries))
            if not isinstance(recipe.entries, tuple):
                self._expect(estimate)
            with self._lock:
                if self._given_up:
                    raise InternalError("packing was given up")
                worker.start()
            answer = worker.pack(recipe, self._compression, entries, self._step)
            if recipe.check:
                recipe.check()
            self._expect(answer["tar_size"] - estimate)
            return self._keep(worker, recipe, answer)

    def _keep(self, worker: Worker, recipe: Recipe, answer: dict[str, Any]) -> Packed:
        """Give a blob its name, then write its record."""
        made = Packed(
            name=recipe.name,
            diff_id=Digest(f"sha256:{answer['tar_sha256']}"),
            descriptor=Descriptor(
                media_type=MEDIA_TYPES[self._compression],
                digest=Digest(f"sha256:{answer['sha256']}"),
                size=answer["size"],
                annotations=answer["annotations"],
            ),
            size=answer["tar_size"],
        )
        target = self._store.content(made.descriptor.digest.hex)
        record = _record(self._store, recipe.key, self._compression)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            worker.path.rename(target)
        except OSError as error:
            raise HostError(f"cannot keep the layer {recipe.name}: {error.strerror}") from error
        files.write_atomic(record, json.dumps(_as_json(made, FORMATS[self._compression])))
        return made


def _record(store: Store, key: str, compression: Compression) -> Path:
    return store.layers() / f"{key}.{compression.replace(':', '-')}.json"


def _as_json(layer: Packed, form: str) -> dict[str, Any]:
    return {
        "name": layer.name,
        "diff_id": str(layer.diff_id),
        "size": layer.size,
        "descriptor": layer.descriptor.as_json(),
        "format": form,
    }
