"""What two images differ in: packages, files, configuration, layers. Pure; times are not compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wardian.inventory.model import PACKAGED, Ecosystem, File, Inventory, Package

Key = tuple[Ecosystem, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChange:
    """A package that came, went or changed; `old` and `new` are versions, None where there is none.

    With the same version twice, some of its `files` differ.
    """

    ecosystem: str
    name: str
    old: str | None
    new: str | None
    old_bytes: int
    new_bytes: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A path that came, went or changed; `what` says in what it did: kind, content, target, mode, owner."""

    path: str
    old: File | None
    new: File | None
    what: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """By how much the tree grew."""
        return (self.new.bytes if self.new else 0) - (self.old.bytes if self.old else 0)

    @property
    def is_loose(self) -> bool:
        """Whether it is of no package, before or after."""
        return any(file and file.package.ecosystem not in PACKAGED for file in (self.old, self.new))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A part of the configuration that differs; None where it is not there."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All that two images differ in; `shared` are layers of both, `gone` and `new` those of one."""

    old: Inventory
    new: Inventory
    packages: tuple[PackageChange, ...]
    files: tuple[FileChange, ...]
    settings: tuple[Setting, ...]
    shared: int
    shared_bytes: int
    gone: int
    gone_bytes: int
    new_layers: int
    new_bytes: int

    def __bool__(self) -> bool:
        """Whether containers of the two could tell."""
        return bool(self.packages or self.files or self.settings)


def compare(old: Inventory, new: Inventory) -> Difference:
    """Compare two images."""
    before = {layer.digest: layer.packed for layer in old.layers}
    after = {layer.digest: layer.packed for layer in new.layers}
    shared, gone = before.keys() & after.keys(), before.keys() - after.keys()
    added = after.keys() - before.keys()
    changes = tuple(_files(old, new))
    return Difference(
        old=old,
        new=new,
        packages=tuple(_packages(old, new, changes)),
        files=changes,
        settings=tuple(_settings(_configuration(old), _configuration(new))),
        shared=len(shared),
        shared_bytes=sum(before[digest] for digest in shared),
        gone=len(gone),
        gone_bytes=sum(before[digest] for digest in gone),
        new_layers=len(added),
        new_bytes=sum(after[digest] for digest in added),
    )


def _files(old: Inventory, new: Inventory) -> Iterator[FileChange]:
    before, after = _by_path(old), _by_path(new)
    for one, other in ((before, after), (after, before)):
        # That a folder came with its files says nothing; an empty one does.
        full = {file.path.rpartition("/")[0] for file in one.values()}
        for path in [
            it for it, file in one.items() if file.kind == "directory" and it in full - other.keys()
        ]:
            del one[path]
    for path in sorted(before.keys() | after.keys()):
        first, second = before.get(path), after.get(path)
        what = _what(first, second) if first and second else ()
        if what or first is None or second is None:
            yield FileChange(path=path, old=first, new=second, what=what)


def _by_path(inventory: Inventory) -> dict[str, File]:
    return {file.path: file for file in (*inventory.files, *inventory.folders)}


def _what(old: File, new: File) -> tuple[str, ...]:
    compared = {
        "kind": old.kind != new.kind,
        "content": old.kind == new.kind and (old.digest, old.size) != (new.digest, new.size),
        "target": old.kind == new.kind and old.target != new.target,
        "mode": old.mode != new.mode,
        "owner": (old.uid, old.gid) != (new.uid, new.gid),
    }
    return tuple(name for name, differs in compared.items() if differs)


def _packages(old: Inventory, new: Inventory, changes: tuple[FileChange, ...]) -> Iterator[PackageChange]:
    before, after = _sizes(old), _sizes(new)
    touched = _touched(changes)
    for key in sorted(before.keys() | after.keys(), key=lambda it: (PACKAGED.index(it[0]), it[1])):
        one, other = before.get(key), after.get(key)
        versions = [None if it is None else ", ".join(sorted(it[0])) for it in (one, other)]
        if versions[0] != versions[1] or key in touched:
            yield PackageChange(
                ecosystem=key[0],
                name=key[1],
                old=versions[0],
                new=versions[1],
                old_bytes=one[1] if one else 0,
                new_bytes=other[1] if other else 0,
                files=touched.get(key, 0),
            )


def _sizes(inventory: Inventory) -> dict[Key, tuple[set[str], int]]:
    """Versions and bytes of each package, by ecosystem and name."""
    found: dict[Key, tuple[set[str], int]] = {}
    for file in inventory.files:
        if key := _key(file.package):
            versions, total = found.get(key, (set(), 0))
            versions.add(file.package.version)
            found[key] = (versions, total + file.bytes)
    return found


def _touched(changes: tuple[FileChange, ...]) -> dict[Key, int]:
    """How many files of each package came, went or changed."""
    found: dict[Key, int] = {}
    for change in changes:
        for key in {_key(file.package) for file in (change.old, change.new) if file}:
            if key:
                found[key] = found.get(key, 0) + 1
    return found


def _key(package: Package) -> Key | None:
    return (package.ecosystem, package.name) if package.ecosystem in PACKAGED else None


def _settings(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Setting]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Setting(name=name, old=old.get(name), new=new.get(name))


def _configuration(inventory: Inventory) -> dict[str, str]:
    """What decides how a container runs, as lines of text."""
    import shlex

    image = inventory.image
    run = image.configuration.execution
    single = {
        "platform": str(image.platform),
        "user": run.user,
        "directory": run.directory,
        "entrypoint": shlex.join(run.entrypoint),
        "command": shlex.join(run.command),
        "stop signal": run.stop_signal,
    }
    return {
        **{name: text for name, text in single.items() if text},
        **{f"port {port}": "exposed" for port in run.ports},
        **{f"volume {volume}": "declared" for volume in run.volumes},
        **{f"variable {name}": text for name, text in run.environment},
        **{f"label {name}": text for name, text in run.labels.items()},
    }
