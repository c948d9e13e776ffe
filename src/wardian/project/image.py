"""The spec's table `[image]`: how what ships is run, described and filled, each field a key's declaration.

None of it enters the lock: it changes the image, never which packages are in it. Nothing here reads a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wardian.project.kinds import Either, Key, List, Map, Text, declare, nearest
from wardian.project.parts import COMMAND, VARIABLES, placed_line
from wardian.project.scalars import Flag, Whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "org.opencontainers.image."
# image-spec, annotations.md, "Pre-Defined Annotation Keys": whatever else begins so is reserved.
ANNOTATIONS = tuple(
    _PREFIX + name
    for name in (
        "created",
        "authors",
        "url",
        "documentation",
        "source",
        "version",
        "revision",
        "vendor",
        "licenses",
        "ref.name",
        "title",
        "description",
        "base.digest",
        "base.name",
    )
)
_USER = re.compile(
    r"[a-z_][a-z0-9_-]{0,31}|[0-9]+", re.ASCII
)  # a name as Debian's adduser takes it, or an id
_LARGEST_ID = (1 << 32) - 2  # the kernel's -1 means no id (credentials(7))
_PORT = re.compile(r"([0-9]{1,5})(?:/(tcp|udp|sctp))?", re.ASCII)


def _check_user(text: str) -> str:
    user, colon, group = text.partition(":")
    parts = (user, group) if colon else (user,)
    if not all(_USER.fullmatch(part) for part in parts):
        raise ValueError("is no user (a name, a uid, or either with :group)")
    if any(part.isdigit() and int(part) > _LARGEST_ID for part in parts):
        raise ValueError("holds an id above 4294967294")
    return ":".join(str(int(part)) if part.isdigit() else part for part in parts)


def _check_folder(text: str) -> str:
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not text.startswith("/") or ".." in parts or len(text) > 4096:
        raise ValueError("is no absolute path in the container")
    return "/" + "/".join(parts)


def _check_port(text: str) -> str:
    found = _PORT.fullmatch(text)
    if not found or not 1 <= int(found[1]) <= 65535:
        raise ValueError("is no port (1 to 65535, with /tcp, /udp or /sctp)")
    return f"{int(found[1])}/{found[2] or 'tcp'}"


def _check_label(text: str) -> str:
    if not text.strip() or len(text) > 4096:
        raise ValueError("is no name of a label")
    return text


def _check_annotation(text: str) -> str:
    if text.startswith("org.opencontainers.") and text not in ANNOTATIONS:
        near = nearest(text, ANNOTATIONS)
        raise ValueError(f"is reserved by OCI and not defined{f'; the nearest is {near}' if near else ''}")
    return _check_label(text)


def _check_pattern(text: str) -> str:
    from wardian.project.gitignore import check_pattern

    return check_pattern(text)


def _ports(value: int | str) -> str:
    return f"{value}/tcp" if isinstance(value, int) else value


_PATTERNS = List(
    item=Text(expected="a pattern as .gitignore has them", check=_check_pattern, examples=("data/raw/",)),
    expected="an array of patterns as .gitignore has them",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """What the image is to be: an empty `entrypoint` or `command` stands for none."""

    entrypoint: str | tuple[str, ...] = declare(
        Key(
            kind=COMMAND,
            says="The program that a container of the image is, with `command` for its arguments.",
            example='["python", "-m", "penguins"]',
            default="none",
        ),
        default=(),
    )
    command: str | tuple[str, ...] = declare(
        Key(
            kind=COMMAND,
            says="What a container runs unless told otherwise: a line for `sh -c`, or an array of words.",
            example='["python", "serve.py"]',
            default="none",
        ),
        default=(),
    )
    user: str = declare(
        Key(
            kind=Text(
                expected="a user",
                check=_check_user,
                pattern="^([a-z_][a-z0-9_-]{0,31}|[0-9]+)(:([a-z_][a-z0-9_-]{0,31}|[0-9]+))?$",
                examples=("1000", "1000:0"),
            ),
            says="Who runs it: a name, a uid, or either with `:group`. User 1000 has a home.",
            example='"1000"',
            default='"1000"',
        ),
        default="1000",
    )
    workdir: str = declare(
        Key(
            kind=Text(
                expected="an absolute path in the container",
                check=_check_folder,
                pattern="^/",
                examples=("/work",),
            ),
            says="The folder that it runs in. The project's files are in `/work`.",
            example='"/work"',
            default='"/work"',
        ),
        default="/work",
    )
    ports: tuple[str, ...] = declare(
        Key(
            kind=List(
                item=Either(
                    kinds=(
                        (int, Whole(expected="a port from 1 to 65535", least=1, most=65535)),
                        (
                            str,
                            Text(
                                expected="a port",
                                check=_check_port,
                                pattern="^[0-9]{1,5}(/(tcp|udp|sctp))?$",
                                examples=("8080/tcp",),
                            ),
                        ),
                    ),
                    expected='a port such as 8080 or "8080/tcp"',
                    build=_ports,
                ),
                expected="an array of ports",
            ),
            says="The ports that it listens on: numbers, or strings with `/tcp`, `/udp` or `/sctp`.",
            example="[8080]",
            default="[]",
        ),
        default=(),
    )
    labels: Mapping[str, str] = declare(
        Key(
            kind=Map(
                name=Text(expected="a label's name", check=_check_label, examples=("com.example.team",)),
                value=Text(expected="a string", check=str, examples=("research",)),
                expected="a table of strings",
            ),
            says="Labels of the image's configuration.",
            example='{ "com.example.team" = "research" }',
            default="{}",
        ),
        default_factory=dict,
    )
    annotations: Mapping[str, str] = declare(
        Key(
            kind=Map(
                name=Text(
                    expected="an annotation's name",
                    check=_check_annotation,
                    examples=("org.opencontainers.image.title",),
                ),
                value=Text(expected="a string", check=str, examples=("Penguins",)),
                expected="a table of strings",
            ),
            says="Annotations of the manifest; those of `org.opencontainers.image.` are labels too. What git "
            "and `pyproject.toml` say fills those that are not written; an empty string leaves one out.",
            example='{ "org.opencontainers.image.title" = "Penguins" }',
            default="{}",
        ),
        default_factory=dict,
    )
    env: Mapping[str, str] = declare(
        Key(
            kind=VARIABLES,
            says="Environment variables of the image alone, beyond `[env]`. No place for secrets.",
            example='{ PORT = "8080" }',
            default="{}",
        ),
        default_factory=dict,
    )
    include: tuple[str, ...] = declare(
        Key(
            kind=_PATTERNS,
            says="Project files that go in although something leaves them out.",
            example='["data/model.bin"]',
            default="[]",
        ),
        default=(),
    )
    exclude: tuple[str, ...] = declare(
        Key(
            kind=_PATTERNS,
            says="Project files that stay out, beyond what `.dockerignore`, `.containerignore` and "
            "`.gitignore` say.",
            example='["data/raw/", "*.ipynb"]',
            default="[]",
        ),
        default=(),
    )
    code: bool = declare(
        Key(
            kind=Flag(),
            says="Whether the project's files are in the image, in `/work`.",
            example="false",
            default="true",
        ),
        default=True,
    )
    docs: bool = declare(
        Key(
            kind=Flag(),
            says="Whether to keep the packages' documentation, manuals and foreign locales.",
            example="true",
            default="false",
        ),
        default=False,
    )
    slim: bool = declare(
        Key(
            kind=Flag(),
            says="Whether to drop test suites, headers, static libraries, stubs and debug symbols.",
            example="true",
            default="false",
        ),
        default=False,
    )
    bytecode: bool = declare(
        Key(
            kind=Flag(),
            says="Whether Python's byte code is in the image, so that it starts faster and is larger.",
            example="true",
            default="false",
        ),
        default=False,
    )

    def entrypoint_words(self) -> tuple[str, ...]:
        """Return the configuration's `Entrypoint`; a line places the arguments as a task's does."""
        if not isinstance(self.entrypoint, str):
            return self.entrypoint
        return ("sh", "-c", placed_line(self.entrypoint), "sh")

    def command_words(self) -> tuple[str, ...]:
        """Return the configuration's `Cmd`."""
        return ("sh", "-c", self.command) if isinstance(self.command, str) else self.command
