"""Packing layers: once for each content, the same on every machine, whatever is killed or swapped."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import NoReturn

import pytest

from wardian.errors import HostError, ImageError, VerificationError, WardianError
from wardian.image import decompress, pack
from wardian.image.blob import Threads
from wardian.image.compression import COMPRESSIONS, Compression
from wardian.image.descriptor import CONFIG, LAYER_GZIP, LAYER_TAR, LAYER_ZSTD, MANIFEST, Descriptor, Digest
from wardian.image.entry import Entry
from wardian.image.manifest import Configuration, Execution, Manifest
from wardian.image.packing import Packed, Packing, Recipe, packed
from wardian.store.store import Store
from wardian.system.processes import module_command
from wardian.system.progress import Silent

Need = Callable[[object, str], None]
BIG = 6 << 30  # bytes of a file with nothing in it: what packs it is at work for seconds


class Counting:
    """A step that counts."""

    def __init__(self, began: Callable[[], None] = lambda: None) -> None:
        self.done = self.expected = 0
        self.began = began

    def advance(self, amount: int = 1) -> None:
        self.done += amount
        self.began()

    def total(self, amount: int) -> None:
        self.expected = amount

    def note(self, text: str) -> None: ...

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of files."""
    root = tmp_path / "root"
    (root / "usr/share").mkdir(parents=True)
    (root / "usr/one").write_bytes(b"one\n")
    (root / "usr/share/two").write_bytes(bytes(range(256)) * 20000)  # more than a piece
    (root / "usr/none").write_bytes(b"")
    return root


def entries_of(root: Path) -> tuple[Entry, ...]:
    return (
        Entry(path="usr", kind="directory", mode=0o755),
        *(
            Entry(path=str(path.relative_to(root)), kind="file", size=path.stat().st_size)
            for path in sorted(root.rglob("*"))
            if path.is_file()
        ),
        Entry(path="etc/made", kind="file", mode=0o600, uid=5, data=b"made up\n"),
        Entry(path="usr/link", kind="hardlink", target="usr/one"),
        Entry(path="gone", kind="whiteout"),
    )


def recipe(root: Path, key: str = "ab12", entries: Iterable[Entry] | None = None) -> Recipe:
    return Recipe(
        key=key,
        name="a layer",
        roots=(root,),
        entries=tuple(entries_of(root) if entries is None else entries),
    )


def pack_one(store: Store, found: Recipe, compression: Compression = "gzip") -> Packed:
    with Packing(store, compression=compression, step=Silent().step("packing")) as packing:
        return packing.submit(found).result()


@pytest.fixture
def endless(root: Path) -> Recipe:
    """A layer that takes long."""
    folder = root.parent / "endless"
    folder.mkdir()
    with open(folder / "big", "wb") as file:
        file.truncate(BIG)
    return recipe(folder, "big", [Entry(path="big", kind="file", size=BIG)])


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_layer_is_in_the_store(store: Store, root: Path, compression: Compression) -> None:
    made = pack_one(store, recipe(root), compression)
    blob = store.content(made.descriptor.digest.hex).read_bytes()
    assert (len(blob), Digest.of(blob)) == (made.descriptor.size, made.descriptor.digest)
    media_types = {"gzip": LAYER_GZIP, "none": LAYER_TAR}
    assert made.descriptor.media_type == media_types.get(compression, LAYER_ZSTD)
    assert bool(made.descriptor.annotations) == (compression == "zstd:chunked")
    assert made.name == "a layer"
    assert packed(store, "ab12", compression) == made
    assert packed(store, "ab13", compression) is None
    assert os.listdir(store.root / "layers") == [f"ab12.{compression.replace(':', '-')}.json"]
    assert os.listdir(store.root / "temporary") == []
    if compression == "none":
        assert made.diff_id == made.descriptor.digest


def test_what_is_in_a_layer(store: Store, root: Path) -> None:
    made = pack_one(store, recipe(root))
    plain = gzip.decompress(store.content(made.descriptor.digest.hex).read_bytes())
    assert (len(plain), Digest.of(plain)) == (made.size, made.diff_id)
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as file:
        assert file.getnames() == [
            *("usr", "usr/none", "usr/one", "usr/share/two"),
            *("etc/made", "usr/link", ".wh.gone"),
        ]
        for name in ("usr/none", "usr/one", "usr/share/two"):
            assert file.extractfile(name).read() == (root / name).read_bytes()  # type: ignore[union-attr]
        assert file.extractfile("etc/made").read() == b"made up\n"  # type: ignore[union-attr]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_files_with_the_same_content_become_links(
    store: Store, tmp_path: Path, compression: Compression
) -> None:
    root = tmp_path / "root"
    for name in ("a", "b", "etc/c", "d", "e", "f", "g"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"y" * 5000 if name == "e" else b"x" * 5000)
    other = tmp_path / "other"
    other.mkdir()
    (other / "h").write_bytes(b"x" * 5000)
    for name in ("small", "less"):
        (root / name).write_bytes(b"x" * 4095)
    entries = (
        Entry(path="a", kind="file", size=5000),
        Entry(path="b", kind="file", size=5000, xattrs={"user.x": b"1"}),
        Entry(path="etc/c", kind="file", size=5000),  # configuration is edited in place
        Entry(path="d", kind="file", size=5000, mode=0o755),
        Entry(path="e", kind="file", size=5000),
        Entry(path="f", kind="file", size=5000, mtime=1),
        Entry(path="to", kind="hardlink", target="a"),
        Entry(path="g", kind="file", size=5000),
        Entry(path="i", kind="file", size=5000, source="h", root=1),
        Entry(path="j", kind="file", size=5000, mode=0o755, source="h", root=1),
        *(Entry(path=name, kind="file", size=4095) for name in ("small", "less")),
    )
    found = Recipe(key="links", name="links", roots=(root, other), entries=entries, links=True)
    made = pack_one(store, found, compression)
    blob = store.content(made.descriptor.digest.hex)
    plain = b"".join(decompress.layer(blob, made.descriptor, made.diff_id, "the layer"))
    with tarfile.open(fileobj=io.BytesIO(plain)) as file:
        links = {member.name: member.linkname for member in file if member.islnk()}
        assert file.getnames() == [entry.path for entry in entries]
        assert file.extractfile("j").read() == b"x" * 5000  # type: ignore[union-attr]
    assert links == {"to": "a", "g": "a", "i": "a", "j": "d"}


def test_a_file_that_has_changed_is_no_twin(store: Store, root: Path) -> None:
    (root / "usr/gone").write_bytes(b"")
    entries = [Entry(path=f"usr/{name}", kind="file", size=5000) for name in ("gone", "lost")]
    with pytest.raises(VerificationError, match="usr/gone has 0 bytes, and had 5000"):
        pack_one(store, replace(recipe(root, entries=entries), links=True))


def test_sources_of_other_names_in_several_roots(store: Store, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x").write_bytes(b"other")
    found = Recipe(
        key="k",
        name="k",
        roots=(root, other),
        entries=(
            Entry(path="a", kind="file", size=4, source="usr/one"),
            Entry(path="b", kind="file", size=5, source="x", root=1),
            Entry(path="c", kind="file", data=b"", xattrs={"user.x": b"\xff"}),
        ),
    )
    with tarfile.open(store.content(pack_one(store, found).descriptor.digest.hex)) as file:
        assert [file.extractfile(name).read() for name in "abc"] == [b"one\n", b"other", b""]  # type: ignore[union-attr]


def test_a_layer_of_nothing_on_disk(store: Store) -> None:
    made = Recipe(key="k", name="k", roots=(), entries=(Entry(path="a", kind="file", data=b"x"),))
    assert pack_one(store, made).size == 2048


def test_a_layer_is_made_once(store: Store, root: Path) -> None:
    made = pack_one(store, recipe(root))

    def entries() -> Iterator[Entry]:
        raise AssertionError

    again = Recipe(key="ab12", name="another name", roots=(), entries=entries)
    with Packing(store, compression="gzip", step=Counting()) as packing:
        future = packing.submit(again)
        assert future.done()
        assert future.result().descriptor == made.descriptor
        assert future.result().name == "another name"


def _other_format(record: Path) -> None:
    record.write_text(json.dumps({**json.loads(record.read_text()), "format": "deflate 0.8.1"}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda record, blob: blob.unlink(),
        lambda record, blob: blob.write_bytes(b""),
        lambda record, blob: record.write_text("{"),
        lambda record, blob: record.write_text("[]"),
        lambda record, blob: record.write_text('{"name": "x", "diff_id": "sha256:x"}'),
        lambda record, blob: _other_format(record),
    ],
)
def test_what_is_lost_is_made_again(store: Store, root: Path, damage: Callable[[Path, Path], None]) -> None:
    made = pack_one(store, recipe(root))
    damage(store.root / "layers/ab12.gzip.json", store.content(made.descriptor.digest.hex))
    assert packed(store, "ab12", "gzip") is None
    assert pack_one(store, recipe(root)) == made
    assert packed(store, "ab12", "gzip") == made


def test_files_that_changed_while_they_were_read_leave_no_record(store: Store, root: Path) -> None:
    def check() -> None:
        raise VerificationError("they changed", hint="try again")

    found = replace(recipe(root), check=check)
    with pytest.raises(VerificationError, match="they changed"):
        pack_one(store, found)
    assert packed(store, found.key, "gzip") is None
    made = pack_one(store, replace(found, check=lambda: None))
    assert pack_one(store, found) == made  # nothing is read any more


def test_progress_in_bytes_of_tars(store: Store, root: Path) -> None:
    step = Counting()
    lazy = Recipe(key="lazy", name="lazy", roots=(root,), entries=lambda: iter(entries_of(root)))
    with Packing(store, compression="gzip", step=step) as packing:
        made = [packing.submit(recipe(root)), packing.submit(lazy)]
    assert step.done == step.expected == sum(future.result().size for future in made)


SCRIPT = """
import sys
from pathlib import Path
from wardian.image.entry import Entry
from wardian.image.packing import Packing, Recipe
from wardian.store.store import Store
from wardian.system.progress import Silent

home, root, how, *keys = sys.argv[1:]

def entries():
    with open(root + "/../made", "a") as file:
        file.write("made\\n")
    for path in sorted(Path(root).rglob("*")):
        if path.is_file():
            name = str(path.relative_to(root))
            yield Entry(path=name, kind="file", size=path.stat().st_size)

with Packing(Store.open(home), compression=how, step=Silent().step("packing")) as packing:
    made = {
        key: packing.submit(Recipe(key=key, name=key, roots=(Path(root),), entries=entries))
        for key in keys
    }
print(*sorted(f"{key} {future.result().descriptor.digest}" for key, future in made.items()), sep="\\n")
"""


def start(home: Path, root: Path, *keys: str, how: str = "gzip", **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(home), str(root), how, *keys],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("how", COMPRESSIONS)
def test_neither_cores_order_nor_environment_show(tmp_path: Path, root: Path, how: str) -> None:
    """One core and all, keys in another order, another umask, time zone and locale."""
    keys = [f"key{number}" for number in range(4)]
    plain = start(tmp_path / "a", root, *keys, how=how)
    affinity, umask = os.sched_getaffinity(0), os.umask(0o077)
    os.sched_setaffinity(0, {min(affinity)})
    try:
        environment = {"TZ": "Pacific/Chatham", "LC_ALL": "C", "PYTHONHASHSEED": "3"}
        other = start(tmp_path / "b", root, *reversed(keys), how=how, **environment)
    finally:
        os.sched_setaffinity(0, affinity)
        os.umask(umask)
    digests = plain.communicate()[0]
    assert len(digests.splitlines()) == 4
    assert other.communicate()[0] == digests


def test_two_processes_that_pack_the_same(tmp_path: Path, root: Path) -> None:
    with open(root / "more", "wb") as file:
        file.truncate(100 << 20)
    both = [start(tmp_path / "home", root, "one", "two") for _ in range(2)]
    first, second = (process.communicate()[0] for process in both)
    assert first == second != ""
    assert (tmp_path / "made").read_text() == "made\n" * 2


# What is not as it was recorded


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.unlink(), "is not the file that was recorded: No such file or directory"),
        (lambda path: path.write_bytes(b"on"), "has 2 bytes, and had 4 when it was recorded"),
        (lambda path: path.write_bytes(b"one\n\n"), "has 5 bytes, and had 4 when it was recorded"),
        (lambda path: _replace(path, lambda: path.symlink_to("/etc/passwd")), "Too many levels of symbolic"),
        (lambda path: _replace(path, lambda: path.symlink_to("none")), "Too many levels of symbolic links"),
        (lambda path: _replace(path, lambda: os.mkfifo(path)), "is no regular file"),
        (lambda path: _replace(path, path.mkdir), "is no regular file"),
        (lambda path: _move(path.parent), "Too many levels of symbolic links"),
    ],
)
def test_files_that_are_not_as_recorded(
    store: Store, root: Path, change: Callable[[Path], None], reason: str
) -> None:
    found = recipe(root)
    change(root / "usr/one")
    with pytest.raises(VerificationError) as raised:
        pack_one(store, found)
    assert str(raised.value).startswith(f"cannot pack the layer a layer: {root}/usr/")
    assert reason in str(raised.value)
    assert raised.value.hint
    assert not (store.root / "layers").exists() or os.listdir(store.root / "layers") == []
    assert os.listdir(store.root / "temporary") == []


def _replace(path: Path, make: Callable[[], object]) -> None:
    path.unlink()
    make()


def _move(folder: Path) -> None:
    folder.rename(folder.parent.parent / "outside")
    folder.symlink_to("../outside")


@pytest.mark.parametrize("source", ["../secret", "usr/../../secret", "/../secret"])
def test_sources_that_lead_out(store: Store, root: Path, source: str) -> None:
    (root.parent / "secret").write_bytes(b"hush")
    entry = Entry(path="x", kind="file", size=4, source=source)
    with pytest.raises(VerificationError, match="No such file or directory"):
        pack_one(store, recipe(root, entries=[entry]))


def test_links_that_are_swapped_while_it_is_packed(store: Store, root: Path) -> None:
    """Either the file as it was recorded, or an error: never what a link shows."""
    secret = root.parent / "secret"
    secret.write_bytes(b"hush")
    (root / "real").write_bytes(b"mine")
    victim = root / "victim"
    stop = threading.Event()

    def swap() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            new = root / "new"
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
            if number % 2:
                new.symlink_to("../secret")
            else:
                os.link(root / "real", new)
            new.rename(victim)

    os.link(root / "real", victim)
    swapping = threading.Thread(target=swap)
    swapping.start()
    outcomes = set()
    try:
        with Packing(store, compression="none", step=Silent().step("packing")) as packing:
            layers = [
                packing.submit(
                    recipe(
                        root, f"k{number}", [Entry(path=f"v{number}", kind="file", size=4, source="victim")]
                    )
                )
                for number in range(200)
            ]
        for layer in layers:
            if failure := layer.exception():
                assert isinstance(failure, VerificationError)
                outcomes.add("refused")
            else:
                blob = store.content(layer.result().descriptor.digest.hex).read_bytes()
                assert b"mine" in blob
                assert b"hush" not in blob
                outcomes.add("packed")
    finally:
        stop.set()
        swapping.join()
    assert outcomes == {"refused", "packed"}


@pytest.mark.parametrize("place", ["wardian.image.blob.os.readv", "wardian.image.pack.hashlib.file_digest"])
def test_a_source_that_cannot_be_read(root: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """That is told of the file, and not of the disk that the layer is written to."""

    def fail(*_: object) -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    shutil.copy(root / "usr/share/two", root / "usr/share/twin")
    rows = [(*attrgetter(*pack.FIELDS)(entry), {}) for entry in entries_of(root)]
    task = pack.Task(str(root / "blob"), "none", True, (str(root),), rows)
    monkeypatch.setattr(place, fail)
    with pytest.raises(HostError, match=r"cannot read .*/usr/.*: Input/output error"):
        pack._pack(task, Threads(1))


def test_what_nobody_would_unpack_is_not_packed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "zeros").write_bytes(bytes(1 << 20))
    rows = [(*attrgetter(*pack.FIELDS)(entry), {}) for entry in entries_of(root) if "zeros" in entry.path]
    task = pack.Task(str(root / "blob"), "zstd", False, (str(root),), rows)
    assert pack._pack(task, Threads(1))["tar_size"] > 1 << 20
    monkeypatch.setattr(decompress, "_SLACK", 0)
    with pytest.raises(ImageError, match="nearly all of them zeros") as caught:
        pack._pack(task, Threads(1))
    assert caught.value.hint


def test_errors_of_one_layer_leave_the_others(store: Store, root: Path) -> None:
    with Packing(store, compression="gzip", step=Silent().step("packing")) as packing:
        bad = packing.submit(recipe(root, "bad", [Entry(path=".wh.x", kind="file", data=b"")]))
        lost = packing.submit(Recipe(key="lost", name="lost", roots=(root / "nowhere",), entries=()))
        good = packing.submit(recipe(root))
    assert str(bad.exception()).startswith("cannot pack the layer a layer: '.wh.x' cannot be in an image")
    assert isinstance(bad.exception(), ImageError)
    assert isinstance(lost.exception(), VerificationError)
    assert good.result().size


def test_a_recipe_that_fails(store: Store) -> None:
    def entries() -> Iterator[Entry]:
        raise ImageError("no such package")

    found = Recipe(key="x", name="x", roots=(), entries=entries)
    with pytest.raises(ImageError, match="no such package"):
        pack_one(store, found)


def test_a_full_disk(root: Path) -> None:
    rows = [(*(getattr(entry, name) for name in pack.FIELDS), {}) for entry in entries_of(root)]
    task = pack.Task("/dev/full", "none", links=False, roots=(str(root),), rows=rows)
    command = module_command(pack.__name__)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(task.encode())
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        process.stdin.close()
    assert (answer["error"], answer["message"]) == ("HostError", "cannot write: No space left on device")
    assert "wardian prune" in answer["hint"]
    assert process.returncode == 0


# What is killed


def processes(packing: Packing) -> list[subprocess.Popen[bytes]]:
    return [worker._process for worker in packing._workers if worker._process]


def test_a_process_that_is_killed(store: Store, root: Path, endless: Recipe) -> None:
    """Its layer fails, and the next one gets another process."""
    began = threading.Event()
    with Packing(store, compression="gzip", step=Counting(began.set)) as packing:
        packing._most = 1
        future = packing.submit(endless)
        after = packing.submit(recipe(root))
        assert began.wait(30)
        (process,) = processes(packing)
        process.kill()
        with pytest.raises(HostError, match="a layer: its process was ended by signal 9") as raised:
            future.result(30)
        assert raised.value.hint == "see that there is enough memory, and try again"
        assert after.result(30).size
    assert packed(store, endless.key, "gzip") is None
    assert os.listdir(store.root / "temporary") == []


def test_an_error_gives_up_what_is_under_way(store: Store, root: Path, endless: Recipe) -> None:
    began = threading.Event()
    packing = Packing(store, compression="gzip", step=Counting(began.set))
    packing._most = 1
    with contextlib.suppress(KeyboardInterrupt), packing:
        future = packing.submit(endless)
        waiting = packing.submit(recipe(root))
        assert began.wait(30)
        (process,) = processes(packing)
        start = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - start < 2
    assert process.wait(5) == -signal.SIGKILL
    assert isinstance(future.exception(5), WardianError)
    assert waiting.cancelled()
    assert os.listdir(store.root / "temporary") == []
    assert pack_one(store, recipe(root)).size  # nothing is locked any more


def test_a_wait_for_another_process_is_given_up_too(store: Store, root: Path) -> None:
    start = time.monotonic()
    packing = Packing(store, compression="gzip", step=Silent().step("packing"))
    with store.lock("layer-ab12"), contextlib.suppress(KeyboardInterrupt), packing:
        packing.submit(recipe(root))
        raise KeyboardInterrupt
    assert time.monotonic() - start < 2


def test_a_parent_that_is_killed(tmp_path: Path, root: Path) -> None:
    """Its processes end with it, and what they had begun is swept by the next."""
    with open(root / "big", "wb") as file:
        file.truncate(BIG)
    parent = start(tmp_path / "home", root, "key")
    children = _children(parent.pid)
    temporary = tmp_path / "home/temporary"
    _until(lambda: any(path.stat().st_size for path in temporary.glob("*/*")))
    parent.kill()
    parent.communicate()
    _until(lambda: not any(Path(f"/proc/{child}/exe").exists() for child in children))
    (root / "big").unlink()
    assert start(tmp_path / "home", root, "key").communicate()[0]
    assert os.listdir(temporary) == []


def _children(parent: int) -> list[str]:
    path = Path(f"/proc/{parent}/task")
    found: list[str] = []

    def look() -> bool:
        found[:] = [child for task in path.iterdir() for child in (task / "children").read_text().split()]
        return bool(found)

    _until(look)
    return found


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)  # nothing tells of another process's files and children


# Read by others' tools


def layout(store: Store, layer: Packed, folder: Path) -> None:
    """An OCI image layout (image-spec, image-layout.md) of one layer."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    configuration = Configuration(
        architecture="amd64", execution=Execution(), diff_ids=(layer.diff_id,)
    ).encode()
    manifest = Manifest(config=Descriptor.of(configuration, CONFIG), layers=(layer.descriptor,)).encode()
    for data in (configuration, manifest, store.content(layer.descriptor.digest.hex).read_bytes()):
        (blobs / hashlib.sha256(data).hexdigest()).write_bytes(data)
    named = Descriptor(
        media_type=MANIFEST,
        digest=Digest.of(manifest),
        size=len(manifest),
        annotations={"org.opencontainers.image.ref.name": "latest"},
    )
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named.as_json()]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


AWKWARD = (
    Entry(path="Größe", kind="file", data=b"1"),
    Entry(path=os.fsdecode(b"latin\xe4"), kind="file", data=b"2"),
    Entry(path="/".join(["d" * 90, "e" * 90, "f" * 90]), kind="file", data=b"3"),
    Entry(path="n" * 200, kind="file", data=b"4", xattrs={"user.x": b"\0\xff"}),
    Entry(path="link", kind="symlink", target="Größe/" * 40),
)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_skopeo_reads_it(
    store: Store, root: Path, tmp_path: Path, need: Need, compression: Compression
) -> None:
    need(shutil.which("skopeo"), "skopeo")
    layer = pack_one(store, recipe(root, entries=[*entries_of(root), *AWKWARD]), compression)
    layout(store, layer, tmp_path / "layout")
    source, target = f"oci:{tmp_path}/layout:latest", f"dir:{tmp_path}/out"
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", source, target], check=True)
    assert (tmp_path / "out" / layer.descriptor.digest.hex).stat().st_size == layer.descriptor.size
    shutil.rmtree(tmp_path / "out")
    words = ["skopeo", "--insecure-policy", "copy", "-q", "--dest-decompress", source, target]
    subprocess.run(words, check=True)
    assert (tmp_path / "out" / layer.diff_id.hex).stat().st_size == layer.size


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_umoci_unpacks_it(
    store: Store, root: Path, tmp_path: Path, need: Need, compression: Compression
) -> None:
    need(shutil.which("umoci"), "umoci")
    entries = [*entries_of(root), *AWKWARD]
    layer = pack_one(store, recipe(root, entries=entries), compression)
    layout(store, layer, tmp_path / "layout")
    words = ["umoci", "unpack", "--rootless", "--image", f"{tmp_path}/layout:latest", f"{tmp_path}/out"]
    subprocess.run(words, check=True, capture_output=True)
    out = tmp_path / "out/rootfs"
    for entry in entries:
        path = out / entry.path
        if entry.kind == "file":
            assert path.read_bytes() == (
                entry.data if entry.data is not None else (root / entry.path).read_bytes()
            )
            assert path.stat().st_mtime == entry.mtime
        elif entry.kind == "symlink":
            assert os.readlink(path) == entry.target
    assert os.getxattr(out / ("n" * 200), "user.x") == b"\0\xff"
    assert (out / "usr/one").samefile(out / "usr/link")
