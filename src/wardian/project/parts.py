"""The parts of a spec: its tables and entries as frozen values, each field the declaration of a key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from wardian.project import grammar
from wardian.project.kinds import Either, Key, List, Map, Text, declare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A host's file or folder, seen at `target` in the container.

    `source` is as written: relative to the project folder, or beginning with `~/`, or absolute.
    """

    target: str
    source: str
    read_only: bool = False

    def host_path(self, folder: Path, home: Path) -> Path:
        """Return the absolute path on the host, for the project's folder and the user's home."""
        if self.source == "~" or self.source.startswith("~/"):
            return home / self.source[2:]
        return folder.absolute() / self.source


VARIABLES = Map(
    name=Text(
        expected="a variable's name",
        check=grammar.check_variable,
        pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        examples=("OMP_NUM_THREADS",),
    ),
    value=Text(expected="a string", check=str, examples=("4",)),
    expected="a table of strings",
)
LINE = Text(expected="a command line", check=grammar.check_filled, examples=("python train.py",))
WORDS = List(
    item=Text(expected="a string", check=str), expected="an array of a program and its arguments", filled=True
)
COMMAND = Either(
    kinds=((str, LINE), (list, WORDS)),
    expected="a command line, or an array of a program and its arguments",
    build=lambda command: command,
)


def placed_line(line: str) -> str:
    """Return a line for `sh -c` with its arguments behind the last word, unless it places them itself."""
    return line if re.search(r"\$\{?[@*1-9]", line) else f'{line.rstrip()} "$@"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A command with a name. A string is a line for `sh -c`; a tuple is a program and its arguments."""

    command: str | tuple[str, ...] = declare(
        Key(kind=COMMAND, says="What to run, in /work.", example='"python train.py"', required=True)
    )
    description: str = declare(
        Key(
            kind=Text(expected="a string", check=str, examples=("Train the model",)),
            says="One line for people.",
            example='"Train the model"',
        ),
        default="",
    )
    env: Mapping[str, str] = declare(
        Key(kind=VARIABLES, says="Environment variables of this task.", example='{ SEED = "1" }'),
        default_factory=dict,
    )

    def argv(self, arguments: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the program and arguments to execute, with more arguments at the end.

        A command line gets them behind its last word, unless it places them itself (`"$@"`, `$1`).
        """
        if not isinstance(self.command, str):
            return (*self.command, *arguments)
        line = placed_line(self.command) if arguments else self.command
        return ("sh", "-c", line, "sh", *arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSpec:
    """The Python environment that is asked for."""

    version: str = declare(
        Key(
            kind=Text(
                expected="a Python version or specifier",
                check=grammar.check_python_version,
                examples=("3.12", ">=3.11"),
            ),
            says="Which Python: a version (`3.12`, any release of it) or a specifier (PEP 440). The base's "
            "own Python is taken where it fits, else a managed one.",
            example='">=3.11"',
            default="any",
        ),
        default="",
    )
    packages: tuple[str, ...] = declare(
        Key(
            kind=List(
                item=Text(
                    expected="a requirement (PEP 508)",
                    check=grammar.check_requirement,
                    examples=("pandas>=2", "dask[dataframe]"),
                ),
                expected="an array of requirements (PEP 508)",
            ),
            says="Requirements as PEP 508 writes them, from the configured index.",
            example='["pandas>=2", "scikit-learn"]',
            default="[]",
        ),
        default=(),
    )
    requirements: tuple[str, ...] = declare(
        Key(
            kind=List(
                item=Text(
                    expected="a file's path below the project folder",
                    check=grammar.check_relative_path,
                    examples=("requirements.txt", "pyproject.toml"),
                ),
                expected="an array of paths",
            ),
            says="Requirement files, relative to the project folder; of a `pyproject.toml` its `[project]` "
            "dependencies and `requires-python`.",
            example='["requirements.txt"]',
            default="[]",
        ),
        default=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSpec:
    """The Debian packages that are asked for."""

    packages: tuple[str, ...] = declare(
        Key(
            kind=List(
                item=Text(
                    expected="a Debian package's name, or name=version",
                    check=grammar.check_debian_package,
                    pattern=r"^[a-z0-9][a-z0-9+.\-]+(=.+)?$",
                    examples=("graphviz",),
                ),
                expected="an array of Debian package names",
            ),
            says="Debian packages by name, or `name=version`; recommended packages are not added.",
            example='["graphviz", "git"]',
            default="[]",
        ),
        default=(),
    )
