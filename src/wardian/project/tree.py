"""Walks a project folder for its Python files and notebooks, and knows which modules are its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# Bounds for folders that are no project, such as a home folder: enough for any project's own code.
MOST_FILES = 1000
MOST_ENTRIES = 50_000

_LEFT_OUT = ("node_modules", "runs", "__pycache__", "site-packages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The code below a folder: `files` and visited `folders`, both in order; `whole` unless a bound was met.

    `modules` maps each folder to the names that `import` finds there.
    """

    folder: Path
    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    modules: Mapping[Path, frozenset[str]]
    whole: bool

    def is_local(self, module: str, file: Path) -> bool:
        """Tell whether a top-level module, imported in `file`, is the project's own.

        Sought in the file's folder and those above it, up to the project's, and in `src` there.
        """
        places = [file.parent, *file.parent.parents, self.folder / "src"]
        return any(module in self.modules.get(place, ()) for place in places)


def walk_tree(folder: Path) -> Tree:
    """Collect `.py` and `.ipynb` files; skips hidden folders, environments, `node_modules` and `runs`.

    Links to folders are not followed; folders that cannot be read are passed over.
    """
    files: list[Path] = []
    folders: list[Path] = []
    modules: dict[Path, set[str]] = {}
    entries = 0
    waiting = [folder]
    while waiting and len(files) < MOST_FILES and entries < MOST_ENTRIES:
        place = waiting.pop()
        names, inner = _list(place)
        if place != folder and "pyvenv.cfg" in names:
            continue
        entries += len(names) + len(inner)
        folders.append(place)
        found = [
            place / name for name in names if name.endswith((".py", ".ipynb")) and not name.startswith(".")
        ]
        files += found
        _note_modules(folder, place, [path for path in found if path.suffix == ".py"], modules)
        waiting += [place / name for name in reversed(inner) if _holds_code(name)]
    return Tree(
        folder=folder,
        files=tuple(files[:MOST_FILES]),
        folders=tuple(folders),
        modules={place: frozenset(names) for place, names in modules.items()},
        whole=not waiting and len(files) <= MOST_FILES,
    )


def _list(place: Path) -> tuple[list[str], list[str]]:
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif _is_file(entry):
                    files.append(entry.name)
    except OSError:
        pass
    return sorted(files), sorted(folders)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself, or to where nobody may look
        return False


def _holds_code(name: str) -> bool:
    return not name.startswith(".") and name not in _LEFT_OUT and not name.endswith(".egg-info")


def _note_modules(folder: Path, place: Path, scripts: list[Path], modules: dict[Path, set[str]]) -> None:
    modules.setdefault(place, set()).update(path.stem for path in scripts)
    # A folder is a package, with or without __init__.py, when Python files lie in it or below it.
    while scripts and place != folder:
        names = modules.setdefault(place.parent, set())
        if place.name in names:
            return
        names.add(place.name)
        place = place.parent
