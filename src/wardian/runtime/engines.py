"""Docker and Podman on this machine, by their API socket. What they are given is others' affair."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wardian.errors import EngineError
from wardian.image.descriptor import Digest

# Loading a large image may keep the engine silent for as long as it unpacks a layer.
_PATIENCE = 600  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine that answers. `partial` says that it takes archives without the layers it has."""

    name: str
    address: str
    partial: bool
    client: Any  # docker.APIClient

    def layers(self) -> tuple[tuple[Digest, ...], ...]:
        """The diff_ids of each image that the engine has, from the bottom."""
        with _told(self.name, "cannot list its images"):
            found = [self.client.inspect_image(image["Id"]) for image in self.client.images(all=False)]
        chains = ((image.get("RootFS") or {}).get("Layers") or () for image in found)
        return tuple(tuple(Digest.parse(layer) for layer in chain) for chain in chains)

    def load(self, archive: Iterable[bytes]) -> None:
        """Have the engine read a docker archive; raises EngineError with what it says."""
        with _told(self.name, "cannot load the image"):
            for event in self.client.load_image(archive, quiet=True):
                if error := event.get("error"):
                    raise EngineError(f"{self.name} cannot load the image: {str(error)[:500]}")

    def has(self, identity: Digest) -> bool:
        """Whether the engine has the image whose configuration has that digest."""
        import docker

        try:
            self.client.inspect_image(str(identity))
        except docker.errors.ImageNotFound:
            return False
        except docker.errors.DockerException as error:
            raise _error(self.name, "cannot look at an image", error) from error
        return True


def common(chain: tuple[Digest, ...], others: Iterable[tuple[Digest, ...]]) -> int:
    """How many layers of `chain`, from the bottom, an engine has that has `others`.

    An engine knows a layer together with all that lie below it (config.md, "Layer ChainID").
    """
    most = 0
    for other in others:
        shared = 0
        for mine, theirs in zip(chain, other, strict=False):
            if mine != theirs:
                break
            shared += 1
        most = max(most, shared)
    return most


def connect(environment: Mapping[str, str], *, host: str = "", podman: bool = False) -> Engine:
    """The engine that `host` names, or $DOCKER_HOST, or the first of the usual sockets that answers.

    `podman` looks for Podman's alone. Raises EngineError where none answers.
    """
    asked = host or environment.get("CONTAINER_HOST" if podman else "DOCKER_HOST", "")
    if asked:
        return _open(asked, environment)
    tried = []
    for address in _sockets(environment, podman=podman):
        if os.path.exists(address.removeprefix("unix://")):
            try:
                return _open(address, environment)
            except EngineError as error:
                tried.append(error)
    if tried:
        raise tried[0]
    name = "Podman" if podman else "Docker or Podman"
    raise EngineError(
        f"no {name} is running here: none of its usual sockets exists",
        hint="start it (`systemctl --user start podman.socket` or `systemctl start docker`), or name its "
        "socket with --host",
    )


def _sockets(environment: Mapping[str, str], *, podman: bool) -> Iterator[str]:
    run = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    if not podman:
        yield "unix:///var/run/docker.sock"
        yield f"unix://{run}/docker.sock"
        yield f"unix://{environment.get('HOME', '')}/.docker/run/docker.sock"
    yield f"unix://{run}/podman/podman.sock"
    yield "unix:///run/podman/podman.sock"


def _open(address: str, environment: Mapping[str, str]) -> Engine:
    import docker

    try:
        client = docker.APIClient(address, version="auto", timeout=_PATIENCE, tls=_tls(address, environment))
        version, information = client.version(), client.info()
    except (docker.errors.DockerException, docker.errors.TLSParameterError, OSError, ValueError) as error:
        raise EngineError(
            f"no container engine answers at {address}: {_reason(error)}",
            hint="start it, or name another socket with --host",
        ) from error
    is_podman = any("podman" in str(part.get("Name", "")).lower() for part in version.get("Components") or ())
    return Engine(
        name="Podman" if is_podman else "Docker",
        address=address,
        partial=not is_podman and _keeps_chains(information),
        client=client,
    )


def _tls(address: str, environment: Mapping[str, str]) -> Any:
    """As Docker's own command: $DOCKER_CERT_PATH with $DOCKER_TLS_VERIFY, for tcp addresses."""
    import docker

    folder = environment.get("DOCKER_CERT_PATH")
    if not folder or not address.startswith("tcp:"):
        return False
    return docker.tls.TLSConfig(
        client_cert=(f"{folder}/cert.pem", f"{folder}/key.pem"),
        ca_cert=f"{folder}/ca.pem",
        verify=bool(environment.get("DOCKER_TLS_VERIFY")),
    )


def _keeps_chains(information: Mapping[str, Any]) -> bool:
    """Whether Docker keeps layers in its graph drivers: its containerd store wants every blob."""
    status = dict(item for item in information.get("DriverStatus") or () if len(item) == 2)
    return not str(status.get("driver-type", "")).startswith("io.containerd")


@contextlib.contextmanager
def _told(name: str, what: str) -> Iterator[None]:
    import docker
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise _error(name, what, error) from error


def _error(name: str, what: str, error: Exception) -> EngineError:
    return EngineError(f"{name} {what}: {_reason(error)}", hint="look into the engine's own log")


def _reason(error: Exception) -> str:
    """The innermost reason: the library wraps what the system says several times."""
    import docker

    if isinstance(error, docker.errors.APIError):
        return str(error.explanation or error)[:500]
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return str(getattr(cause, "strerror", "") or cause)[:500]
