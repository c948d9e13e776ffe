"""From a built project to its image: what of it goes in, and which name the image has in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.build.assemble import Assembly, assemble
from wardian.build.compare import Difference, first_difference
from wardian.build.execute import Builder
from wardian.build.layers import Code, recipes
from wardian.build.plan import Plan, plan
from wardian.build.tree import read_tree
from wardian.ecosystems.workshop import Workshop
from wardian.errors import RunError, SpecError, VerificationError
from wardian.image.library import Library, StoredImage
from wardian.image.reference import Reference
from wardian.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from wardian.api.preparation import Preparation
    from wardian.build.assemble import Arrived
    from wardian.image.compression import Compression
    from wardian.lock.model import PlatformLock
    from wardian.project.spec import Spec


def assemble_project(
    preparation: Preparation, *, compression: Compression, arrived: Arrived | None
) -> StoredImage:
    """The project's image, packed; `arrived` is told of each of its blobs."""
    preparation.build(shipping=True)
    with preparation.using():
        return Assembler.of(preparation).assemble(compression=compression, arrived=arrived)


def verify_project(
    preparation: Preparation, *, compression: Compression
) -> tuple[StoredImage, Difference | None]:
    """The project's image, and where one that is built from nothing differs from it."""
    preparation.build(shipping=True)
    with preparation.using():
        return Assembler.of(preparation).verify(compression=compression)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembler:
    """Makes the image of a project folder out of its spec and the lock's part for this machine."""

    workshop: Workshop
    folder: Path
    spec: Spec
    lock: PlatformLock

    @classmethod
    def of(cls, preparation: Preparation) -> Assembler:
        """That of a project, by its lock, which is written first if need be."""
        return cls(
            workshop=preparation.workshop,
            folder=preparation.folder,
            spec=preparation.detection.spec,
            lock=preparation.current(),
        )

    def assemble(self, *, compression: Compression, arrived: Arrived | None = None) -> StoredImage:
        """Build what is missing, pack what has not been packed, and name the image after the project.

        `arrived` is told of each blob as soon as it is there. Raises BuildError, FetchError,
        VerificationError, SpecError and HostError.
        """
        made = self._plan()
        store = self.workshop.store
        Builder(workshop=self.workshop, lock=self.lock).build(made)
        self._check_user(store, made)
        image = assemble(
            store,
            self._assembly(store, made),
            compression=compression,
            progress=self.workshop.progress,
            arrived=arrived,
        )
        name = Reference.parse(self.spec.name)
        Library(store).keep(name, image.descriptor, origin="built", project=str(self.folder))
        return StoredImage(
            descriptor=image.descriptor,
            manifest=image.manifest,
            configuration=image.configuration,
            name=name.familiar,
        )

    def verify(self, *, compression: Compression) -> tuple[StoredImage, Difference | None]:
        """Assemble the image, build it again from nothing in a store of its own, and compare.

        What is fetched is shared: it is verified whenever it is used. Python's files come from the index
        again, unless the network is forbidden.
        """
        image = self.assemble(compression=compression)
        store = self.workshop.store
        with store.temporary() as folder:
            _share(store, folder, packages=self.workshop.offline)
            second = Workshop(
                store=Store.open(folder),
                environment=self.workshop.environment,
                progress=self.workshop.progress,
                offline=self.workshop.offline,
            )
            again = Assembler(workshop=second, folder=self.folder, spec=self.spec, lock=self.lock)
            other = again.assemble(compression=compression)
            return image, first_difference(Library(store), image, Library(second.store), other)

    def _plan(self) -> Plan:
        wish = self.spec.image
        return plan(self.lock, docs=wish.docs, bytecode=wish.bytecode, slim=wish.slim)

    def _check_user(self, store: Store, made: Plan) -> None:
        """Raise SpecError for a user that the image does not have, which an engine notices when it runs."""
        user = self.spec.image.user
        if all(part.isdigit() for part in user.split(":")):
            return
        from wardian.runtime.userland import find_user, read_userland

        with store.temporary() as folder:
            userland = read_userland([store.snapshot(layer.key) / "root" for layer in made.layers], folder)
        try:
            find_user(userland.as_json(), user, "the image")
        except RunError as error:
            raise SpecError(f"image.user: {error.message}", hint=error.hint) from error

    def _assembly(self, store: Store, made: Plan) -> Assembly:
        from wardian.project.repository import image_annotations

        states = [layer.key for layer in made.layers]
        found = recipes(self.lock, read_tree(store, made), self._code(), states=states)
        said = image_annotations(self.spec, self.folder)
        return Assembly(spec=self.spec, lock=self.lock, recipes=found, annotations=said)

    def _code(self) -> Code | None:
        from wardian.project.code import code_digest, code_entries, select_code

        selected = select_code(self.folder, self.spec.image)
        for note in selected.notes:
            self.workshop.progress.message(note)
        if not selected.files:
            return None
        digest = code_digest(self.folder, selected)

        def check() -> None:
            if code_digest(self.folder, selected) != digest:
                raise VerificationError(
                    f"files in {self.folder} changed while the image was made of them", hint="try again"
                )

        return Code(folder=self.folder, entries=tuple(code_entries(selected)), digest=digest, check=check)


def _share(store: Store, folder: Path, *, packages: bool) -> None:
    """Let a second store at `folder` see what the first one has fetched.

    Not its toolbox: programs hold the path of the store that they were made for.
    """
    (folder / "content").mkdir()
    (folder / "content/sha256").symlink_to(store.contents())
    (folder / "cache").mkdir()
    for name in ("lists", *(["uv"] if packages else [])):
        (folder / "cache" / name).symlink_to(store.cache(name))
