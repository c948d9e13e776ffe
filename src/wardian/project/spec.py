"""The spec: what a project asks for, as frozen values whose fields declare the keys of `wardian.toml`.

This is the one declaration that validation (read.py), the JSON Schema and the documents' key table
(schema.py) are driven by. Nothing here reads a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from wardian.image.platform import Platform
from wardian.project import grammar
from wardian.project.image import ImageSpec
from wardian.project.kinds import Either, Key, List, Map, Table, Text, declare
from wardian.project.parts import LINE, VARIABLES, WORDS, Mount, PythonSpec, SystemSpec, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# Changing what the digest is made of makes every lock stale once; then this number goes up.
_DIGEST_VERSION = 1

__all__ = ["BASES", "Declared", "ImageSpec", "Mount", "PythonSpec", "Spec", "SystemSpec", "Task"]

BASES = ("debian:trixie", "debian:bookworm")


def _check_base(text: str) -> str:
    if text not in BASES:
        raise ValueError("is no base that wardian knows")
    return text


def _mounts(entries: Mapping[str, str]) -> tuple[Mount, ...]:
    return tuple(
        Mount(target=target, source=source.removesuffix(":ro"), read_only=source.endswith(":ro"))
        for target, source in entries.items()
    )


def _task(value: str | tuple[str, ...] | Task) -> Task:
    return value if isinstance(value, Task) else Task(command=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a spec's requirement files say, flattened: canonical requirement lines, in order.

    A line may end in ` --hash=sha256:…` options. `constraints` bound versions and ask for nothing.
    `requires_python` holds specifiers. `notes` are sentences on what was read and left out.
    `inputs` are the files whose change makes this stale.
    """

    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    requires_python: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    inputs: tuple[Path, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a project asks for. `python` is None where no Python is wanted.

    `platforms` is empty where the platform of the machine that locks is meant.
    """

    name: str = declare(
        Key(
            kind=Text(
                expected="a name",
                check=grammar.check_name,
                pattern=r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$",
                examples=("penguins",),
            ),
            says="The project's name, and the image's.",
            example='"penguins"',
            default="that of `[project]`, in a `pyproject.toml`, else the folder's name",
        ),
        default="project",
    )
    base: str = declare(
        Key(
            kind=Text(expected=" or ".join(f'"{base}"' for base in BASES), check=_check_base, choices=BASES),
            says="The distribution that the image stands on.",
            example='"debian:trixie"',
            default='"debian:trixie"',
        ),
        default=BASES[0],
    )
    platforms: tuple[Platform, ...] = declare(
        Key(
            kind=List(
                item=Text(
                    expected="a platform",
                    check=Platform.parse,
                    pattern="^linux/[a-z0-9]+$",
                    examples=("linux/amd64", "linux/arm64"),
                ),
                expected="an array of platforms",
            ),
            says="The platforms that are locked side by side.",
            example='["linux/amd64", "linux/arm64"]',
            default="this machine's",
        ),
        default=(),
    )
    python: PythonSpec | None = declare(  # noqa: RUF009 - it makes a dataclass field
        Key(
            kind=Table(model=PythonSpec),
            says="The Python environment; without this table there is none.",
            example="",
        ),
        default=None,
    )
    system: SystemSpec = declare(  # noqa: RUF009 - it makes a dataclass field
        Key(kind=Table(model=SystemSpec), says="What comes from Debian.", example=""),
        default_factory=SystemSpec,
    )
    env: Mapping[str, str] = declare(
        Key(
            kind=VARIABLES,
            says="Environment variables of every run, and of the image. No place for secrets.",
            example='{ OMP_NUM_THREADS = "4" }',
            default="{}",
        ),
        default_factory=dict,
    )
    mounts: tuple[Mount, ...] = declare(
        Key(
            kind=Map(
                name=Text(
                    expected="an absolute path in the container",
                    check=grammar.check_mount_target,
                    pattern="^/",
                    examples=("/data",),
                ),
                value=Text(
                    expected="a path on the host, with :ro to forbid writing",
                    check=grammar.check_mount_source,
                    examples=("../data:ro",),
                ),
                expected="a table of paths",
                build=_mounts,
            ),
            says="What runs see of the host besides the project: a path in the container, and the host's "
            "path (relative to the project folder, or from `~/`), with `:ro` at its end to forbid writing.",
            example='{ "/data" = "../data:ro" }',
            default="{}",
        ),
        default=(),
    )
    tasks: Mapping[str, Task] = declare(
        Key(
            kind=Map(
                name=Text(
                    expected="a task's name",
                    check=grammar.check_task,
                    pattern="^[A-Za-z0-9][A-Za-z0-9._:-]*$",
                    examples=("train",),
                ),
                value=Either(
                    kinds=((str, LINE), (list, WORDS), (dict, Table(model=Task))),
                    expected="a command line, an array of words, or a table with command",
                    build=_task,
                ),
                expected="a table of commands",
            ),
            says="Commands with names, for `wardian run NAME`: a line for `sh -c`, an array of words, or a "
            "table.",
            example='{ train = "python train.py" }',
            default="{}",
        ),
        default_factory=dict,
    )
    image: ImageSpec = declare(  # noqa: RUF009 - it makes a dataclass field
        Key(kind=Table(model=ImageSpec), says="The image that leaves the project.", example=""),
        default_factory=ImageSpec,
    )

    @property
    def suite(self) -> str:
        """The Debian suite of the base, for example `trixie`."""
        return self.base.partition(":")[2]

    def requirements(self, declared: Declared) -> tuple[str, ...]:
        """Return everything asked of Python, canonical: the spec's own packages, then the files' lines."""
        own = self.python.packages if self.python else ()
        return (*(grammar.parse_requirement(text).canonical for text in own), *declared.requirements)

    def python_specifier(self, declared: Declared) -> str:
        """Return the specifier (PEP 440) that the interpreter has to satisfy; empty for any."""
        own = (grammar.python_specifier(self.python.version),) if self.python else ()
        return ",".join(part for part in dict.fromkeys((*own, *declared.requires_python)) if part)

    def lock_digest(self, declared: Declared) -> str:
        """Return the SHA-256, in hexadecimal, of what decides a lock's content, and of nothing else.

        The name, variables, mounts, tasks and `[image]` leave a lock as it is; so do comments, the order
        and the spelling of requirements, and which file holds which of them.
        """
        import hashlib  # OpenSSL's part alone takes 3 ms to load
        import json

        python = None
        if self.python is not None:
            python = {
                "version": self.python_specifier(declared),
                "requirements": sorted(set(self.requirements(declared))),
                "constraints": sorted(set(declared.constraints)),
            }
        content = {
            "version": _DIGEST_VERSION,
            "base": self.base,
            "platforms": sorted({str(platform) for platform in self.platforms}),
            "python": python,
            "system": sorted(set(self.system.packages)),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
