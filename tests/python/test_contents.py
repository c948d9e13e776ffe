"""Whose file is whose in an environment, and what of it goes into an image."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.ecosystems.python import contents, records
from wardian.ecosystems.python.install import install
from wardian.ecosystems.python.resolve import resolve
from wardian.errors import BuildError
from wardian.image.entry import EPOCH, Entry

from .package_index import wheel

SITE = "lib/python3.13/site-packages"


def environment(snapshot: Path, files: dict[str, str], records_: dict[str, str]) -> Path:
    """A snapshot with an environment of these files and distributions, by name, of these RECORDs."""
    place = snapshot / "root/opt/venv"
    found = {**files, **{f"{SITE}/{name}-1.0.dist-info/RECORD": text for name, text in records_.items()}}
    for path, text in found.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    return snapshot


def paths(entries: tuple[Entry, ...]) -> list[str]:
    return [entry.path.removeprefix("opt/venv/") for entry in entries if entry.kind != "directory"]


def digest(text: str) -> str:
    """A file's hash as a RECORD tells it."""
    hashed = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


def test_files_go_to_their_packages_and_the_rest_to_none(tmp_path: Path) -> None:
    files = {
        f"{SITE}/alpha/__init__.py": "",
        f"{SITE}/alpha/__pycache__/__init__.cpython-313.pyc": "made by a run",
        "bin/alpha": "#!/opt/venv/bin/python",
        "share/alpha/é ü.txt": "data",
        "pyvenv.cfg": "",
        "lib/x.txt": "",
    }
    record = (
        'alpha/__init__.py,sha256=x,0\n../../../bin/alpha,,\n"../../../share/alpha/é ü.txt",,\n'
        "../../../lib64/x.txt,,\nAlpha_B-1.0.dist-info/RECORD,,\nnot/there.py,,\n"
    )
    snapshot = environment(tmp_path, files, {"Alpha_B": record})
    (tmp_path / "root/opt/venv/bin/alpha").chmod(0o700)
    (tmp_path / "root/opt/venv/share/alpha/é ü.txt").chmod(0o600)
    os.symlink("/usr/bin/python3", tmp_path / "root/opt/venv/bin/python3")
    (tmp_path / "root/opt/venv/include/python3.13").mkdir(parents=True)
    found = contents.read(snapshot, root=3)
    assert list(found.packages) == ["alpha-b"]
    entries = found.packages["alpha-b"]
    assert paths(entries) == [
        "bin/alpha",
        f"{SITE}/Alpha_B-1.0.dist-info/RECORD",
        f"{SITE}/alpha/__init__.py",
        "lib/x.txt",
        "share/alpha/é ü.txt",
    ]
    by_path = {entry.path.removeprefix("opt/venv/"): entry for entry in entries}
    assert (by_path["bin/alpha"].mode, by_path["share/alpha/é ü.txt"].mode) == (0o755, 0o644)
    assert by_path["share/alpha/é ü.txt"].size == 4
    assert by_path["bin/alpha"].source == "root/opt/venv/bin/alpha"
    assert {(entry.uid, entry.gid, entry.mtime, entry.root) for entry in entries} == {(0, 0, EPOCH, 3)}
    assert [entry.path for entry in entries] == sorted(entry.path for entry in entries)
    assert [entry.path for entry in entries][:3] == ["opt", "opt/venv", "opt/venv/bin"]
    assert paths(found.rest) == ["bin/python3", "pyvenv.cfg"]
    assert "opt/venv/include/python3.13" in [entry.path for entry in found.rest]
    link = next(entry for entry in found.rest if entry.kind == "symlink")
    assert (link.target, link.mode) == ("/usr/bin/python3", 0o777)


def test_distributions_that_a_package_made_up_own_nothing(tmp_path: Path) -> None:
    records_ = {"alpha": "alpha.py,,\nzeta-1.0.dist-info/RECORD,,\n", "zeta": "alpha.py,,\nbeta.py,,\n"}
    snapshot = environment(tmp_path, {f"{SITE}/alpha.py": "", f"{SITE}/beta.py": ""}, records_)
    found = contents.read(snapshot, names=["alpha", "gamma"])
    assert paths(found.packages["alpha"]) == [f"{SITE}/alpha.py", f"{SITE}/zeta-1.0.dist-info/RECORD"]
    assert found.packages["gamma"] == ()
    assert f"{SITE}/beta.py" in paths(found.rest)


def test_a_path_of_several_packages(tmp_path: Path) -> None:
    a, b = digest("a"), digest("b")
    records_ = {
        "alpha": f"same.py,{a},1\nother.py,{a},1\nlie.py,{a},1\nbare.py,,\nweak.py,md5=x,\n",
        "beta": f"same.py,{a},1\nother.py,{b},1\nlie.py,{a},1\nbare.py,,\nweak.py,md5=x,\n",
    }
    files = {f"{SITE}/{name}.py": "a" for name in ("same", "bare", "weak")}
    files |= {f"{SITE}/{name}.py": "b" for name in ("other", "lie")}
    found = contents.read(environment(tmp_path, files, records_))
    assert paths(found.packages["alpha"]) == [f"{SITE}/same.py"]
    assert paths(found.packages["beta"]) == [f"{SITE}/other.py", f"{SITE}/same.py"]
    others = {f"{SITE}/{name}.py" for name in ("bare", "lie", "weak")}
    assert others < set(paths(found.rest))


def test_a_record_that_another_package_brings_is_refused(tmp_path: Path) -> None:
    records_ = {"alpha": f"alpha.py,{digest('')},0\n", "beta": "alpha.py,,\nalpha-1.0.dist-info/RECORD,,\n"}
    snapshot = environment(tmp_path, {f"{SITE}/alpha.py": ""}, records_)
    with pytest.raises(BuildError, match="the Python package beta brings a RECORD of alpha"):
        contents.read(snapshot, names=["alpha", "beta"])


@given(
    rows=st.lists(
        st.tuples(
            st.lists(
                st.sampled_from(["..", ".", "", "bin", "lib", "lib64", "alpha.py", "etc", "\n", '"', "~"])
            ).map("/".join),
            st.text(max_size=5),
        ),
        max_size=20,
    ),
    raw=st.text(max_size=60),
)
def test_no_record_names_what_is_not_in_the_environment(rows: list[tuple[str, str]], raw: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        snapshot = Path(folder)
        lines = [f'"{path.replace(chr(34), chr(34) * 2)}",{told}' for path, told in rows]
        environment(
            snapshot, {f"{SITE}/alpha.py": "", "bin/tool": ""}, {"alpha": "\n".join([*lines, raw]) + "\n"}
        )
        (snapshot / "root/etc").mkdir()
        (snapshot / "root/etc/shadow").write_text("")
        try:
            found = contents.read(snapshot)
        except BuildError:
            return
        everything = [*paths(found.rest), *(path for own in found.packages.values() for path in paths(own))]
        assert sorted(everything) == sorted(
            ["bin/tool", f"{SITE}/alpha-1.0.dist-info/RECORD", f"{SITE}/alpha.py"]
        )


def test_a_record_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    snapshot = environment(tmp_path, {f"{SITE}/alpha.py": ""}, {})
    folder = tmp_path / f"root/opt/venv/{SITE}/alpha-1.0.dist-info"
    folder.mkdir()
    (tmp_path / "outside").write_text("alpha.py,,\n")
    os.symlink(tmp_path / "outside", folder / "RECORD")
    assert contents.read(snapshot).packages == {}


def test_a_record_that_cannot_be_read(tmp_path: Path) -> None:
    snapshot = environment(tmp_path, {}, {"alpha": "x" * 200_000})
    with pytest.raises(BuildError, match="RECORD of the Python package alpha cannot be read"):
        contents.read(snapshot)


def test_byte_code_goes_to_the_package_of_its_source(tmp_path: Path) -> None:
    snapshot = environment(
        tmp_path / "a", {f"{SITE}/alpha/b.py": "", f"{SITE}/pip.py": ""}, {"alpha": "alpha/b.py,,"}
    )
    compiled = tmp_path / "b/root"
    for path in (f"opt/venv/{SITE}/alpha/__pycache__/b.cpython-313.pyc",
                 f"opt/venv/{SITE}/__pycache__/pip.cpython-313.pyc",
                 "usr/lib/python3.13/__pycache__/os.cpython-313.pyc"):  # fmt: skip
        (compiled / path).parent.mkdir(parents=True, exist_ok=True)
        (compiled / path).write_bytes(b"code")
    found, library = contents.with_bytecode(contents.read(snapshot), tmp_path / "b", root=7)
    assert paths(found.packages["alpha"]) == [
        f"{SITE}/alpha/__pycache__/b.cpython-313.pyc",
        f"{SITE}/alpha/b.py",
    ]
    assert f"{SITE}/__pycache__/pip.cpython-313.pyc" in paths(found.rest)
    assert paths(library) == ["usr/lib/python3.13/__pycache__/os.cpython-313.pyc"]
    assert {entry.root for entry in library} == {7}


def test_a_managed_interpreter(tmp_path: Path) -> None:
    base = tmp_path / "root/opt/python/bin"
    base.mkdir(parents=True)
    (base / "python3.12").write_text("")
    (base / "python3.12").chmod(0o711)
    os.symlink("python3.12", base / "python3")
    found = contents.read_interpreter(tmp_path)
    assert [(entry.path, entry.kind, entry.mode) for entry in found] == [
        ("opt", "directory", 0o755),
        ("opt/python", "directory", 0o755),
        ("opt/python/bin", "directory", 0o755),
        ("opt/python/bin/python3", "symlink", 0o777),
        ("opt/python/bin/python3.12", "file", 0o755),
    ]


@pytest.mark.namespaces
@pytest.mark.parametrize("claim", ["lie", "nothing"])
def test_a_package_that_says_its_file_is_anothers(
    uv, index, sandbox, request_for, host_target, tmp_path, claim
):
    interpreter, target = host_target
    index.add_wheel("alpha", "1.0", members={"alpha.py": b"good"})
    row = f"alpha.py,{digest('good')},4\n".encode()
    evil = wheel("beta", "1.0", members={"alpha.py": b"evil", "beta.py": b""})
    evil = re_recorded(evil, "beta-1.0.dist-info/RECORD", row if claim == "lie" else b"")
    index.add("beta", "beta-1.0-py3-none-any.whl", evil)
    packages = resolve(uv, request_for("alpha", "beta", interpreter=interpreter, target=target))
    snapshot = tmp_path / "store/made"
    into = snapshot / "root/opt/venv"
    install(uv, packages, interpreter=interpreter, target=target, sandbox=sandbox, into=into, below=())
    (installed,) = into.glob("lib/python3.*/site-packages/alpha.py")
    assert installed.read_text() == "evil"
    found = contents.read(snapshot, names=["alpha", "beta"])
    holders = {name for name, own in found.packages.items() if any(e.path.endswith("/alpha.py") for e in own)}
    assert holders == set()
    assert any(entry.path.endswith("/alpha.py") for entry in found.rest)


def re_recorded(made: bytes, path: str, row: bytes) -> bytes:
    """A wheel whose RECORD says something else of alpha.py, or nothing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(made)) as before, zipfile.ZipFile(buffer, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name == path:
                rows = [line for line in content.splitlines(True) if not line.startswith(b"alpha.py,")]
                content = row + b"".join(rows)
            after.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.namespaces
def test_the_last_by_name_wins_a_path_that_several_ship(
    uv, index, sandbox, request_for, host_target, tmp_path
):
    interpreter, target = host_target
    for name in ("beta", "alpha", "gamma"):
        members = {f"{name}.py": b"", "shared.py": f"by = {name!r}\n".encode()}
        index.add_wheel(name, "1.0", members=members if name != "gamma" else {"gamma.py": b""})
    packages = resolve(uv, request_for("beta", "alpha", "gamma", interpreter=interpreter, target=target))
    for number in range(2):
        snapshot = tmp_path / f"store/made/{number}"
        into = snapshot / "root/opt/venv"
        install(uv, packages, interpreter=interpreter, target=target, sandbox=sandbox, into=into, below=())
        (shared,) = into.glob("lib/python3.*/site-packages/shared.py")
        assert shared.read_text() == "by = 'beta'\n"
        assert records.read(into).conflicting() == ("alpha", "beta")
        found = contents.read(snapshot, names=["alpha", "beta", "gamma"])
        owners = [
            name for name, own in found.packages.items() if any(e.path.endswith("/shared.py") for e in own)
        ]
        assert owners == ["beta"]


PIP_WHEELS = [*Path("/usr/share/python-wheels").glob("pip-*.whl"),
              *Path("/usr/lib").glob("python3*/ensurepip/_bundled/pip-*.whl")]  # fmt: skip


@pytest.mark.namespaces
def test_pip_runs_out_of_pythons_own_wheel(uv, index, sandbox, request_for, host_target, tmp_path, need):
    need(PIP_WHEELS, "pip's wheel (python3-pip-whl)")
    interpreter, target = host_target
    index.add_wheel("alpha", "1.0")
    packages = resolve(uv, request_for("alpha", interpreter=interpreter, target=target))
    into = tmp_path / "store/made/root/opt/venv"
    install(uv, packages, interpreter=interpreter, target=target, sandbox=sandbox, into=into, below=())
    found = contents.read(tmp_path / "store/made")
    assert {"bin/pip", "bin/pip3"} < set(paths(found.rest))
    for command in (["/opt/venv/bin/pip"], ["/opt/venv/bin/python", "-m", "pip"]):
        status, told = sandbox.run(
            [*command, "list", "--disable-pip-version-check"],
            mounts=[(into, "/opt/venv", False)], environment={"PATH": "/usr/bin:/bin", "HOME": "/root"},
        )  # fmt: skip
        assert status == 0, told
        assert "alpha" in told


@pytest.mark.namespaces
def test_a_package_that_is_pip_keeps_its_own(uv, index, sandbox, request_for, host_target, tmp_path):
    interpreter, target = host_target
    index.add_wheel("pip", "99.0", members={"pip/__init__.py": b"", "pip/__main__.py": b""})
    packages = resolve(uv, request_for("pip", interpreter=interpreter, target=target))
    into = tmp_path / "store/made/root/opt/venv"
    install(uv, packages, interpreter=interpreter, target=target, sandbox=sandbox, into=into, below=())
    assert not list(into.glob("bin/pip*"))
    assert not list(into.glob("lib/python3.*/site-packages/pip.py"))


@pytest.mark.parametrize("count", [31_000])
def test_reading_takes_less_than_a_second(tmp_path: Path, count: int) -> None:
    site = tmp_path / "root/opt/venv" / SITE
    lines = []
    for folder in range(count // 100):
        (site / f"alpha/p{folder}").mkdir(parents=True)
        for number in range(100):
            (site / f"alpha/p{folder}/m{number}.py").touch()
            lines.append(f"alpha/p{folder}/m{number}.py,sha256=x,0")
    environment(tmp_path, {}, {"alpha": "\n".join(lines)})
    code = (
        "import sys, time; from pathlib import Path; from wardian.ecosystems.python import contents\n"
        "start = time.process_time(); found = contents.read(Path(sys.argv[1]))\n"
        "print(len(found.packages['alpha']), time.process_time() - start)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    entries, seconds = said.stdout.split()
    assert int(entries) > count
    assert float(seconds) < 1.5  # 0.4 s here; machines differ
