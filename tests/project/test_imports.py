"""What code imports and installs, and which packages provide it."""

from __future__ import annotations

import json

import pytest

from wardian.errors import SpecError
from wardian.project import mapping
from wardian.project.imports import cell_imports, find_imports, infer
from wardian.project.mapping import find_providers
from wardian.project.notebooks import installed_words, read_notebook, strip_magics
from wardian.project.tree import walk_tree


def notebook(*cells, language="python"):
    return json.dumps(
        {
            "nbformat": 4,
            "metadata": {"kernelspec": {"language": language}},
            "cells": [{"cell_type": "markdown", "source": "import text"}]
            + [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells],
        }
    )


def test_every_form_of_import():
    found = find_imports(
        """
import numpy as np, os.path
from sklearn.tree import DecisionTreeClassifier as D
from . import near
from .near import far
from __future__ import annotations
def late():
    import scipy.stats
importlib.import_module("yaml")
__import__("toml")
import_module(name)
if TYPE_CHECKING:
    import typed
try:
    import cupy
except (ImportError, OSError):
    import fallback
try:
    import plain
except Exception:
    pass
"""
    )
    assert found.required == {
        "numpy",
        "os.path",
        "sklearn.tree.DecisionTreeClassifier",
        "__future__.annotations",
        "scipy.stats",
        "yaml",
        "toml",
        "fallback",
        "plain",
    }
    assert found.optional == {"typed", "cupy"}


@pytest.mark.parametrize(
    "text",
    ["import a.b, c as d\nfrom e.f import g\nprint 'two'\n", "import a.b, c as d\n  from e.f import *\n("],
)
def test_text_that_does_not_parse(text):
    assert find_imports(text).required == {"a.b", "c", "e.f"}


@pytest.mark.parametrize(
    "text", [f"import {'a' * 200_000} b\n(", f"import a{' ' * 200_000}b\n(", "\n" * 400_000 + "import a b("]
)
def test_long_text_costs_no_more_than_its_length(text):
    assert cell_imports(text).required == set()


@pytest.mark.parametrize(
    "text", [b"\0", b"\xff\xfe", "(" * 5000, "-" * 100_000 + "1", b"# coding: nowhere\n"]
)
def test_text_that_is_no_python(text):
    assert find_imports(text).required == set()


def test_magics_of_a_cell():
    cell = "%matplotlib inline\n!ls \\\n  -l\nfiles = !ls\nimport numpy\nnumpy?\ntry:\n    %load_ext x\n"
    cell += "except Exception: pass\n"
    assert cell_imports(cell).required == {"numpy"}
    assert cell_imports("%%time\nimport numpy").required == {"numpy"}
    assert cell_imports("%%bash\nimport numpy").required == set()
    assert cell_imports("x = (5\n  % 3)\nimport numpy  # why?").required == {"numpy"}
    assert len(strip_magics(cell).split("\n")) == len(cell.split("\n"))


def test_what_a_notebook_installs():
    cell = (
        "%pip install -q 'pandas>=2' numpy # now\n!pip3 install --upgrade scipy && ls\n"
        "!{sys.executable} -m pip install a\n%uv pip install b\n  !python3 -m pip install c \\\n d\n"
        "print('pip install x')"
    )
    assert installed_words(cell) == [
        ["-q", "pandas>=2", "numpy"],
        ["--upgrade", "scipy"],
        ["a"],
        ["b"],
        ["c", "d"],
    ]


def test_a_notebook_of_an_older_format(tmp_path):
    cells = [{"cell_type": "code", "input": ["import ", "numpy"]}, {"cell_type": "code", "input": 3}, "x"]
    (tmp_path / "a.ipynb").write_text(json.dumps({"worksheets": [{"cells": cells}, 3], "metadata": []}))
    assert read_notebook(tmp_path / "a.ipynb").cells == ("import numpy",)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "it has no list of cells"),
        (b'{"cells": 3}', "it has no list of cells"),
    ],
)
def test_a_notebook_that_is_none(tmp_path, content, why):
    (tmp_path / "a.ipynb").write_bytes(content)
    with pytest.raises(SpecError, match=f"a.ipynb is no notebook: {why}"):
        read_notebook(tmp_path / "a.ipynb")


PROVIDERS = {
    "numpy": "numpy", "cv2": "opencv-python", "sklearn": "scikit-learn", "skimage": "scikit-image",
    "PIL": "pillow", "yaml": "pyyaml", "bs4": "beautifulsoup4", "dateutil": "python-dateutil",
    "dotenv": "python-dotenv", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient", "jwt": "pyjwt",
    "fitz": "pymupdf", "umap": "umap-learn", "docx": "python-docx", "pptx": "python-pptx",
    "Bio": "biopython", "attr": "attrs", "zmq": "pyzmq", "faiss": "faiss-cpu",
    "imblearn": "imbalanced-learn", "IPython": "ipython", "netCDF4": "netcdf4",
    "mpl_toolkits.mplot3d": "matplotlib", "skopt": "scikit-optimize",
    "category_encoders": "category-encoders", "google.cloud.storage.Client": "google-cloud-storage",
    "google.cloud.bigquery_storage_v1": "google-cloud-bigquery-storage",
    "google.cloud.secretmanager_v1": "google-cloud-secret-manager",
    "google.protobuf.json_format": "protobuf", "azure.storage.blob.BlobClient": "azure-storage-blob",
    "azure.identity": "azure-identity", "snowflake.connector": "snowflake-connector-python",
    "sentence_transformers": "sentence-transformers", "torch": "torch", "tensorflow": "tensorflow",
    "xgboost": "xgboost", "duckdb": "duckdb", "ee": "earthengine-api", "osgeo.gdal": "gdal",
    "community": "python-louvain", "statsmodels.api": "statsmodels", "plotly.express": "plotly",
}  # fmt: skip


@pytest.mark.parametrize(("module", "distribution"), PROVIDERS.items())
def test_who_provides_a_module(module, distribution):
    (provider,) = find_providers([module])
    assert (provider.distribution, provider.guessed) == (distribution, False)


def test_modules_nobody_provides():
    modules = ["google.colab.drive", "utils", "_hidden", "naïve", "palmerpenguins"]
    assert [(p.distribution, p.guessed) for p in find_providers(modules)] == [
        ("", False),
        ("", False),
        ("", False),
        ("", False),
        ("palmerpenguins", True),
    ]


def test_without_the_mapping_names_alone_are_gone_by(monkeypatch):
    monkeypatch.setattr(mapping, "_DATA", ("no_such_package", "x"))
    assert [(p.distribution, p.guessed) for p in find_providers(["numpy", "osgeo"])] == [
        ("numpy", True),
        ("gdal", False),
    ]


def test_a_folders_code(write):
    folder = write(
        {
            "analysis.ipynb": notebook(
                "import pandas, sklearn.tree\nfrom src.own import f\nimport local, package, helpers",
                "%pip install 'pandas<3' https://example.org/x.whl -r more.txt\nimport cv2",
            ),
            "julia.ipynb": notebook("using Plots", language="julia"),
            "broken.ipynb": "no",
            "local.py": "import os, distutils\ntry:\n    import cupy\nexcept ImportError:\n    cupy = None\n",
            "src/own.py": "import helpers, palmerpenguins\n",
            "src/helpers/deep/mod.py": "import local, own, numpy\n",
            "package/sub/x.py": "",
            "setup.py": "import setuptools_scm",
            ".hidden/x.py": "import hidden",
            "env/pyvenv.cfg": "",
            "env/lib/x.py": "import inside",
            "node_modules/x.py": "import node",
            "runs/x.ipynb": notebook("import ran"),
        }
    )
    (folder / "loop").symlink_to(folder)
    inferred = infer(walk_tree(folder))
    assert inferred.requirements == ("numpy", "opencv-python", "palmerpenguins", "pandas<3", "scikit-learn")
    assert [note.replace(f"{folder}/", "") for note in inferred.notes] == [
        "analysis.ipynb installs something that an index does not name; it is left out.",
        "analysis.ipynb installs -r more.txt, which is left out.",
        (
            "Passed over: broken.ipynb is no notebook: it is not JSON "
            "(Expecting value: line 1 column 1 (char 0))."
        ),
        "Passed over: julia.ipynb is a notebook in julia.",
        "Notebooks install pandas<3.",
        "Taken by a mapping of modules to packages: cv2 from opencv-python, sklearn from scikit-learn.",
        "No mapping knows palmerpenguins: packages of the same name are assumed.",
        "Left out, as the code can run without: cupy.",
    ]
    assert not inferred.empty


def test_a_link_to_itself_hides_nothing(write):
    folder = write({f"{name}.py": "" for name in "abcdefgh"})
    for number in range(4):
        (folder / f"loop{number}.py").symlink_to(f"loop{number}.py")
    assert [path.stem for path in walk_tree(folder).files] == list("abcdefgh")


def test_a_folder_without_end(write, monkeypatch):
    monkeypatch.setattr("wardian.project.tree.MOST_FILES", 3)
    folder = write({f"{number}.py": "import numpy" for number in range(9)})
    inferred = infer(walk_tree(folder))
    assert inferred.notes == ("The folder is large: only its first 3 files of code were read.",)


def test_a_folder_that_is_a_package_of_its_own_name(write):
    tree = walk_tree(write({"a/b/__init__.py": "", "a/b/c.py": "", "data/x.csv": ""}))
    inner = tree.folder / "a" / "b" / "c.py"
    assert [tree.is_local(name, inner) for name in ("a", "b", "c", "data")] == [True, True, True, False]
    assert not tree.is_local("c", tree.folder / "x.py")
