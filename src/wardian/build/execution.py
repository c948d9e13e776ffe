"""How containers of a project's image run by default: environment, user, entry point (config.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wardian.image.manifest import Execution
from wardian.runtime import launch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wardian.lock.model import PlatformLock
    from wardian.project.spec import Spec

_SEARCH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def environment(spec: Spec, lock: PlatformLock, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of runs and images alike, and `more`; the spec's own come last."""
    search, found = _SEARCH, {"LANG": "C.UTF-8"}
    if lock.python:
        managed = ("/opt/python/bin",) if lock.python.interpreter.source == "uv" else ()
        search = ("/opt/venv/bin", *managed, *search)
        found["VIRTUAL_ENV"] = "/opt/venv"
    # Of an arbitrary user id the password file says nothing, and engines then take / for its home.
    return {"PATH": ":".join(search), "HOME": launch.HOME, **found, **(more or {}), **spec.env}


def execution(spec: Spec, lock: PlatformLock, annotations: Mapping[str, str]) -> Execution:
    """The image's own settings on top of the project's; the standard annotations are labels too."""
    image = spec.image
    return Execution(
        user=image.user,
        environment=tuple({**environment(spec, lock), **image.env}.items()),
        entrypoint=image.entrypoint_words(),
        command=image.command_words() or (() if image.entrypoint else _default(lock)),
        directory=image.workdir,
        ports=tuple(sorted(set(image.ports))),
        labels=dict(sorted({**_standard(annotations), **image.labels}.items())),
    )


def _default(lock: PlatformLock) -> tuple[str, ...]:
    return ("python",) if lock.python else ("bash",)


def _standard(annotations: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in annotations.items() if name.startswith("org.opencontainers.image.")}
