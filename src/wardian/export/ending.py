"""What a Dockerfile ends with: the project's files, and how containers of the image run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from wardian.export.instructions import pairs, path, words
from wardian.export.places import comment

if TYPE_CHECKING:
    from wardian.export.places import Places
    from wardian.export.source import Source

Block = list[str]


def ending(source: Source, places: Places) -> list[Block]:
    """The last blocks: code, environment, labels, and what is run where and by whom."""
    found = [_code(source, places), _environment(source, places), _labels(source, places)]
    return [*(block for block in found if block), _execution(source, places)]


def own_user(source: Source) -> list[str]:
    """Commands that make the user of wardian's own images, and the folders that are theirs."""
    return [
        # A base may have a user of that name, or another of that id, as many published images do.
        'for name in $(getent passwd user 1000 | cut -d: -f1 | sort -u); do userdel "$name"; done',
        "useradd --uid 1000 --comment user --create-home --shell /bin/bash user",
        f"install --directory --owner=1000 --group=0 --mode=0775 {_own_folders(source)}",
    ]


def _own_folders(source: Source) -> str:
    """What the user owns, for a shell: builders do not agree on whose a folder of WORKDIR is."""
    directory = source.execution.directory
    return f"/work {shlex.quote(directory)}" if directory.startswith("/work/") else "/work"


def _code(source: Source, places: Places) -> Block:
    if not source.code:
        return []
    told = places.at("The project's files, as the image has them", "image", "code")
    return [*comment(f"{told}."), "COPY --chown=1000:0 code/ /work/"]


def _environment(source: Source, places: Places) -> Block:
    image, common = places.line("image", "env"), places.line("env")
    told = " and ".join(filter(None, (common, image)))
    lines = pairs("ENV", dict(source.execution.environment))
    return [*comment(f"Environment{f', with {told}' if told else ''}."), *lines]


def _labels(source: Source, places: Places) -> Block:
    lines = pairs("LABEL", source.execution.labels)
    told = " and ".join(filter(None, (places.line("image", key) for key in ("labels", "annotations"))))
    return [*comment(f"Labels{f', with {told}' if told else ''}."), *lines] if lines else []


def _execution(source: Source, places: Places) -> Block:
    execution = source.execution
    keys = ("ports", "workdir", "user", "entrypoint", "command")
    told = "; ".join(places.at(key, "image", key) for key in keys if places.line("image", key))
    found = comment(f"How it runs{f': {told}' if told else ''}.")
    if execution.ports:
        found.append(f"EXPOSE {' '.join(execution.ports)}")
    # An entry point of the base would be taken over, and so would its command.
    return [
        *found,
        path("WORKDIR", execution.directory),
        f"USER {execution.user}",
        words("ENTRYPOINT", execution.entrypoint),
        words("CMD", execution.command),
    ]
