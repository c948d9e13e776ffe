"""Runs any OCI or Docker image by its name, in the engine that runs projects. On the start-up path of runs.

What a run of the same image needs is remembered as for projects (warm.py); `image_preparation.py` makes it.
"""

from __future__ import annotations

import json
import os

from wardian.api import warm
from wardian.errors import RunError
from wardian.runtime import launch
from wardian.store import usage
from wardian.system import variables
from wardian.system.progress import Silent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wardian.api.request import RunRequest
    from wardian.api.warm import Record
    from wardian.system.progress import Progress

PULLS = ("missing", "always", "never")  # as `podman run --pull` has them


def run_image(
    name: str,
    request: RunRequest | None = None,
    *,
    pull: str = "missing",
    entrypoint: Sequence[str] | None = None,
    user: str | None = None,
    directory: str | None = None,
    shell: bool = False,
    home: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    offline: bool = False,
    insecure: bool = False,
) -> int:
    """Run an image of a registry or of the store, which is pulled and unpacked first if need be.

    `request` says what else is wanted; of it, `target`, `parameters`, `output` and `directory` are for
    projects alone. Its arguments take the place of the image's command, `entrypoint` that of both
    (image-spec, config.md), `shell` asks for a shell instead. `user` is `USER[:GROUP]`, names or numbers,
    `directory` where it starts inside. `pull` is `missing`, `always` or `never`, `insecure` lets the registry
    go without TLS. Returns the exit status. Raises ImageError, RegistryError and FetchError for an image that
    cannot be had, VerificationError, RunError and HostError.
    """
    if pull not in PULLS:
        raise RunError(f"{pull!r} says nothing of pulling", hint=f"write one of {', '.join(PULLS)}")
    outside = os.environ if environment is None else environment
    place = os.fspath(home) if home is not None else variables.home(outside)
    told = progress or Silent()
    with usage.using(place, lambda: told.message("waiting for another process, which prunes")):
        record = None if pull == "always" else _recall(place, name)
        if record is None:
            from wardian.api.image_preparation import Wish, prepare

            record = prepare(
                Wish(
                    name=name,
                    pull=pull,
                    home=place,
                    environment=outside,
                    progress=told,
                    offline=offline or outside.get("WARDIAN_OFFLINE") == "1",
                    insecure=insecure,
                )
            )
        wanted = _Wanted(name, record, request, entrypoint, user, directory, shell)
        return launch.launch(place, record, wanted.command(), outside, told.message)


def identify(name: str) -> str:
    """The name under which the store remembers an image's runs."""
    return warm.identify("image", name)


def _recall(home: str, name: str) -> Record | None:
    """The launch record, if the name still stands for the same image; its use is noted."""
    record = warm.recall(home, identify(name))
    if record is None:
        return None
    try:
        with open(record["reference"]) as file:
            if json.load(file)["descriptor"]["digest"] != record["digest"]:
                return None
        os.utime(record["reference"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record


class _Wanted:
    """One run of an image: what its record says, and what differs from that."""

    __slots__ = ("_directory", "_entrypoint", "_name", "_record", "_request", "_shell", "_user")

    def __init__(
        self,
        name: str,
        record: Record,
        request: RunRequest | None,
        entrypoint: Sequence[str] | None,
        user: str | None,
        directory: str | None,
        shell: bool,
    ) -> None:
        if request is None:
            from wardian.api.request import RunRequest

            request = RunRequest(target=None)
        self._name, self._record, self._request = name, record, request
        self._entrypoint, self._user, self._directory = entrypoint, user, directory
        self._shell = shell

    def command(self) -> launch.Command:
        """What is launched; raises RunError for a user that the image has not, or for nothing to run."""
        request, record = self._request, self._record
        user, group, home = self._find_user()
        mounts = [*request.volumes]
        if user == 0 and record["apt_settings"]:
            mounts.insert(0, (record["apt_settings"], "/etc/apt/apt.conf", True))
        own_home = {} if "HOME" in record["environment"] else {"HOME": home}
        return launch.Command(
            self._arguments(),
            directory=os.path.join("/", self._directory or record["directory"]),
            environment={**own_home, **request.environment},
            mounts=mounts,
            network=request.network == "host",
            terminal=request.interactive,
            root=user == 0,
            user=user,
            group=group,
            keep=request.keep,
            memory=request.memory,
            cpus=request.cpus,
            shell=f"wardian shell --image {self._name}",
        )

    def _find_user(self) -> tuple[int, int, str]:
        wanted = "0" if self._request.root else self._user
        wanted = self._record["user"] if wanted is None else wanted
        if not wanted and (root := self._record["userland"]["users"].get("root")):
            return 0, 0, root[2]
        from wardian.runtime.userland import find_user

        return find_user(self._record["userland"], wanted, self._name)

    def _arguments(self) -> list[str]:
        record, given = self._record, list(self._request.arguments)
        if self._shell:
            if not record["userland"]["shell"]:
                raise RunError(
                    f"the image {self._name} has no shell", hint="run one of its programs with `wardian run`"
                )
            return [record["userland"]["shell"], *given]
        if self._entrypoint is not None:  # the image's command is made for the image's entrypoint
            found = [*self._entrypoint, *given]
        else:
            found = [*record["entrypoint"], *(given or record["command"])]
        if not found:
            raise RunError(
                f"the image {self._name} does not say what to run",
                hint=f"name a command: wardian run --image {self._name} -- COMMAND",
            )
        return found
