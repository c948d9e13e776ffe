"""Builds source distributions into wheels, in the sandbox and nowhere else.

A build runs its author's code. It sees a folder and a uv cache of its own, never the shared cache, so
that it can spoil no other project's packages.

A wheel is kept by its source, its Python and the system packages that it was compiled against. What its
build requires is resolved when it is built, for a lock does not tell it: elsewhere, or later, the same
source may give another wheel.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.ecosystems.python import errors
from wardian.ecosystems.python.indexes import uv_environment, without_credentials
from wardian.ecosystems.python.prefetch import is_wheel, requirement
from wardian.errors import BuildError, FetchError, HostError, UserError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wardian.ecosystems.python.model import Interpreter, PythonPackage
    from wardian.ecosystems.python.program import Uv
    from wardian.ecosystems.python.pylock import Target
    from wardian.ecosystems.python.sandbox import Mount, Sandbox
    from wardian.system.progress import Progress

_VERSION = "2"  # of how wheels are built: part of their key
_CERTIFICATES = "/opt/certificates.pem"
_LINES = 25  # of a failed build's output: compilers say what matters last
_COMPILER = re.compile(
    r"(unable to execute|command|No such file or directory:|not found:?) '?(\S*-)?(gcc|g\+\+|cc|c\+\+|cpp)\b|"
    r"Python\.h: No such file|Unknown compiler\(s\)|No CMAKE_CXX?_COMPILER|C compiler cannot|"
    r"(gcc|g\+\+|cc): (command )?not found"
)
_TOOLS = {
    r"(cargo|rustc|Rust)\b.*(not found|not installed|No such file|Can't find)": "cargo",
    r"(?i)cmake.*(not found|No such file)": "cmake",
    r"(?i)gfortran.*(not found|No such file)|No Fortran|Unknown compiler\(s\).*gfortran": "gfortran",
    r"pkg-config.*(not found|No such file)|Did not find pkg-config": "pkg-config",
    r"pg_config.*not found": "libpq-dev",
}


def python(interpreter: Interpreter) -> str:
    """Where the image's Python lies in the image."""
    return "/usr/bin/python3" if interpreter.source == "debian" else "/opt/python/bin/python3"


def tools(uv: Uv) -> list[Mount]:
    """What every uv in a sandbox is shown: uv itself, and the indexes that are folders of this host."""
    from wardian.ecosystems.python.sandbox import UV

    return [(uv.program, UV, True), *((path, str(path.absolute()), True) for path in uv.indexes.folders)]


def mounts(uv: Uv, folder: Path) -> list[Mount]:
    """The mounts of a sandbox that builds: `folder` alone, and what reaching indexes takes."""
    from wardian.ecosystems.python.sandbox import ROOT

    certificates = uv.indexes.certificates
    shown: list[Mount] = [(Path(certificates), _CERTIFICATES, True)] if certificates else []
    return [(folder, ROOT, False), *tools(uv), *shown]


def variables(uv: Uv, host: Mapping[str, str]) -> dict[str, str]:
    """The environment of a sandbox that builds, from uv's on the host: indexes, proxies and no more.

    A build needs the indexes for its own requirements, so their credentials are among them.
    """
    passed = re.compile(r"UV_\w+|(?i:https?|no|all)_proxy|NO_COLOR")
    kept = {name: value for name, value in host.items() if passed.fullmatch(name)}
    certificates = {"SSL_CERT_FILE": _CERTIFICATES} if uv.indexes.certificates else {}
    # The image may hold no certificates of its own yet; uv brings some.
    kept.pop("UV_SYSTEM_CERTS", None)
    fixed = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root", "SOURCE_DATE_EPOCH": "315532800"}
    return {**kept, **certificates, **fixed}


def build_all(
    uv: Uv,
    packages: Sequence[PythonPackage],
    folder: Path,
    *,
    interpreter: Interpreter,
    target: Target,
    below: Sequence[str],
    sandbox: Sandbox,
    offline: bool,
    progress: Progress,
) -> list[PythonPackage]:
    """`packages` with every source distribution replaced by its wheel, which is put into `folder`.

    `below` tells what is in the sandbox's root: the keys of its layers.
    """
    folder.mkdir()
    ready = []
    for package in packages:
        if is_wheel(package):
            ready.append(package)
            continue
        place = _place(uv, package, interpreter, target, below)
        wheel = next(place.glob("*.whl"), None)
        if wheel is None:
            progress.message(f"building {package.name} {package.version} from source")
            wheel = _build(uv, package, interpreter, place, sandbox, offline)
        os.link(wheel, folder / wheel.name)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        ready.append(replace(package, file=wheel.name, sha256=digest))
    return ready


def _place(
    uv: Uv, package: PythonPackage, interpreter: Interpreter, target: Target, below: Sequence[str]
) -> Path:
    """Where the wheel is kept that was built from this source for this Python, on these layers."""
    words = (_VERSION, package.sha256, interpreter.source, interpreter.version, interpreter.build)
    told = (*words, str(target.platform), str(target.glibc), *below)
    return uv.folder / "wheels" / hashlib.sha256("\0".join(told).encode()).hexdigest()


def _build(
    uv: Uv,
    package: PythonPackage,
    interpreter: Interpreter,
    place: Path,
    sandbox: Sandbox,
    offline: bool,
) -> Path:
    if offline:
        raise FetchError(
            f"{package.name} {package.version} has to be built from source, which needs the network",
            hint="run it once without --offline",
        )
    with uv.work() as folder:
        (folder / "requirements.txt").write_text(requirement(package))
        status, told = sandbox.run(
            _command(uv, package, interpreter),
            mounts=mounts(uv, folder),
            environment=variables(uv, uv_environment(uv.indexes, uv.environment, "/wardian/cache")),
            network=True,
        )
        if status:
            raise build_error(f"{package.name}=={package.version}", told)
        return _keep(_made(folder / "cache", package), place)


def _command(uv: Uv, package: PythonPackage, interpreter: Interpreter) -> list[str]:
    from wardian.ecosystems.python.sandbox import ROOT, UV

    return [
        *(UV, "pip", "install", "--python", python(interpreter), "--target", f"{ROOT}/out", "--no-deps"),
        *("--require-hashes", "--no-binary", package.name, "--link-mode", "hardlink"),
        *("-r", f"{ROOT}/requirements.txt", *uv.indexes.arguments()),
    ]


def _made(cache: Path, package: PythonPackage) -> Path:
    """The wheel that uv left in its cache: the build may have left others there, of what it needed."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename
    from packaging.version import Version

    for path in sorted(cache.glob("sdists-v*/**/*.whl")):
        try:
            name, version, _, _ = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        is_it = name == package.name and version == Version(package.version)
        if is_it and path.is_file() and not path.is_symlink():
            return path
    raise BuildError(f"building {package.name} {package.version} made no wheel of that name and version")


def _keep(wheel: Path, place: Path) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    kept = place / wheel.name
    os.replace(wheel, kept)
    return kept


def build_error(what: str, told: str) -> UserError:
    """The error for a build that failed: the end of its output, and what it most likely lacks."""
    error = errors.explain(told, doing=f"cannot build {what}")
    if isinstance(error, FetchError | HostError | VerificationError):
        return error
    text = without_credentials(told)
    output = [line for line in text.splitlines() if line.strip() and not line.startswith("hint:")]
    return BuildError(
        f"building {what.replace('==', ' ')} from source failed:\n  " + "\n  ".join(output[-_LINES:]),
        hint=_advice(text),
    )


def _advice(told: str) -> str:
    missing = ["gcc", "python3-dev"] if _COMPILER.search(told) else []
    missing += [name for pattern, name in _TOOLS.items() if re.search(pattern, told)]
    if missing:
        return f"add {' '.join(missing)} to the [system] packages, or ask for a version that has a wheel"
    return "ask for a version that has a wheel for this Python and platform"
