"""What a shell is offered for the values on a command line. Quiet: a failure offers nothing."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

RUNNABLE = (".ipynb", ".py")


def nothing(**_: object) -> tuple[str, ...]:
    """No word: what is asked for is not on this machine."""
    return ()


def folders(prefix: str, **_: object) -> list[str]:
    """Folders whose path begins with `prefix`."""
    return [path for path in _paths(".", prefix) if path.endswith("/")]


def targets(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Tasks, notebooks, scripts and folders on the way to them, below the project's folder."""
    project = getattr(parsed_args, "directory", None) or "."
    files = [path for path in _paths(project, prefix) if path.endswith((*RUNNABLE, "/"))]
    return [*(task for task in _tasks(project) if task.startswith(prefix)), *files]


def _paths(base: str, prefix: str) -> Iterator[str]:
    """Paths below `base` that begin with `prefix`, relative to it; folders end in a slash."""
    parent = os.path.dirname(prefix)
    try:
        entries = sorted(os.scandir(os.path.join(base, os.path.expanduser(parent))), key=lambda it: it.name)
    except OSError:
        return
    for entry in entries:
        path = os.path.join(parent, entry.name) + ("/" if entry.is_dir() else "")
        if path.startswith(prefix) and not (entry.name.startswith(".") and not os.path.basename(prefix)):
            yield path


def _tasks(project: str) -> list[str]:
    try:
        from wardian import Project

        return sorted(Project.open(project, environment=os.environ).spec.tasks)
    except Exception:  # a shell in the middle of a line has no place for an error
        return []
