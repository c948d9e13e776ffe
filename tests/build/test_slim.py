"""A slim layer: what is left out is not missed, what is missed is put back, and the report tells both."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.build import slim
from wardian.build.plan import PythonLayer, SlimLayer
from wardian.build.slimming import Slimming
from wardian.build.tree import Tree
from wardian.ecosystems.debian import slim as debian_slim
from wardian.ecosystems.python import contents, proof
from wardian.ecosystems.python.model import Interpreter, PythonPackage
from wardian.image.entry import Entry
from wardian.store.store import Store

SITE = "opt/venv/lib/python3.13/site-packages"
BIG = "x" * 5000


class Importing:
    """Stands in for the sandbox and its Python: `needs` tells which paths each module cannot do without.

    Where one begins with `?`, the error does not name it.
    """

    def __init__(self, folder: Path, needs: Mapping[str, tuple[str, ...]]) -> None:
        self.folder, self.needs, self.runs = folder, needs, 0

    def __call__(self, roots: tuple[Path, ...]) -> Importing:
        return self

    def run(self, arguments: object, *, mounts: object, **options: object) -> tuple[int, str]:
        self.runs += 1
        ((folder, _, _),) = mounts  # type: ignore[misc,attr-defined]
        jobs = json.loads((folder / "jobs").read_text())
        lines = []
        for package, modules in jobs["packages"]:
            for module in modules:
                needs = self.needs.get(module, ())
                lost = [path for path in needs if path.removeprefix("?") in ("*", *jobs["removed"])]
                error = f"FileNotFoundError: {lost[0]}" if lost else ""
                if lost and lost[0].startswith("?"):
                    error = "OSError: something is missing"
                told = {"package": package, "module": module, "error": error, "files": []}
                if lost and lost[0].endswith("/__init__.py"):
                    missing = lost[0].split("/")[-2]
                    told |= {"error": f"ModuleNotFoundError: No module named {missing!r}", "missing": missing}
                lines.append(told)
            lines.append({"package": package, "used": [package]})
        (folder / "results").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return 0, ""


def make(tmp_path: Path, packages: Mapping[str, Mapping[str, str]], debian: tuple[Entry, ...] = ()) -> Tree:
    snapshot = tmp_path / "python"
    (snapshot / "root" / SITE).mkdir(parents=True)
    for name, files in packages.items():
        record = "".join(f"{path},,\n" for path in files)
        for path, text in {**files, f"{name}-1.dist-info/RECORD": record}.items():
            (snapshot / "root" / SITE / path).parent.mkdir(parents=True, exist_ok=True)
            (snapshot / "root" / SITE / path).write_text(text)
    found = contents.read(snapshot, names=list(packages))
    return Tree(
        roots=(snapshot,), debian={"d" * 64: debian} if debian else {}, state=(), interpreter=(),
        python=found.packages, environment=found.rest, bytecode=(),
    )  # fmt: skip


def layer_of(names: tuple[str, ...]) -> SlimLayer:
    python = PythonLayer(
        name="python", key="p", below=(), interpreter=Interpreter(version="3.13.5", source="debian"),
        packages=tuple(
            PythonPackage(name=name, version="1", file=f"{name}-1-py3-none-any.whl", size=1, sha256=name * 8)
            for name in names
        ),
        workbench=False,
    )  # fmt: skip
    return SlimLayer(name="slim", key="s", below=("p",), layers=(python,))


def build(
    tmp_path: Path,
    tree: Tree,
    needs: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[slim.SlimReport, Importing, Path]:
    store = Store.open(tmp_path / "store")
    sandbox = Importing(tmp_path, needs or {})
    folder = tmp_path / f"work-{len(list(tmp_path.iterdir()))}"
    (folder / "snapshot").mkdir(parents=True)
    layer = layer_of(tuple(tree.python))
    made = Slimming(store=store, layer=layer, tree=tree, sandbox=sandbox, folder=folder).build()
    return made, sandbox, folder / "snapshot"


def paths(entries: tuple[Entry, ...]) -> list[str]:
    return [entry.path.removeprefix(f"{SITE}/") for entry in entries if entry.path.startswith(f"{SITE}/a")]


FILES = {
    "alpha/__init__.py": "",
    "alpha/tests/test_a.py": BIG,
    "alpha/tests/data/deep/x.csv": "1",
    "alpha/one.js": BIG,
    "alpha/two.js": BIG,
}


def test_what_is_not_missed_goes(tmp_path: Path) -> None:
    tree = make(tmp_path, {"alpha": FILES, "beta": {"beta.py": ""}})
    report, sandbox, snapshot = build(tmp_path, tree)
    (told,) = report.packages
    assert told.freed == {"tests": 5001}
    assert report.bytes == 5001
    after = slim.apply(tree, slim.SlimReport.read(snapshot), 1)
    assert paths(after.python["alpha"]) == [
        "alpha",
        "alpha/__init__.py",
        "alpha/one.js",
        "alpha/two.js",
    ]
    assert after.python["beta"] == tree.python["beta"]
    assert sandbox.runs == 1
    again, sandbox, _ = build(tmp_path, tree)
    assert again == report
    assert sandbox.runs == 0  # what was proved is not tried again


def test_what_is_missed_is_put_back_and_told(tmp_path: Path) -> None:
    tree = make(tmp_path, {"alpha": FILES, "beta": {"beta/__init__.py": "", "beta/tests/test_b.py": BIG}})
    report, _, snapshot = build(tmp_path, tree, {"alpha": (f"{SITE}/alpha/tests/data/deep/x.csv",)})
    found = {package.name: package for package in report.packages}
    assert "import alpha: FileNotFoundError" in found["alpha"].restored
    assert found["alpha"].freed == {}
    assert found["beta"].freed == {"tests": 5000}
    after = slim.apply(tree, slim.SlimReport.read(snapshot), 1)
    assert after.python["alpha"] == tree.python["alpha"]


def test_what_another_package_misses_is_put_back_too(tmp_path: Path) -> None:
    tree = make(tmp_path, {"alpha": FILES, "beta": {"beta.py": ""}})
    report, _, _ = build(tmp_path, tree, {"beta": (f"{SITE}/alpha/tests/test_a.py",)})
    assert {package.name for package in report.packages if package.restored} == {"alpha", "beta"}


def test_what_never_imported_is_no_reason(tmp_path: Path) -> None:
    report, sandbox, _ = build(tmp_path, make(tmp_path, {"alpha": FILES}), {"alpha": ("*",)})
    assert report.bytes == 5001
    assert sandbox.runs == 2  # slim, and full
    _, sandbox, _ = build(tmp_path, make(tmp_path / "again", {"alpha": FILES}), {"alpha": ("*",)})
    assert sandbox.runs == 2  # nor was anything proved by it


def test_all_that_goes_is_tried(tmp_path: Path) -> None:
    path = "usr/lib/python3.13/test/__init__.py"
    debian = (Entry(path=path, kind="file", size=10), Entry(path="usr/bin/x", kind="file", size=1))
    tree = make(tmp_path, {"alpha": FILES}, debian)
    own = "opt/python/lib/python3.12/test/a.py"
    code = "opt/python/lib/python3.12/test/__pycache__/a.cpython-312.pyc"
    tree = replace(
        tree,
        interpreter=(Entry(path=own, kind="file", size=5),),
        bytecode=(Entry(path=code, kind="file", size=5),),
    )
    report, _, _ = build(tmp_path, tree)
    assert {package.ecosystem: package.freed for package in report.packages} == {
        "debian": {"tests": 10}, "interpreter": {"tests": 5}, "python": {"tests": 5001},
    }  # fmt: skip
    for needed in (path, own, code):
        folder = tmp_path / needed.replace("/", "-")
        folder.mkdir()
        report, sandbox, _ = build(folder, tree, {"alpha": (needed,)})
        # What is named is put back alone.
        assert {package.ecosystem: bool(package.restored) for package in report.packages} == {
            "debian": True, "interpreter": True, "python": False,
        }  # fmt: skip
        assert report.bytes == 5001
        assert sandbox.runs == 4  # slim, full, once more; and slim again


def test_what_is_missed_without_a_name_is_looked_for_everywhere(tmp_path: Path) -> None:
    header = Entry(path="usr/include/a.h", kind="file", size=10)
    tree = make(tmp_path, {"alpha": FILES, "beta": {"beta/__init__.py": "", "beta/tests/test_b.py": BIG}})
    tree = replace(tree, debian={"d" * 64: (header,)})
    report, _, _ = build(tmp_path, tree, {"alpha": (f"?{header.path}",)})
    assert {package.name: package.freed for package in report.packages if not package.restored} == {
        "beta": {"tests": 5000}
    }
    assert len(report.packages) == 3


def test_byte_code_of_what_goes_goes_too(tmp_path: Path) -> None:
    tests = ("usr/lib/python3.13/test", "opt/python/lib/python3.12/test")
    made = [Entry(path=f"{top}/a.py", kind="file", size=1) for top in tests]
    code = tuple(Entry(path=f"{top}/__pycache__/a.cpython-313.pyc", kind="file", size=1) for top in tests)
    stays = Entry(path="opt/python/lib/python3.12/__pycache__/os.cpython-312.pyc", kind="file", size=1)
    tree = make(tmp_path, {}, (made[0],))
    tree = replace(tree, interpreter=(made[1],), bytecode=(*code, stays))
    report, _, _ = build(tmp_path, tree)
    after = slim.apply(tree, report, 1)
    assert [entry.path for entry in after.bytecode if entry.kind == "file"] == [stays.path]


def test_debian_packages_and_links_to_what_goes(tmp_path: Path) -> None:
    debian = (
        Entry(path="usr", kind="directory", mode=0o755),
        Entry(path="usr/include", kind="directory", mode=0o755),
        Entry(path="usr/include/a.h", kind="file", size=10),
        Entry(path="usr/include/b.h", kind="file", size=20),
        Entry(path="usr/lib/x.so", kind="hardlink", target="usr/include/b.h"),
    )
    tree = make(tmp_path, {}, debian)
    report, _, _ = build(tmp_path, tree)
    assert [(package.ecosystem, package.freed) for package in report.packages] == [
        ("debian", {"headers": 10})
    ]
    after = slim.apply(tree, report, 1)
    assert [entry.path for entry in after.debian["d" * 64]] == [
        "usr", "usr/include", "usr/include/b.h", "usr/lib/x.so",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("usr/include/zlib.h", "headers"),
        ("usr/lib/x86_64-linux-gnu/libz.a", "static libraries"),
        ("usr/lib/x86_64-linux-gnu/libz.la", "static libraries"),
        ("usr/lib/x86_64-linux-gnu/pkgconfig/zlib.pc", "build descriptions"),
        ("usr/share/cmake/zlib/zlib.cmake", "build descriptions"),
        ("usr/lib/x86_64-linux-gnu/perl/5.40/CORE/perl.h", "headers"),
        ("usr/lib/x86_64-linux-gnu/libz.so.1", ""),
        ("usr/share/gdb/auto-load/x.py", "debug symbols"),
        ("usr/share/bash-completion/completions/git", "completions"),
        ("usr/share/bash-completion/bash_completion", ""),
        ("usr/lib/python3.13/test/support/__init__.py", "tests"),
        ("usr/lib/python3.13/unittest/case.py", ""),
        ("usr/share/doc/zlib1g/copyright", ""),
        ("usr/bin/perl", ""),
    ],
)
def test_debian_paths(path: str, kind: str) -> None:
    assert debian_slim.kind(path, compiler=False) == kind
    natives = ("headers", "static libraries", "build descriptions")
    assert debian_slim.kind(path, compiler=True) == ("" if kind in natives else kind)


def test_compilers() -> None:
    for name in ("gcc", "x86_64-linux-gnu-gcc-14", "cc", "g++", "clang-19", "clang++"):
        assert debian_slim.has_compiler([f"usr/bin/{name}"])
    assert not debian_slim.has_compiler(["usr/bin/python3", "usr/lib/gcc/x", "usr/bin/gcc-ranlib-x"])


@given(path=st.text(max_size=40))
def test_any_path_is_judged(path: str) -> None:
    debian_slim.kind(path, compiler=False)
    proof.modules([Entry(path=f"{SITE}/{path}.py", kind="file")])
    assert isinstance(os.fspath(path), str)
