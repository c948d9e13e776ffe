"""The images of a store, as users see them: found, named, and carried to and from files, registries, engines.

A face over the rooms below, which do the work; what a method alone needs is imported in it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from wardian.errors import ImageError
from wardian.image.library import Library, StoredImage
from wardian.image.platform import Platform
from wardian.image.reference import Reference
from wardian.store.store import Store
from wardian.system import variables
from wardian.system.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from wardian.api.engines import Delivered
    from wardian.api.shipping import Pushed
    from wardian.image.kept import Kept
    from wardian.inventory.model import Inventory
    from wardian.system.progress import Progress

ArchiveFormat = Literal["docker-archive", "oci-archive", "rootfs"]


class ImageStore:
    """The images of one store: those packed from projects, pulled, loaded and tagged.

    A name is written as Docker writes it; where an image is asked for by its name, its digest or the
    beginning of that (4 digits) does as well. Any number of processes may use a store at once.
    """

    def __init__(self, store: Store, *, environment: Mapping[str, str], progress: Progress) -> None:
        self._library = Library(store)
        self._environment = environment
        self._progress = progress

    @classmethod
    def open(
        cls,
        home: str | os.PathLike[str] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> ImageStore:
        """The store at `home` (default: $WARDIAN_HOME), made if need be; raises StoreError.

        `environment` stands in for the process's own, `progress` hears of work that takes long.
        """
        outside = os.environ if environment is None else environment
        store = Store.open(variables.home(outside) if home is None else os.fspath(home))
        return cls(store, environment=outside, progress=progress or Silent())

    def using(self) -> AbstractContextManager[None]:
        """Keep `prune` from all images while the block lasts.

        What reads or writes layers does so for itself; hold it from `find` on, where more than one call
        works with an image.
        """
        return self._library.store.use(
            lambda: self._progress.message("waiting for another process, which prunes")
        )

    def names(self) -> tuple[Kept, ...]:
        """Every name with what it stands for, in order."""
        return self._library.names()

    def lookup(self, name: str) -> Kept:
        """What the name stands for, an image or an index of several; raises ImageError."""
        return self._library.lookup(name)

    def images(self, kept: Kept) -> tuple[StoredImage, ...]:
        """The images that a name stands for, one for each platform that is there.

        Raises ImageError where its manifest is not there, VerificationError for a damaged one.
        """
        return tuple(self._library.images(kept))

    def find(self, name: str, *, platform: str | None = None) -> StoredImage:
        """The image of that name, with all of its layers; it counts as used now.

        Of an index, the one for `platform` (`linux/arm64`), else for this machine, or the only one that is
        there. Raises ImageError where there is none, SpecError for an unknown platform, and
        VerificationError where the store is damaged.
        """
        from wardian.image.layout import require

        image = self._library.resolve(name, Platform.parse(platform) if platform else None)
        require(self._library, image)
        return image

    def configuration(self, image: StoredImage) -> dict[str, Any]:
        """The configuration as it is in the image (image-spec, config.md).

        Raises ImageError and VerificationError.
        """
        found: dict[str, Any] = json.loads(
            self._library.read(image.manifest.config, f"the configuration of {image.name}")
        )
        return found

    def tag(self, image: str, name: str) -> Kept:
        """Give the image, or index, named `image` one more name, which another that had it loses.

        Raises ImageError.
        """
        new = Reference.parse(name)
        if new.digest:
            raise ImageError(f"{name} names a digest, which no one can choose", hint="write NAME:TAG")
        with self.using():
            return self._library.keep(new, self.lookup(image).descriptor, origin="tagged")

    def remove(self, *names: str) -> tuple[Kept, ...]:
        """Take names away, all or, where one of them is not there, none; returns what they stood for.

        Layers without a name go with the next `prune`. Raises ImageError, also for a digest that several
        names stand for.
        """
        with self.using():
            found = {kept.name: kept for kept in map(self._named, names)}
            for name in found:
                self._library.forget(name)
        return tuple(found.values())

    def _named(self, text: str) -> Kept:
        """What `lookup` gives, where `text` leaves no doubt which of an image's names is meant."""
        kept = self.lookup(text)
        names = self.names()
        same = [it.name.familiar for it in names if it.descriptor.digest == kept.descriptor.digest]
        if len(same) > 1 and not _is_name(text, kept.name):
            raise ImageError(
                f"the image {text[:200]!r} has several names: {', '.join(same)}",
                hint="write the names that are to go",
            )
        return kept

    def load(
        self, source: str | os.PathLike[str] | IO[bytes], *, what: str = "the archive"
    ) -> tuple[Kept, ...]:
        """Load images from an archive file, a layout folder or a stream; returns the names they have now.

        `what` names a stream in messages, and images in it that have no name. Raises ImageError for what is
        no image, VerificationError for wrong bytes, HostError where the disk refuses; then no name has
        changed.
        """
        from wardian.image.load import load, load_stream

        with self.using():
            if isinstance(source, str | os.PathLike):
                return load(self._library, Path(source), self._progress)
            return load_stream(self._library, source, what, self._progress)

    def save(self, image: StoredImage, file: IO[bytes], *, format: ArchiveFormat = "docker-archive") -> None:
        """Write the image to an open file: the same bytes for the same image.

        `docker-archive` is what `docker load` reads, an OCI layout too; `oci-archive` is that alone, and
        `rootfs` the file system that a container starts with. Raises ImageError, VerificationError where the
        store is damaged, HostError where there is no room, and OSError of `file`.
        """
        from wardian.export.rootfs import write_rootfs
        from wardian.image import archive, layout

        with self.using():
            if format == "rootfs":
                write_rootfs(self._library, image, file, self._progress)
            elif format == "oci-archive":
                layout.write_tar(self._library, image, file, _name(image))
            elif format == "docker-archive":
                archive.write_archive(self._library, image, file, _name(image))
            else:
                raise ImageError(f"{format!r} is no format of archives", hint="take docker-archive")

    def save_layout(
        self, image: StoredImage | Callable[[], StoredImage], folder: str | os.PathLike[str]
    ) -> StoredImage:
        """Write an OCI layout as a folder, or add the image to the one that is there; returns the image.

        An image of the same name gives way. Where making the image costs something, `image` is the function
        that makes it, called once `folder` is found fit. Raises ImageError where something else is there,
        VerificationError where the store is damaged, HostError where the disk refuses.
        """
        from wardian.image.layout import check_folder, write_folder

        check_folder(Path(folder))
        with self.using():
            made = image if isinstance(image, StoredImage) else image()
            write_folder(self._library, made, Path(folder), _name(made))
        return made

    def push(
        self, image: StoredImage, reference: str, *, insecure: bool = False, beside: bool = False
    ) -> Pushed:
        """Push the image to a registry, which is sent what it lacks.

        `beside` puts it beside those of other platforms under that tag, in an index; `insecure` lets the
        registry go without TLS, or with a certificate that is not valid. Raises RegistryError,
        CredentialsError, ImageError and VerificationError.
        """
        from wardian.api.shipping import push, stored

        with self.using():
            return push(
                stored(self._library, image),
                Reference.parse(reference),
                store=self._library.store,
                environment=self._environment,
                progress=self._progress,
                insecure=insecure,
                beside=beside,
            )

    def pull(self, reference: str, *, platform: str | None = None, insecure: bool = False) -> StoredImage:
        """Pull the image for `platform`, by default this machine's, and unpack it for runs.

        What is there is not fetched again. `insecure` as for `push`. Raises RegistryError,
        CredentialsError, ImageError, VerificationError and HostError.
        """
        from wardian.api.pulling import pull_and_unpack

        wanted = Reference.parse(reference)
        with self.using():
            return pull_and_unpack(
                wanted,
                self._library,
                platform=Platform.parse(platform) if platform else Platform.host(),
                environment=self._environment,
                progress=self._progress,
                insecure=insecure,
            )

    def deliver(
        self,
        image: StoredImage | Callable[[], StoredImage],
        *,
        name: str = "",
        host: str = "",
        podman: bool = False,
    ) -> Delivered:
        """Have a container engine on this machine know the image as `name`, by default the image's own.

        Where making the image costs something, `image` is the function that makes it, called once the engine
        has answered. `host` is the engine's socket, by default that of the Docker that `docker` would talk
        to, else Podman's; `podman` asks for Podman. Raises EngineError where none answers or it refuses,
        ImageError for a name that engines do not load by, VerificationError where the store is damaged.
        """
        from wardian.api.engines import deliver
        from wardian.runtime.engines import connect

        asked = _tag(name) if name else None
        with connect(self._environment, host=host, podman=podman) as engine, self.using():
            made = image if isinstance(image, StoredImage) else image()
            return deliver(self._library, made, engine, asked or _tag(made.name), progress=self._progress)

    def inventory(self, image: StoredImage) -> Inventory:
        """What the image holds: every file with the package that brought it.

        Raises ImageError for layers that cannot be merged or hold too much, VerificationError where the
        store is damaged.
        """
        from wardian.inventory.read import take_inventory

        with self.using():
            return take_inventory(self._library, image, self._progress)


def _is_name(text: str, name: Reference) -> bool:
    """Whether `text` is the whole name: beginnings of digests are none, and NAME@DIGEST has no tag."""
    try:
        return Reference.parse(text) == name
    except ImageError:
        return False


def _name(image: StoredImage) -> Reference | None:
    """The name that an image is written out with."""
    return Reference.parse(image.name) if image.name else None


def _tag(name: str) -> Reference:
    """The name that an engine is to know the image by; raises ImageError where engines know none such."""
    reference = Reference.parse(name) if name else None
    if reference is None or reference.digest:
        what = f"{name} names an image by its digest" if name else "the image has no name"
        raise ImageError(f"{what}, and engines know what they load by a tag", hint="name one with --tag")
    return reference
