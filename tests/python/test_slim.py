"""What of Python packages can go, and what remaining code needs all the same."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from wardian.ecosystems.python import slim
from wardian.ecosystems.python.imports import imported
from wardian.image.entry import Entry

SITE = "opt/venv/lib/python3.13/site-packages/"


def select(packages: Mapping[str, Mapping[str, str]], **options: bool) -> slim.Selection:
    """Select from packages of these files; a path that begins with / is not below site-packages."""
    texts = {
        path[1:] if path.startswith("/") else SITE + path: text
        for files in packages.values()
        for path, text in files.items()
    }
    entries = {
        name: tuple(
            Entry(path=path[1:] if path.startswith("/") else SITE + path, kind="file", size=len(text))
            for path, text in sorted(files.items())
        )
        for name, files in packages.items()
    }
    return slim.select(entries, lambda entry: texts[entry.path].encode(), **options)


def dropped(selection: slim.Selection, name: str = "alpha") -> dict[str, str]:
    return {path.removeprefix(SITE): kind for path, kind in selection.dropped[name].items()}


def test_what_goes_by_kind():
    files = {
        "alpha/__init__.py": "",
        "alpha/__init__.pyi": "",
        "alpha/py.typed": "",
        "alpha/tests/__init__.py": "",
        "alpha/tests/test_a.py": "",
        "alpha/tests/data/big.csv": "",
        "alpha/tests/__pycache__/test_a.cpython-313.pyc": "",
        "alpha/inner/test_b.py": "",
        "alpha/inner/__pycache__/test_b.cpython-313.pyc": "",
        "alpha/inner/__pycache__/c.cpython-313.pyc": "",
        "alpha/inner/c.py": "",
        "alpha/conftest.py": "",
        "alpha/include/a.h": "",
        "alpha/a.pyx": "",
        "alpha/a.pxd": "",
        "alpha/a.cpython-313-x86_64-linux-gnu.so": "",
        "alpha/liba.a": "",
        "alpha/liba.so.debug": "",
        "alpha-1.0.dist-info/licenses/tests/test_x.py": "",
        "/opt/venv/include/site/python3.13/alpha/alpha.h": "",
        "/opt/venv/bin/alpha": "",
        "/opt/venv/share/alpha/tests/test_x.py": "",
    }
    assert dropped(select({"alpha": files})) == {
        "alpha/__init__.pyi": "stubs",
        "alpha/tests/__init__.py": "tests",
        "alpha/tests/test_a.py": "tests",
        "alpha/tests/data/big.csv": "tests",
        "alpha/tests/__pycache__/test_a.cpython-313.pyc": "tests",
        "alpha/inner/test_b.py": "tests",
        "alpha/inner/__pycache__/test_b.cpython-313.pyc": "tests",
        "alpha/conftest.py": "tests",
        "alpha/include/a.h": "headers",
        "alpha/a.pyx": "sources",
        "alpha/a.pxd": "headers",
        "alpha/liba.a": "static libraries",
        "alpha/liba.so.debug": "debug symbols",
        "opt/venv/include/site/python3.13/alpha/alpha.h": "headers",
    }


def test_a_library_called_test_is_no_test_suite():
    files = {"alpha/__init__.py": "", "alpha/test/__init__.py": "", "alpha/test/client.py": ""}
    assert dropped(select({"alpha": files})) == {}


@pytest.mark.parametrize(
    "text",
    [
        "from alpha.tests._natype import NA",
        "from alpha.tests import _natype",
        "from alpha.tests import (  # why\n    other,  # not this\n    _natype as n,\n)",
        "def f():\n    import os; import alpha.tests._natype as n",
        "from .tests import other, \\\n    _natype",
        "from .tests._natype import NA",
        "lazy = {'NA': 'alpha.tests._natype:NA'}",
        "import_module('.tests._natype', __package__)",
    ],
)
def test_what_remaining_code_imports_is_kept_with_what_that_imports(text: str):
    files = {
        "alpha/__init__.py": text,
        "alpha/tests/__init__.py": "from . import common",
        "alpha/tests/_natype.py": "from ..tests.deeper import x\nfrom .deeper.most import y\n",
        "alpha/tests/deeper/__init__.py": "",
        "alpha/tests/deeper/most.py": "",
        "alpha/tests/common.py": "",
        "alpha/tests/test_a.py": "from alpha.tests import conftest\n",
        "alpha/tests/conftest.py": "",
    }
    selection = select({"alpha": files})
    assert sorted(dropped(selection)) == ["alpha/tests/conftest.py", "alpha/tests/test_a.py"]
    assert selection.kept["alpha"][f"{SITE}alpha/tests/_natype.py"] == f"named in {SITE}alpha/__init__.py"


def test_other_packages_scripts_and_entry_points_need_too():
    alpha = {
        "alpha/__init__.py": "",
        "alpha/tests/__init__.py": "",
        "alpha/tests/one.py": "",
        "alpha/tests/two.py": "",
        "alpha/tests/three.py": "",
        "alpha/tests/test_a.py": "",
        "alpha-1.0.dist-info/entry_points.txt": "[console_scripts]\nalpha = alpha.tests.three:main\n",
    }
    beta = {"beta.py": "import alpha.tests.one\n", "/opt/venv/bin/beta": "from alpha.tests import two\n"}
    assert dropped(select({"alpha": alpha, "beta": beta})) == {"alpha/tests/test_a.py": "tests"}


def test_stubs_and_headers_and_data_that_code_reads():
    files = {
        "alpha/__init__.py": "import lazy_loader as lazy\nf = lazy.attach_stub(__name__, __file__)\n",
        "alpha/__init__.pyi": "",
        "alpha/other.pyi": "",
        "alpha/build.py": "text = '#include \"needed.h\"'\nopen('tests/data/x.csv')\n",
        "alpha/include/needed.h": "",
        "alpha/include/unneeded.h": "",
        "alpha/tests/test_a.py": "",
        "alpha/tests/data/x.csv": "",
        "alpha/tests/data/y.csv": "",
    }
    found = dropped(select({"alpha": files}))
    assert set(found) == {
        "alpha/other.pyi",
        "alpha/include/unneeded.h",
        "alpha/tests/test_a.py",
        "alpha/tests/data/y.csv",
    }


def test_packages_that_compile_keep_what_they_compile_with():
    files = {"triton/a.h": "", "triton/a.pyi": ""}
    assert dropped(select({"triton": files}), "triton") == {"triton/a.pyi": "stubs"}
    assert dropped(select({"alpha": {"alpha/a.h": ""}}, compiler=True)) == {}


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        (b"from . import tests", "a/__init__.py", {"a.tests"}),
        (b"from .. import tests", "a/b/c.py", {"a.tests"}),
        (b"from ....... import tests", "a/b/c.py", set()),
        (b"from a.tests.b import x", "", {"a.tests", "a.tests.b"}),
        (b"import a.tests.b, os", "", {"a.tests", "a.tests.b"}),
        (b"# nothing of tests", "", set()),
        (b"\xff\xfe from a.tests import b \x00", "", {"a.tests", "a.tests.b"}),
        (b"x = 'a.tests'", "", {"a.tests"}),
        (b"x = 'tests'", "a/__init__.py", set()),
    ],
)
def test_imports_of_a_source(text: bytes, path: str, found: set[str]):
    assert imported(text, path, {"a.tests", "a.tests.b"}, b"test") == found


def test_imports_over_lines_and_of_what_is_not_closed():
    known = {"a.tests", "a.tests.b"}
    assert imported(b"from a import (\n  x,  # y\n  tests,\n)\n", "", known, b"test") == {"a.tests"}
    assert imported(b"from a import x, \\\n  tests\n", "", known, b"test") == {"a.tests"}
    assert imported(b")\nfrom a import (tests\nfrom a.tests import b", "", known, b"test") == known


@pytest.mark.parametrize(
    "text",
    [
        b"from " + b"." * 500_000, b"from" + b" " * 500_000, b"from a import (tests, " * 50_000,
        b"test" * 100_000, b"'" + b"tests/" * 100_000, b"import " * 100_000, b"'" + b"." * 500_000,
    ],
)  # fmt: skip
def test_sources_that_are_made_to_be_slow(text: bytes):
    files = {"alpha/__init__.py": text.decode(), "alpha/tests/test_a.py": ""}
    start = time.process_time()
    select({"alpha": files})
    assert time.process_time() - start < 3  # 0.4 s at most here; machines differ


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("opt/python/lib/python3.12/test/test_os.py", "tests"),
        ("opt/python/include/python3.12/Python.h", "headers"),
        ("opt/python/lib/python3.12/os.py", ""),
    ],
)
def test_a_managed_interpreter(path: str, kind: str):
    assert slim.interpreter_kind(path, compiler=False) == kind
