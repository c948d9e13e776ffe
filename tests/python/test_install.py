from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from wardian.ecosystems.python.install import install
from wardian.ecosystems.python.prefetch import prefetch
from wardian.ecosystems.python.resolve import resolve
from wardian.errors import BuildError, FetchError, VerificationError

from .package_index import sdist, wheel

SCRIPT = "[console_scripts]\nalpha = alpha:main\n"
# A backend of the standard library alone, so that the test needs no index but its own.
BACKEND = """
import zipfile
def build_wheel(folder, settings=None, metadata=None):
    name = "{name}-1.0-py3-none-any.whl"
    info = "{name}-1.0.dist-info"
    with zipfile.ZipFile(folder + "/" + name, "w") as archive:
        archive.writestr("{name}.py", "built = True\\n")
        archive.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
        archive.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(info + "/RECORD", "")
    return name
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def tree(folder: Path) -> dict[str, bytes | str]:
    """Every file's bytes and every link's target, by relative path."""
    found: dict[str, bytes | str] = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink():
                found[str(path.relative_to(folder))] = os.readlink(path)
            elif path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


@pytest.fixture
def lock(uv, request_for, host_target):
    """Resolve for the Python that the sandbox has."""
    interpreter, target = host_target
    return lambda *names: resolve(uv, request_for(*names, interpreter=interpreter, target=target))


@pytest.fixture
def build(uv, sandbox, host_target, tmp_path):
    """Install packages into a new folder."""
    interpreter, target = host_target

    def build(packages, name="venv", below=(), **options):
        into = tmp_path / "store" / "made" / name
        root = {"sandbox": sandbox, "below": below}
        install(uv, packages, interpreter=interpreter, target=target, into=into, **root, **options)
        return into

    return build


@pytest.mark.namespaces
def test_environment_tells_of_the_image_alone(uv, index, lock, build, tmp_path):
    index.add_wheel("alpha", "1.0", requires=["beta"], entry_points=SCRIPT)
    index.add_wheel("beta", "1.0")
    made = tree(build(lock("alpha")))
    assert made["bin/alpha"].startswith(b"#!/opt/venv/bin/python\n")
    assert made["bin/python3"] == "/usr/bin/python3"
    assert made["pyvenv.cfg"].decode().splitlines()[0] == "home = /usr/bin"
    told = [path for path, content in made.items() if isinstance(content, bytes) and b"/wardian" in content]
    assert told == []
    assert not [path for path in made if path.endswith((".lock", ".gitignore", "CACHEDIR.TAG", ".pyc"))]
    assert not [path for path in made if "uv_cache" in path or "direct_url" in path]


@pytest.mark.namespaces
def test_files_are_linked_out_of_the_cache(uv, index, lock, build):
    index.add_wheel("alpha", "1.0")
    (module,) = build(lock("alpha")).glob("lib/python3.*/site-packages/alpha.py")
    assert module.stat().st_nlink > 1


@pytest.mark.namespaces
def test_same_lock_same_bytes(uv, index, lock, build):
    index.add_wheel("alpha", "1.0", entry_points=SCRIPT)
    packages = lock("alpha")
    assert tree(build(packages, "one")) == tree(build(packages, "two"))


@pytest.mark.namespaces
def test_an_environment_without_packages(uv, build):
    assert (build(()) / "bin/python").is_symlink()


@pytest.mark.namespaces
def test_another_place_for_a_second_environment(index, lock, build):
    index.add_wheel("alpha", "1.0", entry_points=SCRIPT)
    made = build(lock("alpha"), place="/opt/workbench")
    assert (made / "bin/alpha").read_text().startswith("#!/opt/workbench/bin/python\n")


@pytest.mark.namespaces
def test_sandbox_needs_no_network_after_prefetch_and_sees_no_password(
    uv, index, lock, build, sandbox, host_target
):
    index.add_wheel("alpha", "1.0")
    packages = lock("alpha")
    index.user = "me:secret"
    trusted = replace(uv, indexes=replace(uv.indexes, default=index.url.replace("://", "://me:secret@")))
    prefetch(trusted, packages, target=host_target[1])
    asked = len(index.requests)
    interpreter, target = host_target
    into = uv.folder / "made"
    install(trusted, packages, interpreter=interpreter, target=target, sandbox=sandbox, into=into, below=())
    assert len(index.requests) == asked
    assert into.exists()
    assert "secret" not in repr(sandbox.seen)
    assert [network for _, _, network in sandbox.seen] == [False]


def test_prefetch_twice_asks_the_index_once(uv, index, request_for, target):
    index.add_wheel("alpha", "1.0")
    packages = resolve(uv, request_for("alpha"))
    prefetch(uv, packages, target=target)
    asked = len(index.requests)
    prefetch(uv, packages, target=target)
    assert len(index.requests) == asked
    assert list((uv.folder / "work").iterdir()) == []


def test_a_file_that_is_not_the_locked_one(uv, index, request_for, target):
    index.add_wheel("alpha", "1.0")
    packages = resolve(uv, request_for("alpha"))
    index.files["/files/alpha-1.0-py3-none-any.whl"].content = wheel("alpha", "1.0", requires=["evil"])
    with pytest.raises(VerificationError, match=r"file for alpha==1\.0 is not the one that is locked"):
        prefetch(uv, packages, target=target)


def test_an_index_that_fails_while_fetching(uv, index, request_for, target):
    index.add_wheel("alpha", "1.0")
    packages = resolve(uv, request_for("alpha"))
    index.status = 503
    with pytest.raises(FetchError, match="it answers 503"):
        prefetch(uv, packages, target=target)


@pytest.mark.parametrize("member", ["../evil.py", "/evil.py", "alpha/../../evil.py"])
def test_a_wheel_whose_member_leaves_its_root(uv, index, request_for, target, member):
    for name in ("beta", "gamma"):
        index.add_wheel(name, "1.0")
    index.add_wheel("alpha", "1.0", members={member: b"1/0", "alpha.py": b""})
    packages = resolve(uv, request_for("alpha", "beta", "gamma"))
    for _ in range(2):  # what uv made of it must not serve the next build either
        with pytest.raises(VerificationError, match=r"alpha-1\.0-py3-none-any\.whl holds a member") as caught:
            prefetch(uv, packages, target=target)
        assert repr(member) in caught.value.message
    assert not list(uv.folder.parent.rglob("evil.py"))


@pytest.mark.namespaces
@pytest.mark.parametrize(
    "bad",
    [
        {"entry_points": "[console_scripts]\n../../evil = alpha:main\n"},
        {"members": {"alpha-1.0.data/scripts/python": b"#!python\n"}},
    ],
)
def test_a_wheel_that_reaches_for_the_environment_leaves_nothing(index, lock, build, tmp_path, bad):
    index.add_wheel("alpha", "1.0", **bad)
    with pytest.raises(BuildError, match="alpha"):
        build(lock("alpha"))
    assert not (tmp_path / "store/made").exists() or not list((tmp_path / "store/made").iterdir())


def test_a_file_that_is_no_wheel(uv, index, request_for, target):
    index.add_wheel("alpha", "1.0")
    (alpha,) = resolve(uv, request_for("alpha"))
    broken = b"this is no zip file"
    digest = index.add("alpha", alpha.file, broken)
    with pytest.raises(BuildError, match=r"alpha 1\.0 is no wheel"):
        prefetch(uv, [replace(alpha, sha256=digest, size=len(broken))], target=target)


@pytest.mark.namespaces
def test_offline_without_the_files(uv, index, lock, build):
    index.add_wheel("alpha", "1.0")
    packages = lock("alpha")
    with pytest.raises(FetchError) as caught:
        build(packages, offline=True)
    assert caught.value.hint == "run it once without --offline"


@pytest.mark.namespaces
def test_a_source_is_built_in_the_sandbox_once(uv, index, lock, build, sandbox):
    files = {"backend.py": BACKEND.format(name="alpha"), "pyproject.toml": PROJECT}
    index.add("alpha", "alpha-1.0.tar.gz", sdist("alpha", "1.0", files, kind="2.2"))
    packages = lock("alpha")
    made = build(packages, "one")
    assert list(made.glob("lib/python3.*/site-packages/alpha.py"))
    assert [network for _, _, network in sandbox.seen] == [True, False]
    build(packages, "two")
    assert [network for _, _, network in sandbox.seen] == [True, False, False]
    assert tree(made) == tree(made.with_name("two"))
    build(packages, "three", below=("other",))  # compiled against other system packages: built again
    assert [network for _, _, network in sandbox.seen[3:]] == [True, False]
    # The build saw a cache of its own only.
    assert str(uv.cache) not in repr(sandbox.seen[0])


@pytest.mark.namespaces
def test_dependencies_that_only_a_build_tells(uv, index, request_for, host_target, sandbox):
    requires = BACKEND.replace("Version: 1.0\\n", "Version: 1.0\\nRequires-Dist: beta\\n")
    files = {"backend.py": requires.format(name="alpha"), "pyproject.toml": PROJECT}
    index.add("alpha", "alpha-1.0.tar.gz", sdist("alpha", "1.0", files))
    index.add_wheel("beta", "1.0")
    interpreter, target = host_target
    asked = request_for("alpha", interpreter=interpreter, target=target)
    found = resolve(uv, asked, sandbox=lambda: sandbox)
    assert [package.file for package in found] == ["alpha-1.0.tar.gz", "beta-1.0-py3-none-any.whl"]


@pytest.mark.namespaces
@pytest.mark.parametrize(
    ("failure", "hint"),
    [
        ("error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", "add gcc python3-dev to"),
        ("something else", "ask for a version that has a wheel"),
    ],
)
def test_a_failing_build_shows_the_end_of_its_output(index, lock, build, failure, hint):
    backend = f"import sys\ndef build_wheel(*more):\n    sys.exit({failure!r})\n"
    files = {"backend.py": backend, "pyproject.toml": PROJECT}
    index.add("alpha", "alpha-1.0.tar.gz", sdist("alpha", "1.0", files, kind="2.2"))
    with pytest.raises(BuildError, match=r"building alpha 1\.0 from source failed") as caught:
        build(lock("alpha"))
    assert failure in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.network
@pytest.mark.namespaces
def test_real_packages_import(real_uv, request_for, host_target, sandbox, tmp_path):
    interpreter, target = host_target
    packages = resolve(real_uv, request_for("numpy", "rich", interpreter=interpreter, target=target))
    prefetch(real_uv, packages, target=target)
    into = real_uv.folder / "made"
    install(real_uv, packages, interpreter=interpreter, target=target, sandbox=sandbox, into=into, below=())
    said = subprocess.run(
        [into / "bin/python", "-B", "-c", "import numpy, rich, sys; print(numpy.zeros(2).sum(), sys.prefix)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.split() == ["0.0", str(into)]
