"""Which of a project's files go into its image, how they stand there, and their digest."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wardian.errors import SpecError
from wardian.image.entry import EPOCH
from wardian.project.code import Selection, code_digest, code_entries, select_code
from wardian.project.image import ImageSpec

if TYPE_CHECKING:
    from collections.abc import Callable


def chosen(folder: Path, **keys: object) -> list[str]:
    return [file.path for file in select_code(folder, ImageSpec(**keys)).files]


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_all_files_go_in_sorted_by_their_bytes(tmp_path):
    make(tmp_path, "b.py", "a/z.py", "a-b/x", "é", "a/y/deep.txt", "wardian.toml")
    assert chosen(tmp_path) == ["a-b/x", "a/y/deep.txt", "a/z.py", "b.py", "wardian.toml", "é"]
    assert chosen(tmp_path, code=False) == []
    assert select_code(tmp_path, ImageSpec()).notes == ()


def test_what_tools_make_stays_out(tmp_path):
    make(tmp_path, "a.py", "__pycache__/a.pyc", "x/__pycache__/a.pyc", "x/old.pyc", ".git/config", ".hg/x",
         ".venv/bin/python", "env/pyvenv.cfg", "env/bin/x", "conda/conda-meta/history", "conda/bin/x",
         ".ipynb_checkpoints/a.ipynb", "front/node_modules/m/index.js", ".mypy_cache/x", "runs/1/out.ipynb",
         "x/.a.py.swp", "x/a.py~", ".DS_Store", "sub/.git", "cache/deep/x")  # fmt: skip
    make(tmp_path, "src/runs/kept.py", "x/kept.py")
    (tmp_path / "cache/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# by a tool")
    assert chosen(tmp_path) == ["a.py", "src/runs/kept.py", "x/kept.py"]


def test_they_come_back_only_by_their_own_names(tmp_path):
    make(tmp_path, "runs/1/model.bin", "runs/1/log.txt", "lib/node_modules/m/i.js", "lib/a.js", "x/a.pyc",
         "env/pyvenv.cfg", "env/x.js", "node_modules/m/__pycache__/y.pyc")  # fmt: skip
    assert chosen(tmp_path, include=("*",)) == ["lib/a.js"]
    assert chosen(tmp_path, include=("lib/", "*.js", "x/")) == ["lib/a.js"]
    assert chosen(tmp_path, include=("runs/*/model.bin",)) == ["lib/a.js", "runs/1/model.bin"]
    assert chosen(tmp_path, include=("runs/",)) == ["lib/a.js", "runs/1/log.txt", "runs/1/model.bin"]
    assert chosen(tmp_path, include=("lib/node_modules/",)) == ["lib/a.js", "lib/node_modules/m/i.js"]
    assert chosen(tmp_path, include=("node_modules/",)) == ["lib/a.js", "lib/node_modules/m/i.js"]
    assert chosen(tmp_path, include=("a.pyc", "env/x.js")) == ["env/x.js", "lib/a.js", "x/a.pyc"]


def test_later_files_decide_over_earlier_ones(tmp_path):
    make(tmp_path, "a.txt", "b.txt", "c.txt", "d.txt", "e.txt")
    (tmp_path / ".dockerignore").write_text("*.txt\n.*ignore\n")
    (tmp_path / ".containerignore").write_text("!b.txt\n!c.txt\n!d.txt\n")
    (tmp_path / ".gitignore").write_text("c.txt\n!e.txt\n")
    assert chosen(tmp_path) == ["b.txt", "d.txt", "e.txt"]
    assert chosen(tmp_path, exclude=("d.txt", "!a.txt")) == ["a.txt", "b.txt", "e.txt"]
    assert chosen(tmp_path, exclude=("*.txt",), include=("c.txt", "d.txt", "!d.txt")) == ["c.txt"]


def test_docker_looks_into_what_it_leaves_out_and_git_does_not(tmp_path):
    make(tmp_path, "data/keep.csv", "data/deep/keep.csv", "data/x.csv", "a.py")
    (tmp_path / ".dockerignore").write_text("data\n!**/keep.csv\n.dockerignore\n")
    assert chosen(tmp_path) == ["a.py", "data/deep/keep.csv", "data/keep.csv"]
    (tmp_path / ".dockerignore").unlink()
    (tmp_path / ".gitignore").write_text("data/\n!keep.csv\n.gitignore\n")
    assert chosen(tmp_path) == ["a.py"]
    (tmp_path / ".gitignore").write_text("data/*\n!keep.csv\n.gitignore\n")
    assert chosen(tmp_path) == ["a.py", "data/keep.csv"]
    assert chosen(tmp_path, include=("data/deep/",)) == ["a.py", "data/deep/keep.csv", "data/keep.csv"]


def test_gitignore_in_inner_folders(tmp_path):
    make(tmp_path, "x/a.log", "x/b.log", "x/y/a.log", "a.log", "out/a.log")
    (tmp_path / ".gitignore").write_text("*.log\n/out/\n.gitignore\n")
    (tmp_path / "x/.gitignore").write_text("!b.log\n!/a.log\n")
    (tmp_path / "x/y/.gitignore").write_text("!a.log\n")
    (tmp_path / "out/.gitignore").write_text("!*\n")  # git never reads it either
    assert chosen(tmp_path) == ["x/a.log", "x/b.log", "x/y/a.log"]


def test_git_sees_the_same_in_a_whole_project(tmp_path, need: Callable[[object, str], None]):
    import shutil

    need(shutil.which("git"), "git, which is asked what it would add")
    make(tmp_path, "a.py", "data/raw/x.csv", "data/ok.csv", "docs/_build/x", "docs/index.md", "x/y/z/t.log",
         "x/y/keep.log", "ü/a.log", "build/lib/a.py", "src/build/a.py")  # fmt: skip
    (tmp_path / ".gitignore").write_text("/build/\n*.log\n!keep.log\n_build\ndata/*\n!data/ok.csv\n")
    (tmp_path / "x/.gitignore").write_text("y/z\n")
    environment = {**os.environ, "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", tmp_path], check=True, env=environment)
    listed = subprocess.run(
        ["git", "-C", tmp_path, "ls-files", "-z", "--others", "--exclude-standard"],
        check=True, capture_output=True, env=environment,
    )  # fmt: skip
    assert chosen(tmp_path) == sorted(listed.stdout.decode().strip("\0").split("\0"), key=str.encode)


SECRETS = [
    ".env", "conf/.env.local", ".envrc", "id_ed25519", "x/id_rsa", ".netrc", ".pypirc", "key.p12",
    "credentials.json", "client_secret_1.json", ".aws/credentials", ".ssh/config", ".streamlit/secrets.toml",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_stays_out_and_is_told(tmp_path, name):
    make(tmp_path, "a.py", name)
    selection = select_code(tmp_path, ImageSpec(include=("*", "*.json", "conf/", "**")))
    assert [file.path for file in selection.files] == ["a.py"]
    shown = os.path.dirname(name) if name.startswith((".aws", ".ssh")) else name
    why = "stays out of the image, since such files hold secrets"
    assert selection.notes == (f"{shown} {why}; name it in [image] include if it is to go in.",)
    assert chosen(tmp_path, include=(name,)) == sorted(["a.py", name])


def test_a_secret_that_is_ignored_anyway_is_not_told(tmp_path):
    make(tmp_path, ".env", "x/.env", "a.py").joinpath(".gitignore").write_text(".env\n.gitignore\n")
    assert select_code(tmp_path, ImageSpec()).notes == ()


def test_examples_of_secrets_are_none(tmp_path):
    make(tmp_path, ".env.example", ".env.template", "ca.pem", "slides.key", "data.json")
    assert len(chosen(tmp_path)) == 5


def test_a_private_key_is_known_by_its_content(tmp_path):
    make(tmp_path, "a.py", "b.pem")
    (tmp_path / "server.pem").write_text("-----BEGIN CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\n")
    (tmp_path / "robot.json").write_text('{"private_key": "-----BEGIN PRIVATE KEY-----\\nMII"}')
    selection = select_code(tmp_path, ImageSpec())
    assert [file.path for file in selection.files] == ["a.py", "b.pem"]
    assert [note.split()[0] for note in selection.notes] == ["robot.json", "server.pem"]
    assert chosen(tmp_path, include=("server.pem", "*.json")) == ["a.py", "b.pem", "server.pem"]


def test_many_secrets_are_told_shortly(tmp_path):
    make(tmp_path, *(f"{number}/.env" for number in range(9)))
    notes = select_code(tmp_path, ImageSpec()).notes
    assert len(notes) == 3
    assert notes[2].startswith("2/.env (and 6 more) stays out of the image")


def test_links_stay_links_unless_they_lead_out(tmp_path):
    folder = make(tmp_path / "p", "a.py", "sub/b.py")
    make(tmp_path, "outside.txt")
    inside = {"in": "a.py", "sub/up": "../a.py", "dir": "sub", "broken": "nowhere/x"}
    outside = {"out": "../outside.txt", "sub/far": "../../p/a.py", "abs": "/etc/passwd"}
    for name, target in (inside | outside).items():
        (folder / name).symlink_to(target)
    selection = select_code(folder, ImageSpec())
    links = {file.path: file.target for file in selection.files if file.target}
    assert links == inside
    assert [file.path for file in selection.files if not file.target] == ["a.py", "sub/b.py"]
    assert selection.notes == tuple(
        f"{name} stays out of the image, since it leads out of the project."
        for name in ("abs", "out", "sub/far")
    )


def test_sockets_pipes_and_empty_folders_stay_out(tmp_path):
    make(tmp_path, "a.py")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty/inner").mkdir(parents=True)
    short = os.open(tmp_path, os.O_PATH)  # a socket's path has 107 bytes at most
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{short}/socket")
    os.close(short)
    selection = select_code(tmp_path, ImageSpec())
    assert ([file.path for file in selection.files], selection.notes) == (["a.py"], ())


def test_any_bytes_are_a_name(tmp_path):
    raw = os.fsencode(tmp_path)
    for name in (b"\xff\xfe", b"new\nline", "日本".encode(), b" lead", b"back\\slash", b"tab\t", b"*"):
        with open(os.path.join(raw, name), "wb"):
            pass
    (tmp_path / ".gitignore").write_bytes(b"\\*\n\xff*\n.gitignore\n")
    assert chosen(tmp_path) == [" lead", "back\\slash", "new\nline", "tab\t", "日本"]
    (tmp_path / ".gitignore").unlink()
    assert chosen(tmp_path)[-1] == "\udcff\udcfe"
    selection = select_code(tmp_path, ImageSpec())
    assert len(code_digest(tmp_path, selection)) == 64


def test_what_cannot_be_read_is_told(session_root):
    folder = make(session_root / f"code-{os.getpid()}", "a.py", "closed/b.py", "secret.bin")
    folder.chmod(0o755)
    (folder / "secret.bin").chmod(0)
    told = told_to_a_plain_user(folder)
    assert told == f"cannot read {folder}/secret.bin: Permission denied"
    (folder / "secret.bin").chmod(0o644)
    (folder / "closed").chmod(0)
    told = told_to_a_plain_user(folder)
    (folder / "closed").chmod(0o755)
    assert told == f"cannot read {folder}/closed: Permission denied"


def told_to_a_plain_user(folder: Path) -> str:
    """Select in a child that is no root, for whom modes count."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            select_code(folder, ImageSpec())
        except SpecError as error:
            os.write(writing, error.message.encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading, "rb") as pipe:
        return pipe.read().decode()


@pytest.mark.parametrize("name", [".dockerignore", ".containerignore"])
def test_an_ignore_file_that_is_none(tmp_path, name):
    make(tmp_path, "a.py", "real")
    (tmp_path / name).symlink_to("real")
    with pytest.raises(SpecError) as caught:
        select_code(tmp_path, ImageSpec())
    assert caught.value.message == f"cannot read {tmp_path}/{name}: it is no regular file"
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(b"#" * (2 << 20))
    with pytest.raises(SpecError, match="is larger than 1 MiB, which no list of patterns is"):
        select_code(tmp_path, ImageSpec())


def test_a_linked_gitignore_is_none(tmp_path):
    make(tmp_path, "a.py").joinpath("list").write_text("a.py\n")
    (tmp_path / ".gitignore").symlink_to("list")
    assert chosen(tmp_path) == [".gitignore", "a.py", "list"]


def test_entries(tmp_path):
    make(tmp_path, "a/b/run.sh", "a/c.txt", "top.py")
    (tmp_path / "a/b/run.sh").chmod(0o700)
    (tmp_path / "top.py").chmod(0o600)
    (tmp_path / "a/link").symlink_to("c.txt")
    entries = list(code_entries(select_code(tmp_path, ImageSpec())))
    assert [(entry.path, entry.kind, entry.mode, entry.size) for entry in entries] == [
        ("work", "directory", 0o775, 0),
        ("work/a", "directory", 0o775, 0),
        ("work/a/b", "directory", 0o775, 0),
        ("work/a/b/run.sh", "file", 0o775, 10),
        ("work/a/c.txt", "file", 0o664, 7),
        ("work/a/link", "symlink", 0o777, 0),
        ("work/top.py", "file", 0o664, 6),
    ]
    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries} == {(1000, 0, EPOCH)}
    assert entries[3].source == "a/b/run.sh"
    assert entries[5].target == "c.txt"
    assert [entry.path for entry in code_entries(Selection())] == ["work"]


def digest(folder: Path) -> str:
    return code_digest(folder, select_code(folder, ImageSpec()))


def test_the_digest_is_that_of_the_files_alone(tmp_path):
    one = make(tmp_path / "one", "a.py", "b/c.py", "ü")
    two = make(tmp_path / "far/two", "ü", "b/c.py", "a.py")
    os.utime(two / "a.py", (1, 1))
    (two / "a.py").chmod(0o600)
    (two / "empty").mkdir()
    assert digest(one) == digest(two)
    before = digest(one)
    changes = [
        lambda: (two / "a.py").write_text("other"),
        lambda: (two / "a.py").chmod(0o700),
        lambda: (two / "a.py").rename(two / "A.py"),
        lambda: (two / "ü").unlink(),
        lambda: (two / "link").symlink_to("a"),
    ]
    seen = {before}
    for change in changes:
        change()
        seen.add(digest(two))
    assert len(seen) == len(changes) + 1


SELECTING = """
import os, sys
from pathlib import Path
from wardian.project.code import code_digest, code_entries, select_code
from wardian.project.image import ImageSpec
os.umask(int(sys.argv[2], 8))
folder = Path(sys.argv[1])
selection = select_code(folder, ImageSpec())
print(code_digest(folder, selection), ascii(list(code_entries(selection))))
"""


def test_umask_and_locale_change_nothing(tmp_path):
    folder = make(tmp_path / "p", "a.py", "ü/日本", "x/y")
    with open(os.path.join(os.fsencode(folder), b"\xff"), "wb"):
        pass
    told = {
        subprocess.run(
            [sys.executable, "-X", f"utf8={mode}", "-c", SELECTING, folder, umask],
            env={"LC_ALL": locale, "TZ": zone}, check=True, capture_output=True, text=True,
        ).stdout
        for mode, umask, locale, zone in (
            ("1", "0", "C", "UTC"), ("0", "77", "C", "Asia/Tokyo"), ("0", "22", "POSIX", "")
        )
    }  # fmt: skip
    assert len(told) == 1


def test_a_file_that_became_a_link_is_not_followed(tmp_path):
    make(tmp_path, "a.py", "b.py")
    selection = select_code(tmp_path, ImageSpec())
    (tmp_path / "a.py").unlink()
    (tmp_path / "a.py").symlink_to("/etc/passwd")
    with pytest.raises(SpecError, match=r"cannot read .*/a\.py: Too many levels of symbolic links"):
        code_digest(tmp_path, selection)


def test_ignored_folders_are_not_entered(tmp_path):
    make(tmp_path, "a.py").joinpath(".gitignore").write_text("/big/\n.gitignore\n")
    for place in ("big/inner", "node_modules/m"):
        (tmp_path / place).mkdir(parents=True)
        for number in range(3000):
            (tmp_path / place / str(number)).touch()
        (tmp_path / place).chmod(0)  # who enters it is refused, unless root
    before = time.process_time()
    assert chosen(tmp_path) == ["a.py"]
    assert time.process_time() - before < 0.25
    for place in ("big/inner", "node_modules/m"):
        (tmp_path / place).chmod(0o755)
