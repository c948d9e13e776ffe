"""Byte code is the same whatever else is compiled, in which order and on how many cores."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path

import pytest

from wardian.ecosystems.python.bytecode import compile_units
from wardian.ecosystems.python.install import install
from wardian.ecosystems.python.prefetch import prefetch
from wardian.ecosystems.python.resolve import resolve
from wardian.errors import BuildError

pytestmark = pytest.mark.namespaces

PLACE = "opt/venv/lib"


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {
        os.path.relpath(os.path.join(parent, name), folder): Path(parent, name).read_bytes()
        for parent, _, names in os.walk(folder)
        for name in names
    }


def library(*names: str) -> dict[str, int]:
    """Sources of the host's standard library, which the sandbox sees where they are."""
    top = Path(os.path.realpath(subprocess.check_output(
        ["/usr/bin/python3", "-c", "import os; print(os.path.dirname(os.__file__))"], text=True
    ).strip()))  # fmt: skip
    found = [path for name in names for path in (top / name).rglob("*.py")]
    return {str(path).lstrip("/"): path.stat().st_size for path in found}


def test_order_company_and_cores_change_nothing(sandbox, host_target, tmp_path):
    interpreter, _ = host_target
    one, two = library("json", "asyncio", "email"), library("http", "unittest")
    assert one
    assert two
    first = compile_units(sandbox, interpreter, [one, two], tmp_path / "a", processes=1)
    second = compile_units(
        sandbox, interpreter, [dict(reversed(two.items())), one], tmp_path / "b", processes=5
    )
    alone = compile_units(sandbox, interpreter, [dict.fromkeys(one, 0)], tmp_path / "c", processes=2)
    assert bytes_below(first[0]) == bytes_below(second[1]) == bytes_below(alone[0])
    assert bytes_below(first[1]) == bytes_below(second[0])
    assert len(bytes_below(first[0])) == len(one)


def test_names_headers_and_what_does_not_compile(sandbox, host_target, tmp_path):
    interpreter, _ = host_target
    folder = tmp_path / "lib"
    folder.mkdir()
    sources = {
        "good.py": b"def f():\n    return 1\n",
        "empty.py": b"",
        "two words.dots.py": b"x = 'a b'\n",
        "bad.py": b"print 'x'\n",
        "nul.py": b"x = '\0'\n",
        "latin.py": b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        "undecodable.py": b"x = '\xe9'\n",
        "deep.py": b"(" * 5000 + b")" * 5000,
        "warns.py": b"x = '\\d'\nassert (1, 2)\n",
    }
    for name, content in sources.items():
        (folder / name).write_bytes(content)
    os.symlink("/nowhere", folder / "gone.py")
    sandbox.shown.append((folder, f"/{PLACE}", True))
    unit = {f"{PLACE}/{name}": 1 for name in (*sources, "gone.py", "missing.py")}
    (made,) = compile_units(sandbox, interpreter, [unit], tmp_path / "work")
    tag = "cpython-" + "".join(interpreter.version.split(".")[:2])
    good = ("good", "empty", "two words.dots", "latin", "warns")
    found = bytes_below(made)
    assert sorted(found) == sorted(f"{PLACE}/__pycache__/{name}.{tag}.pyc" for name in good)
    code = found[f"{PLACE}/__pycache__/good.{tag}.pyc"]
    assert code[4:8] == b"\x01\0\0\0"  # PEP 552: hash-based, not checked
    assert code[8:16] == importlib.util.source_hash(sources["good.py"])
    assert f"/{PLACE}/good.py".encode() in code
    assert str(tmp_path).encode() not in code
    assert not (folder / "__pycache__").exists()


def test_a_python_that_fails(host_target, tmp_path):
    class Failing:
        def run(self, arguments, **options):
            return 139, "Segmentation fault"

    with pytest.raises(BuildError, match="status 139:\n  Segmentation fault"):
        compile_units(Failing(), host_target[0], [{"a.py": 1}], tmp_path / "work")


@pytest.mark.network
def test_real_packages(real_uv, request_for, host_target, sandbox, tmp_path):
    interpreter, target = host_target
    packages = resolve(real_uv, request_for("numpy", "rich", interpreter=interpreter, target=target))
    prefetch(real_uv, packages, target=target)
    into = real_uv.folder / "made"
    install(real_uv, packages, interpreter=interpreter, target=target, sandbox=sandbox, into=into, below=())
    sandbox.shown.append((into, "/opt/venv", True))
    found = [path for path in sorted(into.rglob("*.py")) if "tests" not in path.parts]
    unit = {f"opt/venv/{path.relative_to(into)}": path.stat().st_size for path in found}
    (one,) = compile_units(sandbox, interpreter, [unit], tmp_path / "a", processes=1)
    (two,) = compile_units(sandbox, interpreter, [dict.fromkeys(unit, 0)], tmp_path / "b", processes=3)
    assert bytes_below(one) == bytes_below(two)
    assert len(bytes_below(one)) == len(unit)
