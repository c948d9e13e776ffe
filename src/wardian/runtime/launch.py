"""From a launch record to a running container: what is mounted, what is set, where changes go.

A launch record is what a run needs to know of a built image, as JSON, so that a run whose inputs have not
changed reads one small file and nothing else:

    runtime, seccomp    the OCI runtime's path; the seccomp profile in the runtime-spec's words
    layers              root folders of the snapshots, from bottom to top
    environment         variables inside
    mounts              [host path, path inside, read-only] of the spec
    tasks               name -> {plain, more, env}: its arguments without further ones, and before them
    folder, bytecode    the project's folder, empty for an image of nobody's project; where byte code is kept
    apt                 a folder with apt's sources and settings, for root inside
    name                the host name inside

On the start-up path of every run: no dataclasses, no pathlib, no subprocess.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os

from wardian.errors import RunError
from wardian.runtime import bundle, cgroups, container
from wardian.store import claims
from wardian.system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    Record = Mapping[str, Any]

PROJECT = "/work"
BYTECODE = "/var/cache/pycache"
HOME, ROOT_HOME = "/home/user", "/root"
_CERTIFICATES = "/run/wardian/certificates"
_KERNEL = ("/proc", "/sys", "/dev")
_OWN = (PROJECT, "/opt/venv", "/opt/python", BYTECODE)

# Variables that reach the container from outside without being asked for: the terminal's, the proxies'.
_PASSED = (
    "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR",
    "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY",
)  # fmt: skip
# Variables that name a file of trusted certificates; each file is mounted and the variable set to it.
_CERTIFICATE_VARIABLES = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
)  # fmt: skip


class Command:
    """What to run and how it differs from the record's defaults.

    `shell` is the command line that opens a shell in the same container, for the advice of errors.
    """

    __slots__ = (
        "arguments",
        "cpus",
        "directory",
        "environment",
        "group",
        "keep",
        "memory",
        "mounts",
        "network",
        "root",
        "shell",
        "terminal",
        "user",
    )

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        directory: str = PROJECT,
        environment: Mapping[str, str] | None = None,
        mounts: Sequence[tuple[str, str, bool]] = (),
        network: bool = True,
        terminal: bool = False,
        root: bool = False,
        user: int = bundle.USER,
        group: int = bundle.USER,
        keep: str | None = None,
        memory: int | None = None,
        cpus: float | None = None,
        shell: str = "wardian shell",
    ) -> None:
        self.arguments = list(arguments)
        self.directory = directory
        self.environment = dict(environment or {})
        self.mounts = list(mounts)
        self.network = network
        self.terminal = terminal
        self.root = root
        self.user = user
        self.group = group
        self.keep = keep
        self.memory = memory
        self.cpus = cpus
        self.shell = shell


def launch(
    home: str, record: Record, command: Command, outside: Mapping[str, str], warn: Callable[[str], None]
) -> int:
    """Run a command in a container of the record's image; returns its exit status.

    `home` is the store's folder, `outside` the environment of whoever runs; `warn` is told of limits that
    cannot be set. Raises RunError for mounts that do not exist and HostError when the host forbids
    containers.
    """
    with prepared(home, record, command, warn) as (root, folder):
        config = configure(record, command, outside)
        return container.run(record["runtime"], config, root, folder, shell=command.shell)


@contextlib.contextmanager
def prepared(
    home: str, record: Record, command: Command, warn: Callable[[str], None]
) -> Iterator[tuple[container.Root, str]]:
    """The root that a command runs in, and a folder for its bundle, while the block lasts."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(claims.claimed(os.path.join(home, "run")))
        layers, upper = stack.enter_context(_changes(home, record, command, folder))
        stack.enter_context(cgroups.limited(command.memory, command.cpus, warn))
        os.mkdir(f"{folder}/bundle")
        yield container.Root(layers, upper, kept=command.keep is not None), f"{folder}/bundle"


@contextlib.contextmanager
def _changes(home: str, record: Record, command: Command, folder: str) -> Iterator[tuple[list[str], str]]:
    """The layers, and the folder that takes the root's changes: thrown away, or kept under a name."""
    if command.keep is None:
        files.make_folder(f"{folder}/upper")
        yield record["layers"], f"{folder}/upper"
        return
    kept = os.path.join(home, "kept", record["identity"], _checked_name(command.keep))
    os.makedirs(kept, exist_ok=True)
    descriptor = os.open(f"{kept}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _hold(descriptor, command.keep)
        yield _kept_layers(kept, record), f"{kept}/upper"
    finally:
        os.close(descriptor)


def _checked_name(name: str) -> str:
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    if plain.isascii() and plain.isalnum() and len(name) <= 64 and not name.startswith("."):
        return name
    raise RunError(
        f"{name[:80]!r} is no name for a kept root", hint="use up to 64 letters, digits, dots and dashes"
    )


def _hold(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        message = f"the kept root {name!r} is in use by another run"
        raise RunError(message, hint="wait for it, or keep another name") from error


def _kept_layers(kept: str, record: Record) -> list[str]:
    """The layers that a kept root stands on: those of the image it was first kept with.

    Changes of the layers below an overlay leave it undefined (filesystems/overlayfs, "Changes to
    underlying filesystems"), so a kept root stays with its image when the project's moves on.
    """
    path = f"{kept}/layers.json"
    if os.path.exists(path):
        layers = _read_layers(path)
        if missing := [layer for layer in layers if not os.path.isdir(layer)]:
            raise RunError(
                f"the kept root {os.path.basename(kept)!r} stands on a layer that is gone: {missing[0]}",
                hint=f"keep another name, or remove {kept}",
            )
        return layers
    if not os.path.isdir(f"{kept}/upper"):
        files.make_folder(f"{kept}/upper")
    # What the root stands on cannot be found out again.
    files.write_atomic(path, json.dumps(record["layers"]), durable=True)
    return list(record["layers"])


def _read_layers(path: str) -> list[str]:
    with open(path, "rb") as file:
        text = file.read()
    with contextlib.suppress(ValueError):
        layers = json.loads(text)
        if isinstance(layers, list) and all(isinstance(layer, str) for layer in layers):
            return layers
    kept = os.path.dirname(path)
    raise RunError(
        f"the kept root {os.path.basename(kept)!r} is damaged: {path} does not say what it stands on",
        hint=f"keep another name; what was written to it is in {kept}/upper",
    )


def configure(record: Record, command: Command, outside: Mapping[str, str]) -> dict[str, Any]:
    """The bundle's configuration (runtime-spec, config.md); raises RunError for mounts that do not exist."""
    certificates, trusted = _certificates(outside)
    environment = {name: outside[name] for name in _PASSED if name in outside}
    environment |= {**trusted, **record["environment"], **command.environment}
    mounts = [*_mounts(record, command), *certificates]
    terminal = os.get_terminal_size(0) if command.terminal else None
    if command.root:
        if record["folder"]:
            environment |= {"HOME": ROOT_HOME, "USER": "root"}
        if record["apt"]:
            mounts.append(bundle.bind(f"{record['apt']}/sources", "/etc/apt/sources.list.d", read_only=True))
            mounts.append(bundle.bind(f"{record['apt']}/apt.conf", "/etc/apt/apt.conf", read_only=True))
        return bundle.root_config(
            command.arguments,
            environment=environment,
            directory=command.directory,
            terminal=terminal,
            mounts=mounts,
            network=command.network,
            name=record["name"],
            seccomp=record["seccomp"],
        )
    return bundle.run_config(
        command.arguments,
        environment=environment,
        directory=command.directory,
        terminal=terminal,
        mounts=mounts,
        seccomp=record["seccomp"],
        network=command.network,
        name=record["name"],
        user=command.user,
        group=command.group,
    )


def _mounts(record: Record, command: Command) -> list[dict[str, Any]]:
    mounts = [bundle.bind(record["folder"], PROJECT, read_only=False)] if record["folder"] else []
    if record["bytecode"]:
        os.makedirs(record["bytecode"], exist_ok=True)
        mounts.append(bundle.bind(record["bytecode"], BYTECODE, read_only=False))
    if command.network:
        mounts += bundle.network_mounts()
    for source, target, read_only in [*record["mounts"], *command.mounts]:
        _check_target(target, (*_OWN, *_KERNEL) if record["folder"] else _KERNEL)
        source = os.path.abspath(source)  # the runtime stands elsewhere
        try:
            os.stat(source)
        except FileNotFoundError as error:
            message = f"cannot mount {source} at {target}: it does not exist"
            raise RunError(message, hint=f"make {source} first") from error
        except OSError as error:
            raise RunError(f"cannot mount {source} at {target}: {error.strerror}") from error
        mounts.append(bundle.bind(source, target, read_only=read_only))
    return mounts


def _check_target(target: str, places: Sequence[str]) -> None:
    """Raise RunError for a mount that would cover what a run itself stands on."""
    place = os.path.normpath(f"/{target.lstrip('/')}")  # it would keep two slashes
    for taken in places:
        if place == taken or f"{taken}/".startswith(f"{place.rstrip('/')}/"):
            raise RunError(
                f"nothing can be mounted at {target}: it would cover {taken}", hint="choose another path"
            )


def _certificates(outside: Mapping[str, str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Mounts of the certificate files that the host's variables name, and the variables inside."""
    inside: dict[str, str] = {}
    places: dict[str, str] = {}
    for name in _CERTIFICATE_VARIABLES:
        if os.path.isfile(path := outside.get(name, "")):
            path = os.path.abspath(path)  # the runtime stands elsewhere
            inside[name] = places.setdefault(path, f"{_CERTIFICATES}/{len(places)}.crt")
    return [bundle.bind(path, place, read_only=True) for path, place in places.items()], inside
