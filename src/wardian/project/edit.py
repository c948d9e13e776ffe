"""Adds and removes packages in a written spec, keeping comments and order. It resolves nothing.

Every edit is checked by reading the new text as a spec before anything is written, and is written
whole or not at all.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from codecs import BOM_UTF8
from dataclasses import dataclass, field, replace
from pathlib import Path

from wardian.errors import SpecError
from wardian.project import grammar
from wardian.project.detect import Detection, detect
from wardian.project.document import read_bytes
from wardian.project.kinds import nearest
from wardian.project.read import SPEC_FILE, read_spec_text
from wardian.project.spec import PythonSpec, Spec, SystemSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


_PATIENCE = 2.0  # seconds that an edit waits for another one


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an edit did to the spec in `path`; `created` when it wrote a first one from what was detected."""

    path: Path
    created: bool
    added: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    _before: bytes | None = field(default=None, repr=False, compare=False)  # what stood in the file
    _written: bytes | None = field(default=None, repr=False, compare=False)

    def undo(self) -> None:
        """Put the file back as it was, unless nothing was written, or somebody has written it since."""
        from wardian.system.files import write_atomic

        with _alone(self.path.parent):
            if self._written is None or not self._is_as_written():
                return
            if self._before is None:
                self.path.unlink()
            else:
                write_atomic(self.path, self._before, durable=True)

    def _is_as_written(self) -> bool:
        try:
            return self.path.read_bytes() == self._written
        except OSError:  # somebody has removed it, or put something else there
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A spec's text before an edit; `raw` are the bytes of its file, None where there is none yet."""

    path: Path
    raw: bytes | None
    text: str
    prefix: tuple[str, ...]
    spec: Spec
    detection: Detection


def add(folder: Path, *, python: Sequence[str] = (), system: Sequence[str] = ()) -> Change:
    """Add requirements (PEP 508) and Debian packages; one of the same name is replaced.

    Requirements of one name stand side by side where each has a marker and no two have the same.

    Where no spec is written, what is detected is written first. Raises SpecError, before writing, for
    anything that is no requirement or no Debian package name.
    """
    python = _checked(python, grammar.check_requirement, "write a requirement such as pandas>=2")
    system = _checked(system, grammar.check_debian_package, "write a Debian package's name such as graphviz")
    with _alone(folder):
        return _add(_draft(folder), python, system)


def _add(draft: _Draft, python: Sequence[str], system: Sequence[str]) -> Change:
    before = draft.spec
    packages, added, replaced = _merge(_python(before).packages, python, _is_same_requirement)
    debian, more_added, more_replaced = _merge(before.system.packages, system, _is_same_debian)
    after = before
    if python:
        after = replace(after, python=replace(_python(before), packages=packages))
    after = replace(after, system=SystemSpec(packages=debian))
    return Change(
        path=draft.path,
        created=draft.detection.document is None,
        added=(*added, *more_added),
        replaced=(*replaced, *more_replaced),
        _before=draft.raw,
        _written=_write(draft, after),
    )


def remove(folder: Path, *, python: Sequence[str] = (), system: Sequence[str] = ()) -> Change:
    """Remove packages by name; raises SpecError, with near names, for one that the spec does not name."""
    with _alone(folder):
        return _remove(_draft(folder), python, system)


def _remove(draft: _Draft, python: Sequence[str], system: Sequence[str]) -> Change:
    before = draft.spec
    packages, removed = _without(_python(before).packages, python, _requirement_name, draft)
    debian, more_removed = _without(before.system.packages, system, grammar.debian_name, draft)
    after = replace(before, system=SystemSpec(packages=debian))
    if before.python is not None:
        after = replace(after, python=replace(before.python, packages=packages))
    return Change(
        path=draft.path,
        created=draft.detection.document is None,
        removed=(*removed, *more_removed),
        _before=draft.raw,
        _written=_write(draft, after),
    )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One edit of a folder at a time (flock(2) on it): of two at once, one would lose what the other adds."""
    with contextlib.ExitStack() as stack:
        # A folder that is none is for reading to tell; some file systems have no such locks.
        with contextlib.suppress(OSError, ValueError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            _lock(descriptor)
        yield


def _lock(descriptor: int) -> None:
    """Lock what is open, unless it stays locked: an edit takes milliseconds, so another's use of flock(1)."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.01)


def _python(spec: Spec) -> PythonSpec:
    return spec.python or PythonSpec()


def _checked(texts: Sequence[str], check: Callable[[str], str], hint: str) -> tuple[str, ...]:
    accepted = []
    for text in texts:
        try:
            accepted.append(check(text))
        except ValueError as error:
            raise SpecError(f"{text[:100]!r} {error}", hint=hint) from error
    return tuple(accepted)


def _requirement_name(text: str) -> str:
    return grammar.parse_requirement(text).name


def _is_same_requirement(one: str, other: str) -> bool:
    """Whether one gives way to the other: they are for the same package, and not for different systems."""
    first, second = grammar.parse_requirement(one), grammar.parse_requirement(other)
    is_apart = first.marker and second.marker and first.marker != second.marker
    return first.name == second.name and not is_apart


def _is_same_debian(one: str, other: str) -> bool:
    return grammar.debian_name(one) == grammar.debian_name(other)


def _draft(folder: Path) -> _Draft:
    folder = folder.absolute()
    detection = detect(folder)
    if document := detection.document:
        spec = read_spec_text(document.text, document.path, prefix=document.prefix)
        return _Draft(
            path=document.path,
            raw=read_bytes(document.path),
            text=document.text,
            prefix=document.prefix,
            spec=spec,
            detection=detection,
        )
    from wardian.project.initial import render

    path = folder / SPEC_FILE
    if detection.preset:  # who names packages wants these, not those of an empty folder
        bare = replace(detection.spec, python=replace(_python(detection.spec), packages=()))
        detection = replace(detection, spec=bare, sources=())
    text = render(detection.spec, detection.sources)
    spec = read_spec_text(text, path)
    return _Draft(path=path, raw=None, text=text, prefix=(), spec=spec, detection=detection)


def _merge(
    present: tuple[str, ...], wanted: Sequence[str], is_same: Callable[[str, str], bool]
) -> tuple[tuple[str, ...], list[str], list[str]]:
    """Return the packages with the wanted ones in them, and which were added and which replaced others."""
    packages = list(present)
    added: list[str] = []
    replaced: list[str] = []
    for text in wanted:
        same = [index for index, other in enumerate(packages) if is_same(other, text)]
        if not same:
            packages.append(text)
            added.append(text)
            continue
        if packages[same[0]] != text or same[1:]:
            replaced.append(text)
        packages[same[0]] = text
        packages = [other for index, other in enumerate(packages) if index not in same[1:]]
    return tuple(packages), added, replaced


def _without(
    present: tuple[str, ...], unwanted: Sequence[str], name_of: Callable[[str], str], draft: _Draft
) -> tuple[tuple[str, ...], list[str]]:
    removed: list[str] = []
    for text in unwanted:
        name = _name_or_text(text, name_of)
        found = [other for other in present if name_of(other) == name]
        if not found:
            raise _absent(text, name, [name_of(other) for other in present], draft)
        removed += found
        present = tuple(other for other in present if other not in found)
    return present, removed


def _name_or_text(text: str, name_of: Callable[[str], str]) -> str:
    try:
        return name_of(text)
    except ValueError:
        return text


def _absent(text: str, name: str, names: list[str], draft: _Draft) -> SpecError:
    message = f"{draft.path.name} names no package {text[:100]!r}"
    declared = {
        grammar.parse_requirement(line.partition(" --hash=")[0]).name
        for line in draft.detection.declared.requirements
    }
    if name in declared:
        files = ", ".join(_python(draft.spec).requirements)
        return SpecError(f"{message}: a requirement file does ({files})", hint="remove it from that file")
    near = nearest(name, tuple(names))
    return SpecError(message, hint=f"did you mean {near}?" if near else "see the spec for what it names")


def _write(draft: _Draft, after: Spec) -> bytes | None:
    """Write what the spec becomes; returns the file's bytes, None where there is nothing to change."""
    if after == draft.spec and draft.raw is not None:
        return None
    from wardian.system.files import write_atomic

    text = _edited(draft, after)
    if read_spec_text(text, draft.path, prefix=draft.prefix) != after:
        raise SpecError(
            f"{draft.path} is written in a way that cannot be edited without losing something",
            hint="write the packages into the file by hand",
        )
    # The byte order mark that reading passes over stays.
    mark = BOM_UTF8 if draft.raw is not None and draft.raw.startswith(BOM_UTF8) else b""
    raw = mark + text.encode()
    write_atomic(draft.path, raw, durable=True)
    return raw


def _edited(draft: _Draft, after: Spec) -> str:
    from tomlkit.exceptions import TOMLKitError

    from wardian.project.arrays import set_packages

    text = draft.text
    before, now = _python(draft.spec).packages, _python(after).packages
    try:
        if before != now or (draft.spec.python is None) != (after.python is None):
            text = set_packages(text, (*draft.prefix, "python"), now, _requirement_name)
        if after.system.packages != draft.spec.system.packages:
            text = set_packages(text, (*draft.prefix, "system"), after.system.packages, grammar.debian_name)
    except (TOMLKitError, RecursionError, TypeError, KeyError, ValueError) as error:
        raise SpecError(f"{draft.path} cannot be edited: {error}", hint="edit the file by hand") from error
    return text
