"""What is made of a folder, and what it says of it."""

from __future__ import annotations

import json

import pytest

from wardian.errors import SpecError
from wardian.project.detect import detect
from wardian.project.presets import DATA_SCIENCE
from wardian.project.requirements import EXPORTED
from wardian.project.spec import PythonSpec, Spec, SystemSpec

BLOCK = '# /// script\n# requires-python = ">=3.12"\n# dependencies = ["rich"]\n# ///\nimport rich\n'


def names(detection, folder):
    return [path.relative_to(folder).as_posix() for path in detection.inputs]


def test_an_empty_folder_gets_the_preset(write):
    folder = write({"data.csv": "", "notes.ipynb": json.dumps({"cells": []})})
    found = detect(folder)
    assert found.spec == Spec(name="my-project", python=PythonSpec(packages=DATA_SCIENCE))
    assert found.sources == (
        "The folder declares nothing and holds no Python code: it gets the data-science preset.",
    )
    assert names(found, folder) == [
        "wardian.toml",
        "pyproject.toml",
        "requirements.txt",
        "apt.txt",
        ".python-version",
        ".",
        "notes.ipynb",
    ]


def test_files_that_declare(write):
    folder = write(
        {
            "requirements.txt": "numpy\n-r more.txt\n",
            "more.txt": "--index-url https://example.org\nscipy\n",
            "pyproject.toml": '[project]\nname="x"\nrequires-python=">=3.11"\ndependencies=["pandas>=2"]\n',
            "apt.txt": "graphviz\n",
            ".python-version": "3.12\n",
            "code.py": "import torch",
        }
    )
    found = detect(folder)
    assert found.spec == Spec(
        name="x",
        python=PythonSpec(version="3.12", requirements=("requirements.txt", "pyproject.toml")),
        system=SystemSpec(packages=("graphviz",)),
    )
    assert found.spec.requirements(found.declared) == ("numpy", "scipy", "pandas>=2")
    assert found.spec.python_specifier(found.declared) == "==3.12.*,>=3.11"
    assert found.sources == (
        "requirements.txt asks for 2 Python packages (numpy, scipy).",
        "apt.txt asks for 1 Debian package (graphviz).",
        ".python-version asks for Python 3.12.",
        "pyproject.toml asks for 1 Python package (pandas>=2) and Python >=3.11.",
        "more.txt gives --index-url, which is left out: addresses come from your configuration.",
    )
    assert names(found, folder) == [
        "wardian.toml",
        "pyproject.toml",
        "requirements.txt",
        "apt.txt",
        ".python-version",
        "more.txt",
    ]


def test_code_is_asked_last(write):
    folder = write(
        {
            "a.py": "import numpy, sklearn\n",
            "sub/b.py": "import a\n",
            "environment.yml": "",
            "pyproject.toml": '[project]\nname="x"\nrequires-python=">=3.11"\n',
        }
    )
    found = detect(folder)
    assert found.spec.python == PythonSpec(version=">=3.11", packages=("numpy", "scikit-learn"))
    assert found.sources == (
        "environment.yml is not read.",
        "No file declares Python packages; the folder's code needs 2 Python packages (numpy, scikit-learn).",
        "Taken by a mapping of modules to packages: sklearn from scikit-learn.",
    )
    assert names(found, folder)[5:] == [".", "sub", "a.py", "sub/b.py"]


@pytest.mark.parametrize(
    ("text", "is_told"),
    [('[tool.poetry.dependencies]\nrequests = "*"\n', True), ("[tool.poetry]\nname = 'x'\n", False)],
)
def test_what_poetry_declares_is_named(write, text, is_told):
    found = detect(write({"pyproject.toml": text}))
    told = ("[tool.poetry.dependencies] in pyproject.toml is not read.",) if is_told else ()
    assert found.sources[:-1] == told


def test_code_that_needs_nothing(write):
    found = detect(write({"a.py": "import os\n"}))
    assert found.spec.python == PythonSpec()
    assert found.sources == ("No file declares Python packages; the folder's code needs no Python package.",)


def test_an_empty_declaration_is_one(write):
    assert detect(write({"requirements.txt": "", "a.py": "import numpy"})).spec.python == PythonSpec(
        requirements=("requirements.txt",)
    )


def test_what_wardian_has_exported_declares_nothing(write):
    export = f"{EXPORTED}, for linux/amd64, Python 3.13.5.\nnumpy==2.0\n"
    folder = write({"requirements.txt": export, "a.py": "import numpy"})
    found = detect(folder)
    assert found.spec.python == PythonSpec(packages=("numpy",))
    assert found.sources[0] == "requirements.txt is not read: wardian has exported it from a lock."
    assert folder / "requirements.txt" in found.inputs
    write({"requirements.txt": f"# Edited.\n{export}"})
    assert detect(folder).spec.python == PythonSpec(requirements=("requirements.txt",))
    write({"requirements.txt": export, "wardian.toml": '[python]\nrequirements=["requirements.txt"]\n'})
    assert detect(folder).declared.requirements == ("numpy==2.0",)


def test_an_explicit_spec_is_all(write):
    folder = write(
        {
            "wardian.toml": '[python]\nrequirements=["r.txt"]\n',
            "r.txt": "numpy",
            "requirements.txt": "scipy",
            "apt.txt": "git",
            ".python-version": "3.9",
        }
    )
    found = detect(folder)
    assert found.spec == Spec(name="my-project", python=PythonSpec(requirements=("r.txt",)))
    assert found.declared.requirements == ("numpy",)
    assert found.sources == ("The spec is wardian.toml.",)
    assert names(found, folder) == ["wardian.toml", "pyproject.toml", "r.txt"]
    assert found.document is not None


def test_a_requirement_file_that_is_not_there(write):
    folder = write({"wardian.toml": '[python]\nrequirements = [\n  "r.txt",\n]\n'})
    with pytest.raises(SpecError) as caught:
        detect(folder)
    assert caught.value.message.replace(f"{folder}/", "") == (
        "wardian.toml:3: python.requirements[0]: cannot read r.txt: there is no such file"
    )


def test_a_requirement_file_that_is_a_folder(write):
    folder = write({"wardian.toml": '[python]\nrequirements = ["."]\n'})
    with pytest.raises(SpecError) as caught:
        detect(folder)
    assert caught.value.message == (
        f"{folder}/wardian.toml:2: python.requirements[0]: cannot read {folder}: it is a folder"
    )
    assert caught.value.hint == "correct or remove the path"


def test_the_file_that_is_wrong_is_told(write):
    folder = write({"wardian.toml": '[python]\nrequirements = ["a.txt", "b.txt"]\n', "a.txt": "numpy=1\n"})
    with pytest.raises(SpecError) as caught:
        detect(folder)
    assert caught.value.message.startswith(f"{folder}/a.txt:1: 'numpy=1' ")


def test_a_script_with_an_environment_of_its_own(write):
    folder = write(
        {"wardian.toml": '[python]\npackages=["numpy"]\n[system]\npackages=["git"]\n', "tools/a.py": BLOCK}
    )
    found = detect(folder, folder / "tools/a.py")
    assert found.spec.python == PythonSpec(version=">=3.12", packages=("rich",))
    assert found.spec.system == SystemSpec(packages=("git",))
    assert found.script == folder / "tools/a.py"
    assert found.inferred == ()
    assert found.sources == (
        "The spec is wardian.toml.",
        "a.py has an environment of its own: 1 Python package (rich) and Python >=3.12 (PEP 723).",
    )
    assert names(found, folder) == ["wardian.toml", "pyproject.toml", "tools/a.py"]
    assert detect(folder).script is None


def test_a_script_without_one(write):
    folder = write({"requirements.txt": "numpy", "a.py": "import rich", "b.py": b"\xff"})
    for script in ("a.py", "b.py", "absent.py", "data.csv"):
        found = detect(folder, folder / script)
        assert (found.script, found.declared.requirements) == (None, ("numpy",))


def test_a_notebook_with_an_environment_of_its_own(write):
    cells = [{"cell_type": "code", "source": BLOCK}]
    folder = write({"a.ipynb": json.dumps({"cells": cells, "metadata": {}}), "b.ipynb": "no"})
    assert detect(folder, folder / "a.ipynb").spec.python == PythonSpec(version=">=3.12", packages=("rich",))
    with pytest.raises(SpecError, match=r"b\.ipynb is no notebook"):
        detect(folder, folder / "b.ipynb")


def test_a_relative_folder(write, monkeypatch):
    folder = write({"requirements.txt": "numpy"})
    monkeypatch.chdir(folder)
    from pathlib import Path

    found = detect(Path())
    assert found.spec.name == "my-project"
    assert all(path.is_absolute() for path in found.inputs)


def test_the_digest_follows_the_files(write):
    before = detect(write({"requirements.txt": "numpy # one\nscipy\n"})).lock_digest
    assert detect(write({"requirements.txt": "SciPy\n\nnumpy\n"})).lock_digest == before
    assert detect(write({"requirements.txt": "SciPy\n\nnumpy>2\n"})).lock_digest != before
    # What init writes asks for the same: the lock made before it stays good.
    assert detect(write({"wardian.toml": '[python]\npackages=["numpy","scipy"]\n'})).lock_digest == before
