"""Docker and Podman on this machine, by their API socket. What they are given is others' affair."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wardian.errors import EngineError, ImageError
from wardian.image.descriptor import Digest
from wardian.runtime.contexts import Context, configuration_folder, current_context

_Tls = dict[str, Any]  # the arguments of docker.tls.TLSConfig; importing that takes its time

# An engine that runs answers at once. While it loads a large image it is silent for as long as it unpacks
# a layer.
_FIRST_PATIENCE = 20  # seconds
_PATIENCE = 600
_LONGEST_REASON = 500  # characters
# What comes of an answer that is none of an engine's, beside the library's own exceptions.
_ODD = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine that answers. `partial` says that it takes archives without the layers it has."""

    name: str
    address: str
    partial: bool
    client: Any  # docker.APIClient

    def layers(self) -> tuple[tuple[Digest, ...], ...]:
        """The diff_ids of each image that the engine has, from the bottom; raises EngineError."""
        with _told(self.name, "cannot list its images"):
            found = [self._layers(image["Id"]) for image in self.client.images(all=False)]
        return tuple(chain for chain in found if chain)

    def _layers(self, identity: str) -> tuple[Digest, ...]:
        import docker

        try:
            chain = (self.client.inspect_image(identity).get("RootFS") or {}).get("Layers") or ()
            return tuple(Digest.parse(layer) for layer in chain)
        except (docker.errors.NotFound, ImageError):  # removed meanwhile; of a kind of its own
            return ()

    def load(self, archive: Iterable[bytes]) -> None:
        """Have the engine read a docker archive; raises EngineError with what it says."""
        with _told(self.name, "cannot load the image"):
            for event in self.client.load_image(archive, quiet=True):
                # Docker says `error` in the course of its work, and `message` where it does not begin.
                if error := event.get("error") or event.get("message"):
                    raise EngineError(
                        f"{self.name} cannot load the image: {str(error)[:_LONGEST_REASON]}",
                        hint="look into the engine's own log",
                    )

    def close(self) -> None:
        """Give up the connection."""
        self.client.close()


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


@contextlib.contextmanager
def connect(environment: Mapping[str, str], *, host: str = "", podman: bool = False) -> Iterator[Engine]:
    """The engine at `host`, or the one that `docker` would talk to, or the first that answers.

    That is $DOCKER_HOST, else Docker's current context, else the usual sockets, Docker's before Podman's;
    `podman` looks for Podman's alone ($CONTAINER_HOST). Raises EngineError where none answers.
    """
    engine = _find(environment, host, podman=podman)
    try:
        yield engine
    finally:
        engine.close()


def _find(environment: Mapping[str, str], host: str, *, podman: bool) -> Engine:
    if asked := host or environment.get("CONTAINER_HOST" if podman else "DOCKER_HOST", ""):
        return _open(asked, _tls(environment))
    if not podman and (context := current_context(environment)):
        return _open(context.host, _context_tls(context))
    failures = []
    for address in _sockets(environment, podman=podman):
        if os.path.exists(address.removeprefix("unix://")):
            try:
                return _open(address)
            except EngineError as error:
                failures.append(error)
    if failures:
        raise failures[0]
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


def _open(address: str, tls: _Tls | None = None) -> Engine:
    import docker

    if address.startswith("ssh:"):
        raise EngineError(
            f"no container engine answers at {address}: it is on another machine",
            hint="send it the image by `wardian save | ssh HOST docker load`",
        )
    with contextlib.ExitStack() as stack:
        try:
            client, version = _client(address, tls, stack)
            keeps_chains = _keeps_chains(client.info())
            components = version.get("Components") or ()
            is_podman = any("podman" in str(part.get("Name", "")).lower() for part in components)
        except (*_ODD, docker.errors.DockerException) as error:
            raise EngineError(
                f"no container engine answers at {address}: {_reason(error)}", hint=_advice(error)
            ) from error
        stack.pop_all()
    client.timeout = _PATIENCE
    return Engine(
        name="Podman" if is_podman else "Docker",
        address=address,
        partial=not is_podman and keeps_chains,
        client=client,
    )


def _client(address: str, tls: _Tls | None, stack: contextlib.ExitStack) -> tuple[Any, Mapping[str, Any]]:
    """A client that speaks the engine's version of the API, closed by `stack`; and what the engine is."""
    import docker

    url = f"unix://{address}" if address.startswith("/") else address  # a path alone is a socket's
    if url.startswith("unix:"):
        # The library leaves the socket open where this fails, and tells of it at length.
        with socket.socket(socket.AF_UNIX) as trial:
            trial.settimeout(_FIRST_PATIENCE)
            trial.connect(url.removeprefix("unix://"))
    config = docker.tls.TLSConfig(**tls) if tls and address.startswith("tcp:") else False
    options = {"timeout": _FIRST_PATIENCE, "tls": config}
    oldest = docker.constants.MINIMUM_DOCKER_API_VERSION
    with contextlib.closing(docker.APIClient(url, version=oldest, **options)) as first:
        version = first.version(api_version=False)
    client = docker.APIClient(url, version=version["ApiVersion"], **options)
    stack.callback(client.close)
    return client, version


def _tls(environment: Mapping[str, str]) -> _Tls | None:
    """As Docker's own command: $DOCKER_TLS_VERIFY, with the files in $DOCKER_CERT_PATH or its own folder.

    To verify, the authority's certificate has to be there; the client's own pair may be missing.
    """
    given, verified = environment.get("DOCKER_CERT_PATH"), bool(environment.get("DOCKER_TLS_VERIFY"))
    if not given and not verified:
        return None
    folder = Path(given) if given else configuration_folder(environment)
    return {**_certificates(folder, verified=verified), "ca_cert": str(folder / "ca.pem")}


def _context_tls(context: Context) -> _Tls | None:
    """Of the files each may be missing; without any, and with nothing said of them, there is no TLS."""
    found = _certificates(context.certificates, verified=context.verified)
    return None if context.verified and not (found["client_cert"] or found["ca_cert"]) else found


def _certificates(folder: Path, *, verified: bool) -> _Tls:
    """The files that are in a folder, by the names that Docker gives them."""
    ca, *pair = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    return {
        "client_cert": tuple(map(str, pair)) if all(path.is_file() for path in pair) else None,
        "ca_cert": str(ca) if ca.is_file() else None,
        "verify": verified,
    }


def _keeps_chains(information: Mapping[str, Any]) -> bool:
    """Whether Docker keeps layers in its graph drivers: its containerd store wants every blob."""
    status = dict(item for item in information.get("DriverStatus") or () if len(item) == 2)
    return not str(status.get("driver-type", "")).startswith("io.containerd")


@contextlib.contextmanager
def _told(name: str, what: str) -> Iterator[None]:
    import docker

    try:
        yield
    except (docker.errors.DockerException, OSError, ValueError) as error:  # OSError: also of requests
        raise EngineError(
            f"{name} {what}: {_reason(error)}", hint="look into the engine's own log"
        ) from error


def _reason(error: Exception) -> str:
    """The innermost reason: the library wraps what the system says several times."""
    import docker

    if isinstance(error, docker.errors.APIError):
        return str(error.explanation or error)[:_LONGEST_REASON]
    cause = _innermost(error)
    return str(getattr(cause, "strerror", "") or cause)[:_LONGEST_REASON]


def _advice(error: Exception) -> str:
    if getattr(_innermost(error), "errno", None) in (errno.EACCES, errno.EPERM):
        return "ask for membership in the group that owns the socket (`docker`), or use --podman"
    return "start it, or name another socket with --host"


def _innermost(error: BaseException) -> BaseException:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return error
