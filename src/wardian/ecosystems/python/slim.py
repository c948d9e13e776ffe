"""What an environment can do without while it runs: test suites, stubs, headers, sources of extensions.

What is dropped follows from names; what is kept all the same from what the remaining code says. The scan
errs on the side of keeping: it reads text, and takes an example in a string for an import.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from wardian.ecosystems.python.contents import source_path
from wardian.ecosystems.python.imports import imported
from wardian.image.entry import Entry

_SUITES = frozenset(("tests", "test"))
_TEST = re.compile(r"(test_.*|conftest)\.py$")
_KINDS = {
    **dict.fromkeys(("pyi",), "stubs"),
    **dict.fromkeys(("h", "hh", "hpp", "hxx", "cuh", "inl", "pxd", "pxi"), "headers"),
    **dict.fromkeys(("c", "cc", "cpp", "cxx", "pyx"), "sources"),
    **dict.fromkeys(("a", "lib", "la"), "static libraries"),
    **dict.fromkeys(("pdb", "debug", "dwo", "dwp"), "debug symbols"),
}
_NATIVE = frozenset(("headers", "sources", "static libraries"))
# Packages that compile while they run, or that exist for those who compile: all of theirs stays.
_COMPILING = re.compile(
    r"(apache-tvm|cffi|cmake|cmdstanpy|cppimport|cppyy|cuda|cupy|cython|deepspeed|jax|meson|nanobind|ninja|"
    r"numba|nvidia|pybind11|pycuda|pykeops|pyopencl|pystan|pytensor|pythran|setuptools|taichi|tensorflow|"
    r"torch|triton|warp-lang|ziglang)"
)
_SITE = re.compile(r"^(.*?lib/python3[^/]*/site-packages/)(.+)$")
_ENDING = re.compile(rb"\.(?:hh?|hpp|hxx|cuh|inl|pxd|pxi|cc?|cpp|cxx|pyx|a|lib|la)\b")
_NAME = re.compile(rb"[\w.+-]+\Z")
_SUITE_PATH = re.compile(rb"[\"']([^\"'\n]{0,500}\btests?/[^\"'\n]{1,500})[\"']")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What goes, by package: paths with what they are. And what stays all the same, with the reason."""

    dropped: Mapping[str, Mapping[str, str]]
    kept: Mapping[str, Mapping[str, str]]


@dataclass(slots=True)
class _Scan:
    """Candidates, by path, and by the name of the module that they are; each with its package."""

    kinds: dict[str, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    modules: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    natives: dict[str, dict[bytes, list[str]]] = field(default_factory=lambda: defaultdict(dict))
    suites: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    kept: dict[str, str] = field(default_factory=dict)


def select(
    packages: Mapping[str, tuple[Entry, ...]], read: Callable[[Entry], bytes], *, compiler: bool = False
) -> Selection:
    """Select what goes; `read` gives a file's bytes.

    With `compiler`, the image has one, and what is compiled with stays.
    """
    scan = _Scan()
    for name, entries in packages.items():
        kinds = dict(_candidates(name, entries, compiler))
        for path, kind in kinds.items():
            _add(scan, name, path, kind)
    _keep_needed(scan, packages, read)
    return Selection(
        dropped={name: _dropped(scan, entries) for name, entries in packages.items()},
        kept=_kept(scan),
    )


def interpreter_kind(path: str, *, compiler: bool) -> str:
    """What a file of a managed interpreter is that can go, or ""."""
    if re.match(r"opt/python/lib/python3[^/]*/(test|idlelib/idle_test)/", path):
        return "tests"
    is_native = path.startswith("opt/python/include/") or path.endswith((".a", ".pc"))
    return "headers" if is_native and not compiler else ""


def _candidates(name: str, entries: Iterable[Entry], compiler: bool) -> Iterator[tuple[str, str]]:
    files = [entry.path for entry in entries if entry.kind in ("file", "hardlink", "symlink")]
    suites = _suite_folders(files)
    for path in files:
        found = _SITE.match(path)
        inner = found[2] if found else ""
        if ".dist-info/" in inner or (not found and "/include/" not in path):
            continue
        file = path.rpartition("/")[2]
        kind = _KINDS.get(file.rpartition(".")[2].lower(), "") if "." in file else ""
        if inner and (_TEST.fullmatch(file) or any(path.startswith(folder) for folder in suites)):
            yield path, "tests"
        elif kind in _NATIVE:
            if not compiler and not _COMPILING.match(name):
                yield path, kind
        elif kind and inner:
            yield path, kind


def _suite_folders(files: Iterable[str]) -> tuple[str, ...]:
    """The folders called tests that hold tests: there are packages, as django's, where test is a library."""
    found = set()
    for path in files:
        match = _SITE.match(path)
        if not match or not _TEST.fullmatch(path.rpartition("/")[2]):
            continue
        parts = match[2].split("/")[:-1]
        for depth, part in enumerate(parts):
            if part in _SUITES:
                found.add(f"{match[1]}{'/'.join(parts[: depth + 1])}/")
                break
    return tuple(sorted(found))


def _add(scan: _Scan, name: str, path: str, kind: str) -> None:
    scan.kinds[path] = kind
    scan.owners.setdefault(path, name)
    match = _SITE.match(path)
    inner = match[2] if match else path
    if kind in _NATIVE:
        scan.natives[name].setdefault(path.rpartition("/")[2].encode(errors="replace"), []).append(path)
    elif kind == "tests":
        scan.suites[name].append(path)
        if module := module_name(inner):
            scan.modules[module].append(path)


def module_name(path: str) -> str:
    """The module that a file below site-packages is, or ""."""
    folder, _, file = path.rpartition("/")
    stem = file.partition(".")[0]
    if not file.endswith((".py", ".so")):
        return ""
    parts = [*(folder.split("/") if folder else []), *([] if stem == "__init__" else [stem])]
    return ".".join(parts)


def _keep_needed(
    scan: _Scan, packages: Mapping[str, tuple[Entry, ...]], read: Callable[[Entry], bytes]
) -> None:
    """Take back what remaining code names, and then what that names in its turn."""
    sources = {
        entry.path: (name, entry)
        for name, entries in packages.items()
        for entry in entries
        if entry.kind == "file" and _is_code(entry)
    }
    pending = [path for path in sources if path not in scan.kinds]
    while pending:
        path = pending.pop()
        name, entry = sources[path]
        for needed in _needed(scan, name, path, read(entry)):
            if needed in scan.kinds and needed not in scan.kept:
                scan.kept[needed] = f"named in {path}"
                if needed in sources:
                    pending.append(needed)


def _is_code(entry: Entry) -> bool:
    is_script = "/bin/" in entry.path and "/site-packages/" not in entry.path and entry.size < 1 << 20
    return entry.path.endswith((".py", "/entry_points.txt")) or is_script


def _needed(scan: _Scan, name: str, path: str, text: bytes) -> Iterator[str]:
    if b"attach_stub" in text:
        yield f"{path}i"  # lazy_loader reads what it shall import from there
    if b"test" in text or "test" in path:  # a test suite names its own modules relatively
        match = _SITE.match(path)
        for module in imported(text, match[2] if match else "", scan.modules.keys(), b"test"):
            yield from scan.modules[module]
        if scan.suites.get(name) and b"/" in text:
            for found in _SUITE_PATH.findall(text):
                end = "/" + found.decode(errors="replace").lstrip("./")
                yield from (own for own in scan.suites[name] if own.endswith(end))
    if natives := scan.natives.get(name):
        for found in _ENDING.finditer(text):
            if stem := _NAME.search(text, max(0, found.start() - 100), found.start()):
                yield from natives.get(stem[0] + found[0], ())


def _dropped(scan: _Scan, entries: Iterable[Entry]) -> dict[str, str]:
    found = {}
    for entry in entries:
        path = source_path(entry.path) if "/__pycache__/" in entry.path else entry.path
        if path in scan.kinds and path not in scan.kept:
            found[entry.path] = scan.kinds[path]
    return found


def _kept(scan: _Scan) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path, why in sorted(scan.kept.items()):
        found[scan.owners[path]][path] = why
    return dict(found)
