"""Drives `unpack.py`'s process: hands it packages as they arrive, collects what it answers."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from wardian.ecosystems.debian import unpack
from wardian.ecosystems.debian.database import Unpacked
from wardian.ecosystems.debian.record import Record
from wardian.errors import BuildError, HostError, VerificationError
from wardian.system import files
from wardian.system.processes import module_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from wardian.ecosystems.debian.model import DebianPackage
    from wardian.system.progress import Step

# Merged /usr (Debian's usrmerge): the links are there before anything lands in them.
_ALIASES = {"amd64": ("bin", "sbin", "lib", "lib64"), "ppc64el": ("bin", "sbin", "lib", "lib64")}


def make_skeleton(root: Path, architecture: str, *, base: bool) -> None:
    """The folders and links that must stand before the first package is unpacked into `root`.

    Above the base, so must the links into /run, which base-files makes: some packages still ship the old
    paths below /var.
    """
    if not base:
        files.make_folder(root / "run/lock")
        (root / "run/lock").chmod(0o1777)
        files.make_folder(root / "var")
        (root / "var/run").symlink_to("/run")
        (root / "var/lock").symlink_to("/run/lock")
    for name in _ALIASES.get(architecture, ("bin", "sbin", "lib")):
        files.make_folder(root / "usr" / name)
        (root / name).symlink_to(f"usr/{name}")
    for name in ("info", "updates", "triggers", "alternatives"):
        files.make_folder(root / "var/lib/dpkg" / name)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedStage:
    """What unpacking a stage left.

    `unpacked` is what configuring has to know, `deferred` are the files that are left to dpkg, `lists` what
    dpkg shall list of these then, as the bytes of files in its info database, and `interests` their names
    with their `triggers`. `records` tell what each package holds, in the order of names.
    """

    unpacked: tuple[Unpacked, ...]
    deferred: tuple[Path, ...]
    lists: Mapping[str, bytes]
    interests: tuple[tuple[str, str], ...]
    records: tuple[Record, ...]


@dataclass(slots=True)
class _Stage:
    """Packages that a stage still waits for, and what the finished ones left."""

    waiting: set[str]
    unpacked: list[Unpacked] = field(default_factory=list)
    deferred: list[str] = field(default_factory=list)
    lists: dict[str, bytes] = field(default_factory=dict)
    interests: list[tuple[str, str]] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)


class Unpacking:
    """Packages of several stages being unpacked in parallel; a context manager.

    `stages` are the packages of each stage and the root that they go to; `docs` says that documentation
    is kept.
    """

    def __init__(
        self,
        stages: Sequence[tuple[Sequence[DebianPackage], Path]],
        *,
        content: Path,
        scratch: Path,
        docs: bool,
        step: Step,
    ) -> None:
        self._stages = [_Stage({package.sha256 for package in packages}) for packages, _ in stages]
        self._names = {package.sha256: package.name for packages, _ in stages for package in packages}
        self._content, self._scratch, self._step = content, scratch, step
        self._failure: Exception | None = None
        versions = [{package.name: package.version for package in packages} for packages, _ in stages]
        (scratch / unpack.VERSIONS).write_text(json.dumps(versions))
        base = next((number for number, (packages, _) in enumerate(stages) if packages[0].stage == 0), -1)
        self._process = self._start([root for _, root in stages], base, docs)
        self._reader = threading.Thread(target=self._read, daemon=True)

    def _start(self, roots: Sequence[Path], base: int, docs: bool) -> subprocess.Popen[bytes]:
        workers = min(len(os.sched_getaffinity(0)), 8)
        words = [str(self._content), str(self._scratch), str(workers), "1" if docs else "0", str(base)]
        words += map(str, roots)
        return subprocess.Popen(
            module_command(unpack.__name__, *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> Unpacking:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error:
            self._process.kill()
        self.finish()
        self._process.wait()
        self._reader.join()
        _pipe(self._process.stdout).close()
        _pipe(self._process.stderr).close()

    def submit(self, stage: int, package: DebianPackage) -> None:
        """Have a package, which is in the content store, unpacked into its stage's root."""
        try:
            _pipe(self._process.stdin).write(f"{stage:03} {package.sha256}\n".encode())
            _pipe(self._process.stdin).flush()
        except (BrokenPipeError, ValueError) as error:
            raise self._failure or BuildError("unpacking ended early") from error

    def finish(self) -> None:
        """No more packages come."""
        with contextlib.suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()

    def join(self) -> None:
        """Wait until all that came is unpacked."""
        self._reader.join()

    def fail(self, failure: Exception) -> None:
        """Give up: who waits gets `failure`. The workers die with their parent (unpack.py)."""
        self._failure = self._failure or failure
        self._process.kill()
        for stage in self._stages:
            stage.done.set()

    def wait(self, stage: int) -> UnpackedStage:
        """Wait until a stage is unpacked."""
        entry = self._stages[stage]
        entry.done.wait()
        if self._failure:
            raise self._failure
        return UnpackedStage(
            unpacked=tuple(entry.unpacked),
            deferred=tuple(self._content / digest[:2] / digest for digest in sorted(entry.deferred)),
            lists=dict(sorted(entry.lists.items())),
            interests=tuple(sorted(entry.interests)),
            records=tuple(sorted(entry.records.values(), key=lambda record: record.package.name)),
        )

    def _read(self) -> None:
        try:
            for line in _pipe(self._process.stdout):
                self._take(json.loads(line))
        except Exception as error:
            self.fail(error)
        missing = [self._names[digest] for stage in self._stages for digest in stage.waiting]
        if missing and not self._failure:
            end = _pipe(self._process.stderr).read().decode(errors="replace").strip().splitlines()[-1:]
            self._failure = BuildError(f"unpacking ended early: {''.join(end)}", hint="run `wardian doctor`")
        for stage in self._stages:
            stage.done.set()

    def _take(self, answer: Mapping[str, str]) -> None:
        stage, digest = self._stages[int(answer["root"])], answer["sha256"]
        if answer["error"]:
            if answer["kind"] == "damaged":  # then the next build fetches it again
                (self._content / digest[:2] / digest).unlink(missing_ok=True)
            self.fail(_failure(self._names[digest], answer["error"], answer["kind"]))
            return
        told = json.loads((self._scratch / f"{int(answer['root']):03}-{digest}").read_text())
        stage.records[digest] = Record.parse(told["record"], name=self._names[digest], sha256=digest)
        if unpacked := told.get("unpacked"):
            stage.unpacked.append(Unpacked(**{**unpacked, "paths": tuple(unpacked["paths"])}))
        else:
            stage.deferred.append(digest)
            stage.lists |= {name: text.encode("latin-1") for name, text in told["lists"].items()}
            name, triggers = told["interests"]
            stage.interests.append((name, triggers))
        stage.waiting.discard(digest)
        self._step.advance()
        if not stage.waiting:
            stage.done.set()


def _failure(name: str, reason: str, kind: str) -> Exception:
    message = f"cannot unpack the Debian package {name}: {reason}"
    if kind == "full":
        return HostError(message, hint="free some space, for example by `wardian prune`, and build again")
    if kind == "attributes":
        message = f"the store's file system keeps no extended attributes, and {name} needs them"
        return HostError(message, hint="set WARDIAN_HOME to a folder on a local disk (ext4, xfs or btrfs)")
    if kind == "damaged":
        return VerificationError(message, hint="build again: it was removed, and is fetched anew")
    return BuildError(message, hint="run `wardian doctor`")


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # every stream is asked for as a pipe
    return stream
