"""Drives `unpack.py`'s process: hands it layers as they arrive, and keeps what comes out as snapshots.

A layer's snapshot has the key of its diff_id, whatever image it is of: each is unpacked once. Beside `root/`
lies `layer.json` where the layer hides all that is below it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from wardian.errors import HostError, ImageError, VerificationError
from wardian.image import unpack
from wardian.image.decompress import bound, drop_damaged, sniff
from wardian.image.library import layer_snapshot_key
from wardian.store import snapshots
from wardian.system.processes import module_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from wardian.image.descriptor import Descriptor, Digest
    from wardian.store.store import Store
    from wardian.system.progress import Progress

_OPAQUE = "layer.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A layer under way."""

    number: int
    blob: Digest
    diff_id: Digest
    started: float


class Unpacking:
    """The layers of one image being unpacked in parallel, in any order; a context manager.

    `what` names the image in errors; `diff_ids` are its configuration's, from bottom to top.
    """

    def __init__(self, store: Store, diff_ids: Sequence[Digest], *, what: str, progress: Progress) -> None:
        self._store, self._diff_ids, self._what, self._progress = store, diff_ids, what, progress
        self._stack = ExitStack()
        self._guard = threading.Lock()
        self._seen: set[Digest] = set()
        self._waiting: dict[int, _Layer] = {}
        self._failure: Exception | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Unpacking:
        self._folder = self._stack.enter_context(self._store.temporary())
        self._step = self._stack.enter_context(
            self._progress.step(f"unpacking {self._what}", total=len(self._diff_ids), unit="layers")
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if self._process is None:
                return
            if error:
                self._process.kill()
            self._finish(self._process)

    def submit(self, number: int, descriptor: Descriptor) -> None:
        """Have layer `number`, whose blob is in the store, unpacked unless it is there already.

        May be called from any thread. Raises ImageError where the store has no such blob, and the failure of
        a layer that came before.
        """
        diff_id = self._diff_ids[number]
        with self._guard:
            if self._failure:
                raise self._failure
            if diff_id in self._seen:
                self._step.advance()
                return
            self._seen.add(diff_id)
            if snapshots.find(self._store, layer_snapshot_key(diff_id)):
                self._step.advance()
                return
            compression = _compression(self._store.content(descriptor.digest.hex), self._what)
            layer = _Layer(number=number, blob=descriptor.digest, diff_id=diff_id, started=time.monotonic())
            (self._folder / str(number) / "root").mkdir(parents=True)
            (self._folder / str(number) / "root").chmod(0o755)
            self._waiting[number] = layer
            largest = bound(descriptor.size)
            self._send(unpack.task(number, descriptor.digest.hex, compression, largest))

    def join(self) -> None:
        """Wait until all that came is unpacked.

        Raises VerificationError for bytes that are not those named, ImageError for a layer that cannot be
        unpacked or would harm, HostError where the disk or the kernel refuses.
        """
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                _pipe(self._process.stdin).close()
            self._reader.join()
        if self._failure:
            raise self._failure

    def _send(self, line: bytes) -> None:
        if self._process is None:
            self._process = self._start()
            self._reader.start()
        try:
            _pipe(self._process.stdin).write(line)
            _pipe(self._process.stdin).flush()
        except BrokenPipeError:
            pass  # the reader sees it end, and says why

    def _start(self) -> subprocess.Popen[bytes]:
        workers = min(len(os.sched_getaffinity(0)), len(self._diff_ids), 8)
        words = [str(self._store.contents()), str(self._folder), str(workers), str(os.getpid())]
        return subprocess.Popen(
            module_command(unpack.__name__, *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _finish(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(BrokenPipeError):
            _pipe(process.stdin).close()
        process.wait()
        self._reader.join()
        _pipe(process.stdout).close()
        _pipe(process.stderr).close()

    def _read(self) -> None:
        assert self._process is not None  # started just before
        try:
            for line in _pipe(self._process.stdout):
                self._take(json.loads(line))
        except Exception as error:
            self._fail(error)
        with self._guard:
            missing = bool(self._waiting)
        if missing and not self._failure:
            end = _pipe(self._process.stderr).read().decode(errors="replace").strip().splitlines()[-1:]
            self._fail(HostError(f"unpacking ended early: {''.join(end)}", hint="run `wardian doctor`"))

    def _take(self, answer: Mapping[str, Any]) -> None:
        with self._guard:
            layer = self._waiting[answer["number"]]
        if answer["error"]:
            raise self._explain(layer, answer["error"], answer["kind"])
        if answer["diff_id"] != layer.diff_id:
            what = f"it unpacks to {answer['diff_id']}, and the image's configuration says {layer.diff_id}"
            raise self._explain(layer, what, "other")
        self._keep(layer, answer)
        with self._guard:
            del self._waiting[layer.number]
        self._step.advance()

    def _keep(self, layer: _Layer, answer: Mapping[str, Any]) -> None:
        if answer["skipped"]:
            self._progress.message(
                f"layer {layer.diff_id[:19]}: {answer['skipped']} device files and the like were left out: "
                + ", ".join(answer["examples"])
            )
        folder = self._folder / str(layer.number)
        if answer["opaque"]:
            (folder / _OPAQUE).write_text(json.dumps({"opaque": True}))
        key = layer_snapshot_key(layer.diff_id)
        snapshot = snapshots.Snapshot(
            name="layer",
            key=key,
            bytes=answer["bytes"],
            seconds=round(time.monotonic() - layer.started, 3),
        )
        # Not held while it is unpacked: two images that share layers would wait for each other.
        with self._store.lock(key):
            if not snapshots.find(self._store, key):
                snapshots.commit(self._store, folder, snapshot)

    def _explain(self, layer: _Layer, reason: str, kind: str) -> Exception:
        message = f"cannot unpack layer {layer.blob} of {self._what}: {reason}"
        if kind == "full":
            return HostError(message, hint="free some space, for example by `wardian prune`, and try again")
        if kind == "host":
            return HostError(message, hint="run `wardian doctor`")
        what = f"the stored layer {layer.blob} of {self._what}"
        try:
            drop_damaged(self._store.content(layer.blob.hex), layer.blob, what)
        except (ImageError, VerificationError) as error:
            return error
        if kind == "other":
            return VerificationError(message, hint="the image itself is wrong: ask whoever made it")
        return ImageError(message, hint="do not trust this image: ask whoever made it")

    def _fail(self, failure: Exception) -> None:
        with self._guard:
            self._failure = self._failure or failure
        assert self._process is not None  # it has answered
        self._process.kill()


def folders(store: Store, diff_ids: Sequence[Digest]) -> list[Path]:
    """The unpacked layers' root folders from bottom to top, as an overlay takes them.

    A layer that comes twice stands once, where it is topmost: it decides there about all that it holds. What
    lies below a layer that hides everything is left out, since overlayfs knows no opaque root.
    """
    found: list[Path] = []
    for diff_id in reversed(diff_ids):
        folder = store.snapshot(layer_snapshot_key(diff_id))
        if folder / "root" in found:
            continue
        found.append(folder / "root")
        if (folder / _OPAQUE).exists():
            break
    return found[::-1]


def are_there(store: Store, diff_ids: Sequence[Digest]) -> bool:
    """Whether all layers have been unpacked."""
    return all(snapshots.find(store, layer_snapshot_key(diff_id)) for diff_id in diff_ids)


def _compression(blob: Path, what: str) -> str:
    """How a layer is compressed by its first bytes, as engines read it: media types are often wrong."""
    try:
        with open(blob, "rb") as file:
            return sniff(file.read(8))
    except OSError as error:
        raise ImageError(
            f"the layer sha256:{blob.name} of {what} is not in the store: {error.strerror}",
            hint="pull, load or build the image again",
        ) from error


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # every stream is asked for as a pipe
    return stream
