"""What a run of an image needs before it can start: the image, its layers unpacked, a launch record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.api import warm
from wardian.api.image_runs import identify
from wardian.ecosystems.workshop import Workshop
from wardian.errors import ImageError
from wardian.image.kept import read_kept
from wardian.image.library import Library, StoredImage
from wardian.image.platform import Platform
from wardian.image.reference import Reference
from wardian.image.unpacking import Unpacking, are_there, folders
from wardian.runtime.seccomp import default_profile
from wardian.runtime.userland import read_userland
from wardian.store.store import Store
from wardian.system import background, files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from wardian.image.kept import Kept
    from wardian.system.progress import Progress
    from wardian.toolbox.toolbox import Toolbox

# Where an image says nothing of it, as engines have it.
_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Root inside is emulated: apt cannot become another user to fetch.
_APT = 'APT::Sandbox::User "root";\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An image to be run, and with what it may be got. `pull` is `missing`, `always` or `never`."""

    name: str
    pull: str
    home: str
    environment: Mapping[str, str]
    progress: Progress
    offline: bool
    insecure: bool


def prepare(wish: Wish) -> dict[str, Any]:
    """Get the image, unpack it, and write its launch record, which is returned."""
    store = Store.open(wish.home)
    workshop = Workshop(
        store=store, environment=wish.environment, progress=wish.progress, offline=wish.offline
    )
    # Its download takes as long as a small image's.
    toolbox = background.start(workshop.toolbox)
    kept, image = _Search(wish, Library(store)).find()
    _unpack(store, image, wish)
    return _remember(store, wish, kept, image, toolbox)


class _Search:
    """Finds the image in the store, or pulls it."""

    def __init__(self, wish: Wish, library: Library) -> None:
        self._wish, self._library = wish, library

    def find(self) -> tuple[Kept, StoredImage]:
        """The name's file and the image for this machine; raises ImageError and what pulling raises."""
        if self._wish.pull == "always":
            self._pull()
        try:
            kept = self._library.lookup(self._wish.name)
        except ImageError:
            if not self._may_pull() or self._wish.name.startswith("sha256:"):
                raise
            self._pull()
            kept = self._library.lookup(self._wish.name)
        image = self._stored(kept)
        if self._is_incomplete(image) and self._may_pull():
            self._pull()
            kept = self._library.lookup(self._wish.name)
            image = self._stored(kept)
        return kept, image

    def _stored(self, kept: Kept) -> StoredImage:
        image = self._library.stored(kept.descriptor, kept.name.familiar)
        if image.platform != Platform.host():
            raise ImageError(
                f"the image {self._wish.name} is for {image.platform}, and this machine is {Platform.host()}",
                hint="run it on such a machine, or use an image for this one",
            )
        return image

    def _is_incomplete(self, image: StoredImage) -> bool:
        """Whether a layer is neither unpacked nor there to be."""
        is_missing = bool(self._library.missing(image))
        return is_missing and not are_there(self._library.store, image.configuration.diff_ids)

    def _may_pull(self) -> bool:
        return self._wish.pull != "never" and not self._wish.offline

    def _pull(self) -> None:
        reference = Reference.parse(self._wish.name)
        if self._wish.offline:
            raise ImageError(
                f"cannot pull {reference.familiar}: the network is not to be used",
                hint="leave out --offline, or use an image that is here (`wardian image ls`)",
            )
        from wardian.api.pulling import pull_and_unpack

        pull_and_unpack(
            reference,
            self._library,
            platform=Platform.host(),
            environment=self._wish.environment,
            progress=self._wish.progress,
            insecure=self._wish.insecure,
        )


def _unpack(store: Store, image: StoredImage, wish: Wish) -> None:
    diff_ids = image.configuration.diff_ids
    if are_there(store, diff_ids):
        return
    with Unpacking(store, diff_ids, what=image.name, progress=wish.progress) as unpacking:
        for number, layer in enumerate(image.manifest.layers):
            unpacking.submit(number, layer)
        unpacking.join()


def _remember(
    store: Store, wish: Wish, kept: Kept, image: StoredImage, toolbox: Future[Toolbox]
) -> dict[str, Any]:
    execution = image.configuration.execution
    layers = folders(store, image.configuration.diff_ids)
    with store.temporary() as folder:
        userland = read_userland(layers, folder / "look")
    programs = toolbox.result()
    identity = identify(wish.name)
    record = {
        "inputs": {},
        "reference": str(_reference_file(store, kept)),
        "digest": str(kept.descriptor.digest),
        "identity": identify(str(kept.name)),  # of kept roots: the same for every way to write the name
        "name": _host_name(kept.name),
        "folder": "",
        "runtime": str(programs.program("crun")),
        "seccomp": default_profile(programs.file("seccomp.json"), image.platform.architecture),
        "layers": [str(layer) for layer in layers],
        "environment": {"PATH": _SEARCH, **dict(execution.environment)},
        "mounts": [],
        "tasks": {},
        "bytecode": "",
        "apt": "",
        "apt_settings": str(_write_apt(store.project(identity))) if userland.has_apt else "",
        "entrypoint": list(execution.entrypoint),
        "command": list(execution.command),
        "directory": execution.directory,
        "user": execution.user,
        "userland": userland.as_json(),
    }
    warm.remember(str(store.root), identity, record)
    return record


def _reference_file(store: Store, kept: Kept) -> Path:
    return next((path for path in store.references().glob("*.json") if read_kept(path) == kept), Path())


def _host_name(name: Reference) -> str:
    """The repository's last part in the characters of a host's name (RFC 1123, 2.1); it may be too long."""
    plain = re.sub(r"[^a-z0-9-]+", "-", name.repository.rpartition("/")[2])
    return plain.strip("-") or "image"


def _write_apt(folder: Path) -> Path:
    files.write_atomic(folder / "apt.conf", _APT)
    return folder / "apt.conf"
