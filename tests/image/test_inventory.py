"""What an image holds: who owns which path, what is waste, what differs. Against images made by hand."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.images import link, member

from wardian.cli.render import size
from wardian.errors import ImageError, VerificationError
from wardian.image import decompress
from wardian.image.library import Library, StoredImage
from wardian.image.manifest import Execution
from wardian.inventory import listing, records
from wardian.inventory.compare import Difference, compare
from wardian.inventory.measure import Branch, duplicates, grow, largest, lost
from wardian.inventory.model import Inventory
from wardian.inventory.page import page
from wardian.inventory.paths import Aliases, inside, source, top
from wardian.inventory.read import take_inventory
from wardian.inventory.treemap import drawing, lay_out
from wardian.system.progress import Silent

Make = Callable[..., StoredImage]

STATUS = b"""\
Package: hello
Status: install ok installed
Architecture: amd64
Version: 1:2.0-1
Description: says hello
 Package: not-this

Package: gone
Status: deinstall ok config-files
Version: 1
"""
SITE = "opt/venv/lib/python3.13/site-packages"
DEBIAN = {
    "usr/bin/hello": b"h" * 500,
    "usr/lib/python3/dist-packages/own.egg-info": b"Name: own\nVersion: 1\n\n",
    "etc/motd": b"welcome",
    "var/lib/dpkg/status": STATUS,
    "var/lib/dpkg/info/hello:amd64.list": (
        b"/.\n/bin\n/bin/hello\n/../../etc/motd2\n/usr/lib/python3/dist-packages/own.egg-info\n"
    ),
    "var/lib/dpkg/info/hello:amd64.md5sums": b"0  usr/bin/hello\n",
    "var/lib/dpkg/info/gone.list": b"/etc/motd\n",
}
PYTHON = {
    f"{SITE}/some_thing/__init__.py": b"p" * 300,
    f"{SITE}/some_thing/__pycache__/__init__.cpython-313.pyc": b"c" * 200,
    f"{SITE}/some_thing-1.5.dist-info/METADATA": b"Name: Some_Thing\nVersion: 1.5\n\nName: x\n",
    f"{SITE}/some_thing-1.5.dist-info/RECORD": (
        b"some_thing/__init__.py,sha256=x,300\n../../../bin/thing,,\n../../../../../../etc/motd,,\n"
    ),
    f"{SITE}/some_thing-1.5.dist-info/INSTALLER": b"x\n",
    "opt/venv/bin/thing": b"t" * 100,
    "opt/venv/pyvenv.cfg": b"v",
    "work/main.py": b"m" * 50,
    "work/data/a.csv": b"d" * 60,
}


@pytest.fixture
def take(library: Library, make_image: Make) -> Callable[..., Inventory]:
    """The inventory of an image of these layers."""

    def call(*layers: object, **options: object) -> Inventory:
        return take_inventory(library, make_image(*layers, **options), Silent())

    return call


def owners(inventory: Inventory) -> dict[str, str]:
    return {file.path: f"{file.package.ecosystem} {file.package.title}" for file in inventory.files}


def test_each_path_has_its_package(take: Callable[..., Inventory]) -> None:
    inventory = take([link("bin", "usr/bin"), *DEBIAN.items()], PYTHON)
    assert owners(inventory) == {
        "bin": "debian hello 1:2.0-1",
        "etc/motd": "other /etc",
        f"{SITE}/some_thing/__init__.py": "python some-thing 1.5",
        f"{SITE}/some_thing/__pycache__/__init__.cpython-313.pyc": "python some-thing 1.5",
        f"{SITE}/some_thing-1.5.dist-info/METADATA": "python some-thing 1.5",
        f"{SITE}/some_thing-1.5.dist-info/RECORD": "python some-thing 1.5",
        f"{SITE}/some_thing-1.5.dist-info/INSTALLER": "python some-thing 1.5",
        "opt/venv/bin/thing": "python some-thing 1.5",
        "opt/venv/pyvenv.cfg": "other /opt/venv",
        "usr/bin/hello": "debian hello 1:2.0-1",
        "usr/lib/python3/dist-packages/own.egg-info": "debian hello 1:2.0-1",
        "var/lib/dpkg/info/gone.list": "other /var/lib",
        "var/lib/dpkg/info/hello:amd64.list": "debian hello 1:2.0-1",
        "var/lib/dpkg/info/hello:amd64.md5sums": "debian hello 1:2.0-1",
        "var/lib/dpkg/status": "other /var/lib",
        "work/data/a.csv": "code /work/data",
        "work/main.py": "code /work/main.py",
    }
    sizes = {file.path: file.size for file in inventory.files}
    assert sizes["usr/bin/hello"] == 500
    assert inventory.bytes == sum(map(len, (*DEBIAN.values(), *PYTHON.values())))
    assert 0 < sum(file.weight for file in inventory.files) <= inventory.packed
    assert [layer.name for layer in inventory.layers] == ["layer 0", "layer 1"]


def test_packages_of_other_images(take: Callable[..., Inventory]) -> None:
    inventory = take(
        {
            "lib/apk/db/installed": b"P:musl\nV:1.2-r3\nF:lib\nR:ld.so\nZ:Q1\n\nP:empty\nV:1\n\n",
            "lib/ld.so": b"x",
            "var/lib/dpkg/status.d/tzdata": b"Package: tzdata\nVersion: 2025a\n",
            "var/lib/dpkg/status.d/tzdata.md5sums": b"0  usr/share/zone\n",
            "usr/share/zone": b"z",
            "app/old-1.egg-info/PKG-INFO": b"Name: old\nVersion: 1\n\n",
        }
    )
    found = owners(inventory)
    assert found["lib/ld.so"] == "alpine musl 1.2-r3"
    assert found["usr/share/zone"] == "debian tzdata 2025a"
    assert found["var/lib/dpkg/status.d/tzdata"] == "debian tzdata 2025a"
    assert found["app/old-1.egg-info/PKG-INFO"] == "python old 1"


def test_waste_is_found(take: Callable[..., Inventory]) -> None:
    inventory = take(
        {"a": b"x" * 100, "b": b"x" * 100, "old": b"y" * 70, "deep/gone": b"z" * 30, "empty": b"", "e2": b""},
        [
            ("old", b"w" * 10),
            ("deep/.wh.gone", b""),
            link("hard", "a", tarfile.LNKTYPE),
            ("c", b"x" * 100),
        ],
    )
    (same,) = duplicates(inventory)
    assert (same.paths, same.size, same.wasted) == (("a", "b", "c"), 100, 200)
    assert [file.path for file in inventory.files if file.is_repeated] == ["hard"]
    assert inventory.bytes == 310
    assert [(it.path, it.layer, it.size, it.is_removed) for it in lost(inventory)] == [
        ("old", 0, 70, False),
        ("deep/gone", 0, 30, True),
    ]
    assert [file.path for file in largest(inventory)] == ["a", "b", "c", "old"]


def test_a_layer_is_read_once(library: Library, make_image: Make) -> None:
    image = make_image(DEBIAN, PYTHON)
    first = take_inventory(library, image, Silent())
    for layer in image.manifest.layers:
        library.blob(layer.digest).unlink()
    assert take_inventory(library, image, Silent()) == first


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"format":1}', b'{"format":1,"members":[[1]],"texts":{}}']
)
def test_a_damaged_cache_is_made_anew(library: Library, make_image: Make, damage: bytes) -> None:
    image = make_image(DEBIAN)
    first = take_inventory(library, image, Silent())
    for path in library.store.cache("listings").iterdir():
        path.write_bytes(damage)
    assert take_inventory(library, image, Silent()) == first


def test_a_damaged_store_is_refused(library: Library, make_image: Make) -> None:
    image = make_image({"a": b"a" * 1000})
    blob = library.blob(image.manifest.layers[0].digest)
    blob.write_bytes(bytes(blob.stat().st_size))
    with pytest.raises(VerificationError, match="should have the digest"):
        take_inventory(library, image, Silent())
    assert not list(library.store.cache("listings").iterdir())


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ([("../out", b"x")], "leads out of it"),
        ([link("hard", "nowhere", tarfile.LNKTYPE)], "is a hard link to 'nowhere'"),
        ([link("a", "b"), link("b", "a"), ("a/x", b"")], "links lead in a circle"),
        ([("/".join(["d"] * 2100), b"")], "a name of more than 4096 characters"),
        ([link("l", "d/" * 2000), ("l/" + "d/" * 100 + "x", b"")], "is too deep"),
    ],
)
def test_hostile_layers_are_refused(take: Callable[..., Inventory], layer: object, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        take(layer)


def test_what_layers_may_hold_is_bounded(
    take: Callable[..., Inventory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST", 3)
    with pytest.raises(ImageError, match="more than 3 members"):
        take({str(number): b"" for number in range(4)})
    monkeypatch.setattr("wardian.inventory.read.MOST", 3)
    with pytest.raises(ImageError, match="more than 3 members in its layers"):
        take({"a": b"", "b": b""}, {"c": b"", "d": b""})
    with monkeypatch.context() as narrow:
        narrow.setattr(decompress, "_SLACK", 0)
        narrow.setattr(decompress, "_RATIO", 2)
        with pytest.raises(ImageError, match="unpacks to more than"):
            take({"bomb": bytes(1 << 20)})
    monkeypatch.setattr(listing, "_LONGEST_TEXT", 10)
    assert owners(take({"x.dist-info/METADATA": b"Name: long\nVersion: 1\n"})) == {
        "x.dist-info/METADATA": "other /x.dist-info"
    }


def test_holes_are_bounded(take: Callable[..., Inventory]) -> None:
    header = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    small, large = (
        member(f"{size}", pax_headers={**header, "GNU.sparse.realsize": f"{size}"})
        for size in (1 << 20, 1 << 50)
    )
    table = b"1\n0\n3\n".ljust(512, b"\0") + b"abc"
    (file,) = take([(small, table)]).files
    assert file.digest == hashlib.sha256(b"abc".ljust(1 << 20, b"\0")).hexdigest()
    with pytest.raises(ImageError, match="files with holes of more than 68719476736 bytes"):
        take([(small, table), (large, table)])


def test_a_list_is_read_once() -> None:
    class Texts(dict[str, str]):
        read = 0

        def get(self, path: str, default: str = "") -> str:  # type: ignore[override]
            self.read += path.startswith("var/lib/dpkg/info/")
            return super().get(path, default)

    stanzas = [f"Package: a\nVersion: {number}\nArchitecture: amd64\n" for number in range(1000)]
    texts = Texts({"var/lib/dpkg/status": "\n".join([*stanzas, "Package: a\nArchitecture: i386\n"])})
    found = {it.home.rpartition("/")[2]: it.package.version for it in records.debian(texts) if it.home}
    assert found == {"a": "0", "a:amd64": "0", "a:i386": ""}
    assert texts.read == 3


def test_fields_of_blanks_take_no_time() -> None:
    blanks = " " * 200_000 + "\t" * 200_000
    (found,) = records.python({"a.dist-info/METADATA": f"Name:{blanks}a \nVersion:{blanks}1{blanks}x\n"})
    assert found.package.name == "a"
    assert not list(records.debian({"var/lib/dpkg/status": f"Package:{blanks}\n"}))


def test_hostile_texts_do_no_harm(take: Callable[..., Inventory]) -> None:
    long = b"n" * 5000
    inventory = take(
        [
            (
                "var/lib/dpkg/status",
                b"Package: " + long + b"\nVersion: \xff\n\n\n\x00\nPackage:\n\nVersion: 1",
            ),
            ("a.dist-info/METADATA", b"Name: " + long + b"\nVersion: </script>\n"),
            ("a.dist-info/RECORD", b'"' + b"x" * 200_000 + b'"\n/etc/x,,\n\x00\xfe,,\n'),
            ("b.dist-info/METADATA", b"\xff\xfe"),
            ("b.dist-info/RECORD", b""),
            (b"na\xffme".decode("utf-8", "surrogateescape"), b"1"),
            ("\x1b[2J<script>alert(1)</script>", b"2"),
            ("/".join(["deep"] * 500), b"3"),
            (member("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
            (member("dev/sda", tarfile.BLKTYPE), b""),
            (member("pipe", tarfile.FIFOTYPE), b""),
            link("loop", "loop"),
            link("out", "../../.."),
            ("lib/apk/db/installed", b"P:\nF:/..\nR:..\n\nP:" + long + b"\nF:../../x\nR:y\n"),
        ]
    )
    kinds = {file.path: file.kind for file in inventory.files}
    assert kinds["dev/null"] == "character device"
    assert kinds["dev/sda"] == "block device"
    assert kinds["pipe"] == "fifo"
    assert all(len(file.package.name) <= 500 for file in inventory.files)
    assert owners(inventory)["a.dist-info/METADATA"].startswith("python nnn")
    root = grow(inventory)
    for text in (page(inventory, size), drawing(root, size)):
        text.encode()  # no half characters
        assert "<script>alert" not in text
        assert "\x1b" not in text


def names(branch: Branch) -> dict[str, object]:
    return {child.name: names(child) for child in branch.children}


def test_the_tree(take: Callable[..., Inventory]) -> None:
    inventory = take([link("bin", "usr/bin"), *DEBIAN.items()], PYTHON)
    root = grow(inventory)
    assert [child.name for child in root.children] == [
        "Python packages", "Debian packages", "Other files", "Code",
    ]  # fmt: skip
    assert names(root.children[0]) == {
        "some-thing 1.5": {
            "some_thing": {"__init__.py": {}, "__pycache__": {"__init__.cpython-313.pyc": {}}},
            "some_thing-1.5.dist-info": {"RECORD": {}, "METADATA": {}, "INSTALLER": {}},
            "opt/venv/bin": {"thing": {}},
        }
    }
    assert names(root.children[3]) == {"/work/data": {"a.csv": {}}, "/work/main.py": {}}
    assert (root.bytes, root.files) == (inventory.bytes, len(inventory.files))

    def check(branch: Branch) -> None:
        assert not branch.children or branch.bytes == sum(child.bytes for child in branch.children)
        assert [child.bytes for child in branch.children] == sorted(
            (child.bytes for child in branch.children), reverse=True
        )
        list(map(check, branch.children))

    check(root)


def test_boxes_lie_in_one_another(take: Callable[..., Inventory]) -> None:
    root = grow(take(DEBIAN, PYTHON))
    stack: list[object] = []
    boxes = list(lay_out(root))
    assert {box.branch.name for box in boxes} >= {"Python packages", "hello 1:2.0-1", "/work/main.py"}
    for box in boxes:
        del stack[box.level :]
        if stack:
            outer = stack[-1]
            assert outer.is_open  # type: ignore[attr-defined]
            assert outer.x <= box.x  # type: ignore[attr-defined]
            assert box.x + box.width <= outer.x + outer.width + 0.01  # type: ignore[attr-defined]
            assert box.y + box.height <= outer.y + outer.height + 0.01  # type: ignore[attr-defined]
        stack.append(box)


def test_many_files_are_told_as_one(take: Callable[..., Inventory]) -> None:
    root = grow(take({f"work/data/{number:04}": b"x" * (1 + number % 7) for number in range(3000)}))
    boxes = list(lay_out(root))
    assert len(boxes) < 520
    assert any(box.branch.name.endswith(" smaller") for box in boxes)


def test_pictures_depend_on_the_image_alone(take: Callable[..., Inventory]) -> None:
    one, other = take(DEBIAN, PYTHON), take(DEBIAN, PYTHON)
    assert page(one, size) == page(other, size)
    assert drawing(grow(one), size) == drawing(grow(other), size)


def test_an_empty_image(take: Callable[..., Inventory]) -> None:
    inventory = take({})
    assert grow(inventory).children == []
    assert "<svg" in page(inventory, size)
    assert "0 B" in drawing(grow(inventory), size)
    inventory = take({"a": b"", "work/b": b""})
    assert "<svg" in page(inventory, size)


def changed(difference: Difference) -> dict[str, tuple[str, ...]]:
    return {
        ("+" if change.old is None else "-" if change.new is None else "~") + change.path: change.what
        for change in difference.files
    }


def test_differences(take: Callable[..., Inventory]) -> None:
    old_files = {**DEBIAN, **PYTHON}
    new_files = {
        **DEBIAN,
        **PYTHON,
        "var/lib/dpkg/status": STATUS.replace(b"2.0-1", b"2.0-2"),
        "usr/bin/hello": b"H" * 510,
        f"{SITE}/some_thing/__init__.py": b"q" * 300,
        "work/new.py": b"n",
        f"{SITE}/new.dist-info/METADATA": b"Name: new\nVersion: 3\n\n",
    }
    del new_files["work/main.py"]
    old = take(
        {"same": b"s"},
        [("empty/", b""), link("bin", "usr/bin"), link("moved", "a"), *old_files.items()],
        execution=Execution(user="1", environment=(("A", "1"), ("B", "2")), ports=("80/tcp",)),
    )
    new = take(
        {"same": b"s"},
        [
            (member("etc", tarfile.DIRTYPE, mode=0o700), b""),
            link("bin", "usr/bin"),
            link("moved", "b"),
            *((name, data) for name, data in new_files.items() if name != "etc/motd"),
            (member("etc/motd", mode=0o600, uid=5), new_files["etc/motd"]),
        ],
        execution=Execution(user="2", environment=(("A", "1"), ("B", "3")), labels={"l": "v"}),
    )
    found = compare(old, new)
    assert bool(found)
    assert [
        (it.ecosystem, it.name, it.old, it.new, it.new_bytes - it.old_bytes, it.files)
        for it in found.packages
    ] == [
        ("debian", "hello", "1:2.0-1", "1:2.0-2", 10, 1),
        ("python", "new", None, "3", 22, 1),
        ("python", "some-thing", "1.5", "1.5", 0, 1),
    ]
    assert changed(found) == {
        "-empty": (),
        "~etc": ("mode",),
        "~etc/motd": ("mode", "owner"),
        "~moved": ("target",),
        f"+{SITE}/new.dist-info/METADATA": (),
        f"~{SITE}/some_thing/__init__.py": ("content",),
        "~usr/bin/hello": ("content",),
        "~var/lib/dpkg/status": ("content",),
        "-work/main.py": (),
        "+work/new.py": (),
    }
    assert {(it.name, it.old, it.new) for it in found.settings} == {
        ("user", "1", "2"),
        ("variable B", "2", "3"),
        ("port 80/tcp", "exposed", None),
        ("label l", None, "v"),
    }
    assert (found.shared, found.gone, found.new_layers) == (1, 1, 1)
    assert found.new_bytes == new.layers[1].packed
    assert not compare(old, old)


def test_packing_alone_is_no_difference(take: Callable[..., Inventory]) -> None:
    found = compare(take(PYTHON), take(PYTHON, compression="none"))
    assert not found
    assert (found.shared, found.new_layers) == (0, 1)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a//b/./c", "a/b/c"),
        ("../x", ""),
        ("/../../x", ""),
        ("a/../../x", ""),
        ("", ""),
        ("/", ""),
        (".", ""),
    ],
)
def test_paths_stay_inside(path: str, expected: str) -> None:
    assert inside(path) == expected


def test_paths() -> None:
    aliases = Aliases({"lib": "usr/lib", "abs": "/usr/lib", "out": "../../x/../.."})
    assert aliases.resolve("/lib/a") == "usr/lib/a"
    assert aliases.resolve("abs/a") == "usr/lib/a"
    assert aliases.resolve("lib") == "lib"
    assert aliases.resolve("out/a") == "out/a"
    assert [top(path) for path in ("a", "etc/x/y", "usr/lib/x", "usr/x")] == [
        "/a",
        "/etc",
        "/usr/lib",
        "/usr",
    ]
    assert source("a/__pycache__/b.cpython-313.opt-1.pyc") == "a/b.py"
    assert source("a/b.pyc") == ""


def test_shipped_files_are_there() -> None:
    import wardian.inventory

    folder = Path(wardian.inventory.__file__).parent
    assert {path.name for path in folder.iterdir()} >= {"page.css", "page.js", "treemap.css"}
