"""Decides which paths of a project stay out of its image: ignore files, the spec's patterns, by-products.

In the order of their weight: `.dockerignore`, `.containerignore`, `.gitignore` (those of inner folders too),
`[image] exclude`; the last that has something to say decides, and within one the last pattern. `include`
brings back, but what no image gets (left_out.py) only where it spells the name. Nothing here walks.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace

from wardian.errors import SpecError
from wardian.project import left_out
from wardian.project.dockerignore import DockerPatterns, parse_dockerignore
from wardian.project.document import LARGEST
from wardian.project.gitignore import parse_gitignore, parse_texts
from wardian.project.wildcards import Patterns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wardian.project.image import ImageSpec
    from wardian.project.wildcards import Pattern

DOCKER_FILES = (b".dockerignore", b".containerignore")
GIT_FILE = b".gitignore"

_OUT, _SILENT, _IN = 1, 0, -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """A .gitignore's patterns; `depth` and `length` are those of its folder's path and a slash."""

    patterns: Patterns
    depth: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What has been said of a folder, and so of all in it.

    `docker` holds which patterns of DOCKER_FILES matched, and `dockered` that they leave it out. `barred` is
    the name for which the folder, or one around it, is in no image. `secret` tells that the last path judged
    is barred for that, `spelt` that `include` spells its name, `kept` that it is in the image.
    """

    docker: int = 0
    dockered: bool = False
    git: int = _SILENT
    excluded: int = _SILENT
    included: bool = False
    barred: str = ""
    nested: tuple[Nested, ...] = ()
    secret: bool = False
    spelt: bool = False
    kept: bool = True


class Rules:
    """All that is said of one project's paths; `folder` is its folder."""

    def __init__(self, folder: bytes, image: ImageSpec) -> None:
        self._docker = sum((_docker_patterns(folder, name) for name in DOCKER_FILES), DockerPatterns())
        self._exclude = parse_texts(image.exclude)
        self._include = parse_texts(image.include)
        self._by_products = left_out.by_products()
        self._secrets = left_out.secrets()

    def judge(self, above: Standing, path: bytes, *, folder: bool) -> Standing:
        """Judge one path below the project folder, from what stands above it."""
        text = path.decode("latin-1")  # bytes are compared, as git does
        name = text.rpartition("/")[2]
        secret = _of_kind(self._secrets, text, name, folder)
        barred = name if secret or _matched(self._by_products, text, name, folder) == _OUT else above.barred
        included, spelt = self._included(above, text, name, folder, barred)
        dockered, docker = self._docker.match(_runes(path), above.docker) if self._docker else (False, 0)
        standing = Standing(
            docker=docker,
            dockered=dockered,
            git=above.git if above.git == _OUT else _git(above.nested, text, name, folder) or above.git,
            excluded=above.excluded
            if above.excluded == _OUT
            else _matched(self._exclude, text, name, folder) or above.excluded,
            included=included,
            barred=barred,
            nested=above.nested,
            secret=secret,
            spelt=spelt,
        )
        kept = included or not (barred or self.ignores(standing))
        return standing if kept else replace(standing, kept=False)

    def _included(
        self, above: Standing, text: str, name: str, folder: bool, barred: str
    ) -> tuple[bool, bool]:
        number = self._include.find(text, name, folder=folder)
        pattern = self._include.patterns[number] if number >= 0 else None
        spelt = pattern is not None and not pattern.negated and pattern.last == name
        if barred and barred != above.barred:
            return spelt, spelt
        if pattern is None:
            return above.included, False
        return not pattern.negated and (not barred or barred in pattern.names), spelt

    def bar(self, standing: Standing, path: bytes) -> Standing:
        """Return the standing of a folder that turned out to be in no image by what it holds."""
        text = path.decode("latin-1")
        name = text.rpartition("/")[2]
        included = self._included(replace(standing, barred=""), text, name, True, name)[0]
        return replace(standing, barred=name, included=included, kept=included)

    def _verdicts(self, standing: Standing) -> tuple[int, ...]:
        return _OUT if standing.dockered else _SILENT, standing.git, standing.excluded

    def ignores(self, standing: Standing) -> bool:
        """Tell whether the ignore files and `exclude` leave it out."""
        return next((said for said in reversed(self._verdicts(standing)) if said), _SILENT) == _OUT

    def may_return(self, standing: Standing, path: bytes) -> bool:
        """Tell whether something in a folder that stays out might go in: whether to look into it."""
        names = path.decode("latin-1").split("/")
        barred = standing.barred
        for pattern in self._include.patterns:
            if not pattern.negated and pattern.reaches(names) and (not barred or barred in pattern.names):
                return True
        return not barred and self._taken_back(standing, path, names)

    def _taken_back(self, standing: Standing, path: bytes, names: list[str]) -> bool:
        """Tell whether the one that leaves it out, or a later one, might take that back below."""
        verdicts = self._verdicts(standing)
        last = max((index for index, said in enumerate(verdicts) if said == _OUT), default=0)
        returning = [self._docker.may_return(_runes(path))]
        returning.append(
            standing.git != _OUT
            and any(_reach(inner.patterns.negated, names[inner.depth :]) for inner in standing.nested)
        )
        returning.append(standing.excluded != _OUT and _reach(self._exclude.negated, names))
        return any(returning[last:])


def _runes(path: bytes) -> str:
    """Return a path as Docker reads it, by characters."""
    return path.decode("utf-8", "surrogateescape")


def _reach(patterns: Sequence[Pattern], names: Sequence[str]) -> bool:
    return any(pattern.reaches(names) for pattern in patterns)


def _matched(patterns: Patterns, text: str, name: str, folder: bool) -> int:
    number = patterns.find(text, name, folder=folder)
    return _SILENT if number < 0 else _IN if patterns.patterns[number].negated else _OUT


def _of_kind(patterns: Patterns, text: str, name: str, folder: bool) -> bool:
    """Tell whether a secret's pattern matches: a folder `.env` is an environment, not a file of secrets."""
    number = patterns.find(text, name, folder=folder)
    return (
        number >= 0 and not patterns.patterns[number].negated and patterns.patterns[number].folders == folder
    )


def _git(nested: Sequence[Nested], text: str, name: str, folder: bool) -> int:
    for inner in reversed(nested):
        if said := _matched(inner.patterns, text[inner.length :], name, folder):
            return said
    return _SILENT


def with_gitignore(standing: Standing, folder: bytes, path: bytes) -> Standing:
    """Add the patterns of the .gitignore in the folder `path` below `folder`; raises SpecError."""
    data = _content(os.path.join(folder, path, GIT_FILE))
    if data is None:
        return standing  # git follows no link here either
    patterns = parse_gitignore(data)
    depth, length = (path.count(b"/") + 1, len(path) + 1) if path else (0, 0)
    nested = Nested(patterns=patterns, depth=depth, length=length)
    return replace(standing, nested=(*standing.nested, nested))


def _docker_patterns(folder: bytes, name: bytes) -> DockerPatterns:
    path = os.path.join(folder, name)
    if not os.path.lexists(path):
        return DockerPatterns()
    data = _content(path)
    if data is None:
        raise SpecError(f"cannot read {os.fsdecode(path)}: it is no regular file")
    return parse_dockerignore(data, os.fsdecode(path))


def _content(path: bytes) -> bytes | None:
    """Return a file's content, None where something else than a file stands there; raises SpecError."""
    shown = os.fsdecode(path)
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with left_out.open_file(path) as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise SpecError(
            f"cannot read {shown}: {error.strerror}", hint="check its owner and permissions"
        ) from error
    if len(data) > LARGEST:
        raise SpecError(f"{shown} is larger than {LARGEST >> 20} MiB, which no list of patterns is")
    return data
