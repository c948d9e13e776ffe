"""The stages that bring Python: a managed interpreter, where there is one, and the environment."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.ecosystems.python.launcher import add_pip
from wardian.ecosystems.python.sources import python as interpreter_path
from wardian.errors import ImageError
from wardian.export.form import APT_ARGUMENTS, ON, PYTHON, Form
from wardian.export.instructions import run
from wardian.export.places import comment

if TYPE_CHECKING:
    from wardian.ecosystems.python.model import Interpreter
    from wardian.export.places import Places
    from wardian.export.source import Source
    from wardian.image.platform import Platform

Block = list[str]

_VENV = "/opt/venv"
_PIP_WHEEL = "python3-pip-whl"
# pip reads them from its environment, and takes an empty one for none.
PIP_ARGUMENTS = tuple(
    f'ARG {name}=""' for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST")
)


def python_stages(form: Form, places: Places) -> list[Block]:
    """The blocks of the stages `interpreter` and `python`; none without Python."""
    found = []
    if managed := form.source.managed:
        found.append(_interpreter(form.source, managed, places))
    if form.source.locks[0].python:
        found.append(_environment(form, places))
    return found


def environment_files(source: Source) -> Mapping[str, str]:
    """What wardian's environments have besides packages, by path below /opt/venv."""
    python = source.locks[0].python
    if not python:
        return {}
    interpreter = python.interpreter
    home = interpreter_path(interpreter).rpartition("/")[0]
    version = interpreter.version
    minor = ".".join(version.split(".")[:2])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bin").mkdir()
        (folder / f"lib/python{minor}/site-packages").mkdir(parents=True)
        add_pip(folder, _VENV)
        files = {
            str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()
        }
    files["pyvenv.cfg"] = f"home = {home}\ninclude-system-site-packages = false\nversion = {version}\n"
    return dict(sorted(files.items()))


def _interpreter(source: Source, interpreter: Interpreter, places: Places) -> Block:
    told = places.at(f"Python {interpreter.version}, of python-build-standalone", "python", "version")
    fetch = "/usr/lib/apt/apt-helper download-file"
    cases = [
        f'{lock.platform.debian}) {fetch} "{_address(source, lock.platform)}"{ON}'
        f"  /tmp/python.tar SHA256:{lock.python.interpreter.sha256} ;;"
        for lock in source.locks
        if lock.python
    ]
    commands = [
        ON.join(['case "$(dpkg --print-architecture)" in', *cases, "esac"]),
        "tar -xf /tmp/python.tar --no-same-owner -C /opt",
        "rm /tmp/python.tar",
    ]
    if source.spec.image.bytecode:
        commands.append(_compile("/opt/python/bin/python3", "/opt/python/lib"))
    return [*comment(f"{told}."), "FROM system AS interpreter", *run(commands)]


def _address(source: Source, platform: Platform) -> str:
    address = source.interpreters.get(platform, "")
    if not re.fullmatch(r"https?://[\w.:/%+~@-]+", address):
        raise ImageError(
            f"the managed Python for {platform} has no address to name in a Dockerfile: {address or 'none'}",
            hint="upgrade uv, or set `version` of [python] to the base's own Python",
        )
    return address


def _environment(form: Form, places: Places) -> Block:
    spec = form.source.spec.python
    packages = places.items(spec.packages if spec else (), "python", "packages")
    files = places.items(spec.requirements if spec else (), "python", "requirements")
    asked = "; ".join(filter(None, (packages, files))) or "none"
    return [
        *comment(f"Python packages: {asked}, with all they need, each file by its hash."),
        f"FROM {'interpreter' if form.source.managed else 'system'} AS python",
        *_pip(form),
        *PIP_ARGUMENTS,
        *form.pip([*_installation(form), *_ending(form.source)]),
    ]


def _pip(form: Form) -> Block:
    """Locks of before pip came with the image's Python have none: then it is in this stage alone."""
    debian = form.source.locks[0].debian
    if form.source.managed or any(package.name == _PIP_WHEEL for package in debian.packages):
        return []
    return [*APT_ARGUMENTS, *form.apt([f"apt-get install {_PIP_WHEEL}"])]


def _installation(form: Form) -> list[str]:
    parts = [lock.python for lock in form.source.locks if lock.python]
    if not any(part.packages for part in parts):
        return [_creation(parts[0].interpreter), _fill()]
    wheels = all(package.file.endswith(".whl") for part in parts for package in part.packages)
    options = ["--no-deps --require-hashes --no-compile", *(["--only-binary=:all:"] if wheels else [])]
    words = (
        f"{_VENV}/bin/python -B -m pip --disable-pip-version-check install",
        " ".join([*options, *form.pip_options]),
        f"--requirement {form.listed(PYTHON, 'requirements')}",
    )
    return [_creation(parts[0].interpreter), _fill(), ON.join(words)]


def _creation(interpreter: Interpreter) -> str:
    return f"{interpreter_path(interpreter)} -m venv --without-pip {_VENV}"


def _fill() -> str:
    # pip runs out of the wheel that comes with Python; venv writes a file for git since Python 3.13.
    return f"cp -r /tmp/{PYTHON}/venv/. {_VENV} && rm -f {_VENV}/.gitignore"


def _ending(source: Source) -> list[str]:
    found = []
    packages = {package.name for lock in source.locks if lock.python for package in lock.python.packages}
    if "pip" in packages:
        found.append(f"rm {_VENV}/lib/python3.*/site-packages/pip.py")
    if source.dropped_python:
        # What `slim` leaves out.
        found.append(f"cd {_VENV} && xargs --arg-file=/tmp/{PYTHON}/dropped.txt --delimiter='\\n' rm -f")
    if source.spec.image.bytecode:
        found.append(_compile(f"{_VENV}/bin/python", f"{_VENV}/lib"))
    return found


def _compile(python: str, folder: str) -> str:
    # As pip and Debian do, what does not compile is left out.
    return f"{{ {python} -m compileall -q -j 0 --invalidation-mode unchecked-hash {folder} || true; }}"
