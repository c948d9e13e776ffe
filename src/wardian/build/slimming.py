"""Builds the slim layer: selects what goes, strips libraries, proves the rest, and keeps the outcome."""

from __future__ import annotations

import mmap
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.build import strip, units
from wardian.build.plan import BytecodeLayer, DebianLayer, InterpreterLayer, PythonLayer, SlimLayer
from wardian.build.prove import SYSTEM, Trial
from wardian.build.slim import Slimmed, SlimReport, report
from wardian.ecosystems.debian import slim as debian_slim
from wardian.ecosystems.python import slim as python_slim
from wardian.ecosystems.python.contents import source_path
from wardian.ecosystems.python.slim import Selection
from wardian.image.entry import Entry
from wardian.system import files

if TYPE_CHECKING:
    from wardian.build.tree import Tree
    from wardian.ecosystems.python.sandbox import Sandbox
    from wardian.store.store import Store

_LIBRARY = re.compile(r".*\.so(\.[\w.]+)?|.*/[^./]+")  # shared libraries, and what may be a program
_SMALLEST = 4096  # bytes of a file whose symbols are worth looking for
_ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Slimming:
    """One slim layer under construction in `folder`; `sandbox` makes a throw-away root of these layers."""

    store: Store
    layer: SlimLayer
    tree: Tree
    sandbox: Callable[[tuple[Path, ...]], Sandbox]
    folder: Path
    _restored: dict[str, str] = field(default_factory=dict)

    def build(self) -> SlimReport:
        """Make `folder`/snapshot with the stripped libraries and the report.

        Raises BuildError and HostError.
        """
        compiler = debian_slim.has_compiler(
            entry.path for entries in self.tree.debian.values() for entry in entries
        )
        selection = python_slim.select(self.tree.python, self._bytes, compiler=compiler)
        stripped = self._strip_all(selection)
        debian, interpreter = self._debian_kinds(compiler), self._interpreter_kinds(compiler)
        system = {path for kinds in (*debian.values(), interpreter) for path in kinds}
        code = {entry.path for entry in self.tree.bytecode if source_path(entry.path) in system}
        self._prove(selection, stripped, system | code)
        made = report([*self._python(selection, stripped), *self._below(debian, interpreter)])
        root = self.folder / "snapshot/root"
        self._link(stripped, root)
        made.write(self.folder / "snapshot")
        return made

    def _bytes(self, entry: Entry) -> bytes:
        return (self.tree.roots[entry.root] / entry.source).read_bytes()

    def _link(self, stripped: Mapping[str, Path], root: Path) -> None:
        if not root.is_dir():
            files.make_folder(root)
        for name, place in stripped.items():
            if name not in self._restored:
                units.link(place, root)

    def _strip_all(self, selection: Selection) -> dict[str, Path]:
        """Folders of stripped libraries, by package; those of wheels are kept for other images."""
        digests = {
            package.name: package.sha256 if package.file.endswith(".whl") else ""
            for layer in self.layer.layers
            if isinstance(layer, PythonLayer)
            for package in layer.packages
        }
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            made = {
                name: pool.submit(self._strip, name, digests.get(name, ""), selection)
                for name in self.tree.python
            }
            return {name: future.result() for name, future in made.items()}

    def _strip(self, name: str, digest: str, selection: Selection) -> Path:
        entries = [
            entry
            for entry in self.tree.python[name]
            if entry.kind == "file"
            and _LIBRARY.fullmatch(entry.path)
            and entry.size >= _SMALLEST
            and entry.path not in selection.dropped[name]
        ]
        told = [[entry.path, entry.size] for entry in entries]
        place = self.store.cache("stripped") / units.key(strip.VERSION, name, digest, told)
        if digest and place.is_dir():
            return place
        made = self.folder / "stripped" / name
        made.mkdir(parents=True)
        for entry in entries:
            self._strip_one(entry, made / entry.path)
        return units.keep(made, place) if digest else made

    def _strip_one(self, entry: Entry, target: Path) -> None:
        with open(self.tree.roots[entry.root] / entry.source, "rb") as file:
            if file.read(4) != b"\x7fELF":
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                data = strip.strip(content)
        if data is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(entry.mode)

    def _prove(self, selection: Selection, stripped: Mapping[str, Path], system: Collection[str]) -> None:
        """Try the imports without all that goes, and restore the packages that fail, until none does."""
        if not self.tree.python:
            return
        (self.folder / "proof").mkdir()
        roots = tuple(self.tree.roots[number] / "root" for number in range(len(self.layer.layers)))
        for turn in range(_ROUNDS):
            over = self.folder / f"over-{turn}"
            self._link(stripped, over)
            broken = self._trial(selection, system, roots, over).broken()
            if not broken:
                return
            fresh = {name: why for name, why in broken.items() if name not in self._restored}
            is_last = turn == _ROUNDS - 2 or (not fresh and SYSTEM in self._restored)
            if is_last or not fresh:  # what is missing is somewhere else: below, or anywhere
                names = (SYSTEM, *(self.tree.python if is_last else ()))
                fresh = dict.fromkeys(names, "; ".join(sorted(set(broken.values()))[:3]))
            self._restored.update({name: why for name, why in fresh.items() if name not in self._restored})

    def _trial(
        self, selection: Selection, system: Collection[str], roots: tuple[Path, ...], over: Path
    ) -> Trial:
        system = () if SYSTEM in self._restored else sorted(system)
        dropped = {name: {} if name in self._restored else found for name, found in selection.dropped.items()}
        identities = {
            package.name: package.sha256
            for layer in self.layer.layers
            if isinstance(layer, PythonLayer)
            for package in layer.packages
        }
        return Trial(
            store=self.store,
            packages=self.tree.python,
            dropped=dropped,
            system=system,
            states={
                name: units.key(
                    strip.VERSION, identities.get(name, ""), sorted(found), name in self._restored
                )
                for name, found in dropped.items()
            },
            ground=units.key(
                [
                    layer.key
                    for layer in self.layer.layers
                    if isinstance(layer, DebianLayer | InterpreterLayer)
                ],
                system,
            ),
            compiled=any(isinstance(layer, BytecodeLayer) for layer in self.layer.layers),
            full=lambda: self.sandbox(roots),
            slim=lambda: self.sandbox((*roots, over)),
            folder=self.folder / "proof",
        )

    def _python(self, selection: Selection, stripped: Mapping[str, Path]) -> list[Slimmed]:
        found = []
        for name, entries in self.tree.python.items():
            restored = self._restored.get(name, "")
            smaller = {} if restored else _sizes(stripped[name], entries)
            found.append(
                _slimmed(
                    ("python", name, name),
                    entries,
                    {} if restored else selection.dropped[name],
                    smaller,
                    {} if restored else selection.kept.get(name, {}),
                    restored,
                )
            )
        return found

    def _debian_kinds(self, compiler: bool) -> dict[str, dict[str, str]]:
        """What can go of Debian's packages, by their digest."""
        found = {}
        for digest, entries in self.tree.debian.items():
            kinds = {
                entry.path: kind
                for entry in entries
                if entry.kind != "directory" and (kind := debian_slim.kind(entry.path, compiler=compiler))
            }
            linked = {
                entry.target for entry in entries if entry.kind == "hardlink" and entry.path not in kinds
            }
            found[digest] = {path: kind for path, kind in kinds.items() if path not in linked}
        return found

    def _interpreter_kinds(self, compiler: bool) -> dict[str, str]:
        return {
            entry.path: kind
            for entry in self.tree.interpreter
            if entry.kind != "directory"
            and (kind := python_slim.interpreter_kind(entry.path, compiler=compiler))
        }

    def _below(
        self, debian: Mapping[str, Mapping[str, str]], interpreter: Mapping[str, str]
    ) -> list[Slimmed]:
        names = {
            package.sha256: package.name
            for layer in self.layer.layers
            if isinstance(layer, DebianLayer)
            for package in layer.packages
        }
        parts = [
            (("debian", digest, names.get(digest, digest)), self.tree.debian[digest], kinds)
            for digest, kinds in debian.items()
        ]
        parts.append((("interpreter", "", "python"), self.tree.interpreter, interpreter))
        restored = self._restored.get(SYSTEM, "")
        return [
            _slimmed(who, entries, {} if restored else kinds, {}, {}, restored if kinds else "")
            for who, entries, kinds in parts
        ]


def _slimmed(
    who: tuple[str, str, str],
    entries: tuple[Entry, ...],
    dropped: Mapping[str, str],
    stripped: Mapping[str, int],
    kept: Mapping[str, str],
    restored: str,
) -> Slimmed:
    sizes = {entry.path: entry.size for entry in entries}
    freed: dict[str, int] = defaultdict(int)
    for path, kind in dropped.items():
        freed[kind] += sizes[path]
    for path, size in stripped.items():
        freed["symbols"] += sizes[path] - size
    return Slimmed(
        ecosystem=who[0],
        identity=who[1],
        name=who[2],
        dropped=dict(dropped),
        stripped=dict(stripped),
        kept=dict(kept),
        restored=restored,
        freed={kind: count for kind, count in sorted(freed.items()) if count},
    )


def _sizes(folder: Path, entries: tuple[Entry, ...]) -> dict[str, int]:
    found = {}
    for entry in entries:
        if entry.kind == "file" and _LIBRARY.fullmatch(entry.path):
            path = folder / entry.path
            if path.is_file():
                found[entry.path] = path.stat().st_size
    return found
