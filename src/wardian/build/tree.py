"""The file tree of an image, package by package: who brings what. Read from snapshots, not from the disk's
owners and modes, which are the builder's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.build import slim
from wardian.build.plan import (
    BytecodeLayer,
    DebianLayer,
    InterpreterLayer,
    Plan,
    PythonLayer,
    SlimLayer,
)
from wardian.ecosystems.debian import contents as debian_contents
from wardian.ecosystems.python import contents as python_contents
from wardian.image.entry import Entry

if TYPE_CHECKING:
    from wardian.store.store import Store

Entries = tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What an image's packages bring, and what belongs to none of them.

    `debian` is by a package's sha256, `python` by normalized name. `state` is what configuring Debian's
    packages left, `environment` the Python environment without its packages, `bytecode` that of the
    standard library. `roots` are the folders that entries' sources are relative to.
    """

    roots: tuple[Path, ...]
    debian: Mapping[str, Entries]
    state: Entries
    interpreter: Entries
    python: Mapping[str, Entries]
    environment: Entries
    bytecode: Entries


def read_tree(store: Store, made: Plan) -> Tree:
    """Read the tree of a built plan."""
    roots = tuple(store.snapshot(layer.key) for layer in made.layers)
    debian: dict[str, Entries] = {}
    stages: list[tuple[list[Entries], Entries]] = []
    interpreter: Entries = ()
    python = python_contents.EMPTY
    bytecode: Entries = ()
    for number, layer in enumerate(made.layers):
        if isinstance(layer, DebianLayer):
            found = debian_contents.read(roots[number], root=number)
            debian |= {package.sha256: package.entries for package in found.packages}
            stages.append(([package.entries for package in found.packages], found.changes))
        elif isinstance(layer, InterpreterLayer):
            interpreter = python_contents.read_interpreter(roots[number], root=number)
        elif isinstance(layer, PythonLayer):
            names = {package.name for package in layer.packages}
            python = python_contents.read(roots[number], names=names, root=number)
        elif isinstance(layer, BytecodeLayer):
            python, bytecode = python_contents.with_bytecode(python, roots[number], root=number)
    tree = Tree(
        roots=roots,
        debian=debian,
        state=compose(stages),
        interpreter=interpreter,
        python=python.packages,
        environment=python.rest,
        bytecode=bytecode,
    )
    for number, layer in enumerate(made.layers):
        if isinstance(layer, SlimLayer):
            tree = slim.apply(tree, slim.SlimReport.read(roots[number]), number)
    return tree


def compose(stages: Sequence[tuple[Sequence[Entries], Entries]]) -> Entries:
    """What has to lie above the packages of all stages, so that the tree is what configuring left.

    `stages` are the packages' entries in their order, and the changes of each. All packages lie below all
    changes in the image, whatever their stage: so a change to what a later stage's package brings anew is
    void, and folders of which packages say different things are given the attributes that the first one
    gave them: which of their layers is uppermost is not known here.
    """
    state: dict[str, Entry] = {}
    folders: dict[str, Entry] = {}
    contested: set[str] = set()
    for packages, changes in stages:
        for entries in packages:
            for entry in entries:
                if entry.kind == "directory":
                    if entry.path in state and state[entry.path].kind == "whiteout":
                        del state[entry.path]
                    first = folders.setdefault(entry.path, entry)
                    if _attributes(entry) != _attributes(first):
                        contested.add(entry.path)
                else:
                    state.pop(entry.path, None)
        state |= {entry.path: entry for entry in changes}
    for path in contested:
        state.setdefault(path, folders[path])
    # Engines that keep each layer in a folder of its own make parents that it lacks as they like, and the
    # topmost layer's attributes count.
    for path in list(state):
        for parent in _parents(path):
            if parent in folders:
                state.setdefault(parent, folders[parent])
    return tuple(state[path] for path in sorted(state))


def _parents(path: str) -> tuple[str, ...]:
    """The folders that lead to `path`, the outermost first."""
    names = path.split("/")[:-1]
    return tuple("/".join(names[: number + 1]) for number in range(len(names)))


def _attributes(entry: Entry) -> tuple[int, int, int]:
    return entry.mode, entry.uid, entry.gid
