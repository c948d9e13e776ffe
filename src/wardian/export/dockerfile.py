"""A Dockerfile of a locked project, with all it needs in one folder: for any builder, without wardian."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.ecosystems.debian.paths import dpkg_configuration
from wardian.errors import HostError, ImageError
from wardian.export.code import copy_code
from wardian.export.form import APT_CONFIGURATION, APT_FILE, CODE, DEBIAN, PYTHON, packages_file
from wardian.export.places import Places, comment
from wardian.export.python_stages import environment_files
from wardian.export.requirements import requirements_text
from wardian.export.simple import simple_blocks
from wardian.export.stages import DROPPED, FILTERS, stages
from wardian.system.files import remove_tree

if TYPE_CHECKING:
    from wardian.export.source import Source
    from wardian.export.stages import Block

DOCKERFILE, CLASSIC, IGNORE = "Dockerfile", "Dockerfile.classic", ".dockerignore"
_HEADER = "# Written by `wardian export dockerfile`"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
_OURS = frozenset({DOCKERFILE, CLASSIC, IGNORE, DEBIAN, PYTHON, CODE})


def write_dockerfile(folder: Path, source: Source, *, simple: bool = False) -> tuple[Path, ...]:
    """Write the build context `folder`; returns the paths of its files, those of the code left out.

    The folder is new, empty, or one that this function has written before: then it is replaced. It appears
    whole or not at all. Raises ImageError for a folder that holds anything else, and for what a Dockerfile
    cannot say; HostError when the disk refuses.
    """
    asked = Path(os.path.abspath(folder))
    # Without links, as the project's folder is: which of its files lie in the target is told by the paths.
    target = Path(os.path.realpath(asked.parent), asked.name)
    _check(target)
    files = dockerfile_files(source, simple=simple)
    new = target.with_name(f".{target.name}.{os.urandom(6).hex()}.tmp")
    try:
        for name, text in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_text(text, encoding="utf-8")
            (new / name).chmod(0o755 if text.startswith("#!") else 0o644)
        copy_code(new / CODE, source, leave_out=target)
        _replace(target, new)
    except OSError as error:
        raise HostError(
            f"cannot write {target}: {error.strerror} ({error.filename})",
            hint="check the folder's permissions and free space",
        ) from error
    finally:
        remove_tree(new)  # what was replaced, or was not finished
    return tuple(asked / name for name in files)


def dockerfile_files(source: Source, *, simple: bool = False) -> Mapping[str, str]:
    """The context's files by their paths, without the code; the same for the same source."""
    places = Places.of(source.detection)
    files = dict(_simple_files(source, places) if simple else _files(source, places))
    allowed = sorted(
        {name.partition("/")[0] for name in files if "/" in name} | ({CODE} if source.code else set())
    )
    ignore = ["# Nothing but what the Dockerfile uses.", "*", *(f"!{name}" for name in allowed)]
    return {**files, IGNORE: "\n".join(ignore) + "\n"}


def _files(source: Source, places: Places) -> Iterator[tuple[str, str]]:
    name = source.spec.name
    told = (
        f"Build it with BuildKit, buildah or podman: docker build -t {name} .",
        f"Docker's classic builder has no cache mounts: docker build -f {CLASSIC} -t {name} .",
    )
    yield DOCKERFILE, _text(source, told, stages(source, places, mounts=True))
    alone = (f"For builders without cache mounts: docker build -f {CLASSIC} -t {name} .",)
    yield CLASSIC, _text(source, alone, stages(source, places, mounts=False))
    for lock in source.locks:
        architecture = lock.platform.debian
        listed = sorted(f"{package.name}={package.version}\n" for package in lock.debian.packages)
        yield f"{DEBIAN}/{packages_file(source, architecture, 'packages')}", "".join(listed)
        if lock.python:
            yield f"{PYTHON}/{packages_file(source, architecture, 'requirements')}", requirements_text(lock)
    yield from _constant_files(source)


def _constant_files(source: Source) -> Iterator[tuple[str, str]]:
    """What does not depend on the platform."""
    yield f"{DEBIAN}/{APT_FILE}", APT_CONFIGURATION
    if not source.spec.image.docs:
        yield f"{DEBIAN}/{FILTERS}", dpkg_configuration(docs=False)
    for path, text in environment_files(source).items():
        yield f"{PYTHON}/venv/{path}", text
    for folder, paths in ((DEBIAN, source.dropped_debian), (PYTHON, source.dropped_python)):
        if paths:
            yield f"{folder}/{DROPPED}.txt", "".join(f"{path}\n" for path in paths)


def _simple_files(source: Source, places: Places) -> Iterator[tuple[str, str]]:
    told = (f"Build it: docker build -t {source.spec.name} .",)
    yield DOCKERFILE, _text(source, told, simple_blocks(source, places))
    lock = source.locks[0]
    if lock.python:
        yield f"{PYTHON}/requirements.txt", requirements_text(lock, hashes=False)


def _text(source: Source, told: tuple[str, ...], blocks: list[Block]) -> str:
    written = Places.of(source.detection).file
    sentences = () if written else source.detection.sources
    header = [
        f"{_HEADER} from {written or 'what was found in the folder'} and wardian.lock.",
        *comment(*told),
    ]
    return "\n\n".join("\n".join(block) for block in [[*header, *comment(*sentences)], *blocks]) + "\n"


def _check(target: Path) -> None:
    """Raise ImageError unless `target` may be written, or replaced."""
    if not os.path.lexists(target):
        return
    hint = "name a new folder with -o"
    if target.is_symlink() or not target.is_dir():
        raise ImageError(f"cannot write {target}: it is there and no folder", hint=hint)
    try:
        names = set(os.listdir(target))
        begins = (target / DOCKERFILE).read_text(errors="replace") if DOCKERFILE in names else ""
    except OSError as error:
        raise ImageError(f"cannot read {target}: {error.strerror}", hint=hint) from error
    if names and not (names <= _OURS and begins.startswith(_HEADER)):
        raise ImageError(f"cannot write {target}: it holds other files", hint=hint)


def _replace(target: Path, new: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        os.rename(new, target)
    elif not _exchange(target, new):
        old = target.with_name(f".{target.name}.{os.urandom(6).hex()}.tmp")
        os.rename(target, old)
        try:
            os.rename(new, target)
        except OSError:
            os.rename(old, target)
            raise
        os.rename(old, new)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders at once (renameat2(2)); whether the file system and the C library can do that."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "renameat2"):
        return False
    paths = os.fsencode(one), os.fsencode(other)
    return int(libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE)) == 0
