"""Gives an environment a `pip` that takes no room: it runs the wheel which comes with the image's Python.

Nothing of it is a distribution, so whoever installs or upgrades pip in the environment simply gets it.
"""

from __future__ import annotations

from pathlib import Path

# Debian keeps the wheel in a package of its own (python3-pip-whl), upstream's Python in ensurepip. Both
# come with their Python, so neither needs a version. pip wants to be the module `pip` under its own path:
# it starts itself anew from there to build packages.
_MODULE = '''\
"""pip, out of the wheel that came with Python: this environment has none of its own."""

import glob
import importlib.util
import os
import sys
import zipimport

_bundled = os.path.join(os.path.dirname(os.__file__), "ensurepip", "_bundled")
_folders = _bundled, "/usr/share/python-wheels"
_found = [path for folder in _folders for path in sorted(glob.glob(folder + "/pip-*.whl"))]
if not _found:
    raise ImportError("no pip came with this Python: add pip to the environment's packages")
_spec = zipimport.zipimporter(_found[0]).find_spec("pip")
_pip = sys.modules["pip"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_pip)
if __name__ == "__main__":
    from pip._internal.cli.main import main

    sys.exit(main())
'''
_SCRIPT = """\
#!{place}/bin/python
import sys

from pip._internal.cli.main import main

sys.exit(main())
"""


def add_pip(tree: Path, place: str) -> None:
    """Put `pip`, `pip3` and `python -m pip` into the environment `tree`, which the image has at `place`.

    Nothing that a package brought is touched; one that brings a pip of its own keeps it alone.
    """
    for site in sorted(tree.glob("lib/python3.*/site-packages")):
        if not (site / "pip").exists():
            _add(site / "pip.py", _MODULE, 0o644)
            _add(tree / "bin/pip", _SCRIPT.format(place=place), 0o755)
            _add(tree / "bin/pip3", _SCRIPT.format(place=place), 0o755)


def _add(path: Path, text: str, mode: int) -> None:
    if not path.exists() and not path.is_symlink():
        path.write_text(text)
        path.chmod(mode)
