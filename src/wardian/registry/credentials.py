"""Where credentials are found, and where a login puts them.

$REGISTRY_AUTH_FILE, where it is set, is the only file. Else, in this order, and the first that has anything
for a registry counts: $DOCKER_CONFIG/config.json, $XDG_RUNTIME_DIR/containers/auth.json (or, without that
variable, /run/containers/UID/auth.json), $XDG_CONFIG_HOME/containers/auth.json, and without $DOCKER_CONFIG
~/.docker/config.json (containers-auth.json(5), docker-login(1)).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wardian.errors import HostError
from wardian.registry.auth_file import AuthFile
from wardian.registry.credential import Credential

# Where the containers tools keep each user's file where there is no $XDG_RUNTIME_DIR.
_RUN = "/run/containers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The credentials of one user. `files` are in the order in which they are read; one is written."""

    files: tuple[AuthFile, ...]
    written: AuthFile | None

    def find(self, registry: str, repository: str = "") -> Credential | None:
        """What to show the registry for a repository, if anything; raises CredentialsError."""
        for file in self.files:
            if found := file.find(registry, repository):
                return found
        return None

    def put(self, registry: str, credential: Credential) -> str:
        """Keep what `find` is to find from now on; returns where. Raises CredentialsError, HostError."""
        shadowing = next((file for file in self.files if file.has(registry)), None)
        target = shadowing or self.written
        if target is None:
            raise HostError(
                "there is no place to keep credentials: this user has no home folder",
                hint="set HOME, or REGISTRY_AUTH_FILE to a file",
            )
        return target.put(registry, credential)

    def remove(self, registry: str) -> bool:
        """Forget what is known for a registry, in every file; whether there was anything."""
        removed = [file.remove(registry) for file in self.files]  # from all of them, not from the first
        return any(removed)

    def remove_all(self) -> tuple[str, ...]:
        """Forget everything, in every file; returns the registries' names."""
        removed = {name for file in self.files for name in file.registries() if file.remove(name)}
        return tuple(sorted(removed))


def find_credentials(environment: Mapping[str, str], *, run: str = _RUN) -> Credentials:
    """The files that `environment` names, and of those below `run` this user's."""
    if chosen := environment.get("REGISTRY_AUTH_FILE"):
        only = AuthFile(path=Path(os.path.abspath(chosen)), environment=environment)
        return Credentials(files=(only,), written=only)
    home = environment.get("HOME", "")
    docker = environment.get("DOCKER_CONFIG") or (os.path.join(home, ".docker") if home else "")
    written = _file(docker, "config.json", environment, is_docker=True)
    base = environment.get("XDG_CONFIG_HOME") or (os.path.join(home, ".config") if home else "")
    containers = (
        _passing(environment, run),
        _file(base, "containers/auth.json", environment),
    )
    order = (written, *containers) if environment.get("DOCKER_CONFIG") else (*containers, written)
    return Credentials(files=tuple(file for file in order if file), written=written)


def _passing(environment: Mapping[str, str], run: str) -> AuthFile | None:
    """The containers tools' file that lasts until the machine, or the session, ends."""
    if folder := environment.get("XDG_RUNTIME_DIR"):
        return _file(folder, "containers/auth.json", environment)
    found = _file(run, f"{os.getuid()}/auth.json", environment)
    # The folder may be closed to others than root, and is not ours to make.
    return found if found and os.path.exists(found.path) else None


def _file(
    folder: str, name: str, environment: Mapping[str, str], *, is_docker: bool = False
) -> AuthFile | None:
    if not folder:
        return None
    path = Path(os.path.abspath(os.path.join(folder, name)))
    return AuthFile(path=path, environment=environment, is_docker=is_docker)
