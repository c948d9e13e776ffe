"""What git and pyproject.toml say of a project, as annotations."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.project.image import ANNOTATIONS, ImageSpec
from wardian.project.repository import image_annotations, plain_address, read_revision
from wardian.project.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OCI = "org.opencontainers.image."


class Git:
    """A repository made by git, with the same commits wherever it is made."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        stamp = "2024-05-06T07:08:09Z"
        self._environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_COMMITTER_DATE": stamp,
        }  # fmt: skip

    def __call__(self, *words: object) -> str:
        done = subprocess.run(
            ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *map(str, words)],
            cwd=self.folder, env=self._environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)

    def settle(self) -> None:
        """Make the files older than the index, so that their state alone is proof."""
        for path in self.folder.rglob("*"):
            if ".git" not in path.parts and path.is_file():
                os.utime(path, (time.time() - 60,) * 2)
        self("update-index", "--refresh")


@pytest.fixture
def git(tmp_path: Path, need: Callable[[object, str], None]) -> Git:
    need(shutil.which("git"), "git, which makes repositories")
    made = Git(tmp_path / "repository", tmp_path)
    made("init", "-q")
    made.write({"a.py": "1\n", "sub/b.py": "2\n", "sub/run.sh": "#!/bin/sh\n", ".gitignore": "*.log\n"})
    (made.folder / "sub/run.sh").chmod(0o755)
    (made.folder / "link").symlink_to("a.py")
    made("add", ".")
    made("commit", "-qm", "one")
    return made


def state(folder: Path) -> tuple[str, bool]:
    found = read_revision(folder)
    assert found is not None
    return found.commit, found.clean


def test_the_commit_of_a_clean_tree(git):
    head = git("rev-parse", "HEAD")
    assert state(git.folder) == (head, True)
    git.settle()
    assert state(git.folder) == state(git.folder / "sub") == (head, True)
    assert image_annotations(Spec(name="x"), git.folder)[f"{OCI}revision"] == head


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda git: git.write({"a.py": "9\n"}),
        lambda git: (git.folder / "a.py").unlink(),
        lambda git: (git.folder / "sub/run.sh").chmod(0o644),
        lambda git: ((git.folder / "link").unlink(), (git.folder / "link").symlink_to("sub")),
        lambda git: ((git.folder / "a.py").unlink(), (git.folder / "a.py").mkdir()),
        lambda git: ((git.folder / "a.py").unlink(), os.mkfifo(git.folder / "a.py")),
        lambda git: (git.write({"a.py": "9\n"}), git("add", "a.py"), git.write({"a.py": "1\n"})),
        lambda git: (git.write({"new.py": ""}), git("add", "-N", "new.py")),
        lambda git: git("rm", "-q", "--cached", "a.py"),
    ],
)
def test_changed_files_have_no_revision(git, change, settled):
    if settled:
        git.settle()
    change(git)
    assert state(git.folder)[1] is False
    assert f"{OCI}revision" not in image_annotations(Spec(), git.folder)
    assert git("status", "--porcelain", "-uno")  # git agrees


def test_what_is_no_change(git):
    git.settle()
    git.write({"untracked.py": "", "x.log": ""})
    (git.folder / "a.py").touch()
    assert state(git.folder)[1] is True
    git.write({"a.py": "9\n"})
    assert state(git.folder)[1] is False
    assert state(git.folder / "sub")[1] is True  # what lies outside of the project is not in its image


@pytest.mark.parametrize("way", ["packed", "detached", "worktree", "clone", "shallow", "submodule", "tagged",
                                 "index 4", "split"])  # fmt: skip
def test_however_the_repository_is_kept(git, tmp_path, way):
    head, folder = git("rev-parse", "HEAD"), git.folder
    if way == "packed":
        git("gc", "-q", "--prune=now")
        git("pack-refs", "--all")
    elif way == "detached":
        git("checkout", "-q", "--detach")
    elif way == "worktree":
        folder = tmp_path / "other"
        git("worktree", "add", "-q", "-b", "other", folder)
    elif way in ("clone", "shallow"):
        folder = tmp_path / "clone"
        depth = ["--depth=1"] if way == "shallow" else []
        git("clone", "-q", *depth, f"file://{git.folder}", folder)
    elif way == "submodule":
        outer = Git(tmp_path / "outer", tmp_path)
        outer("init", "-q")
        outer("submodule", "add", "-q", git.folder, "inner")
        outer("commit", "-qm", "with it")
        assert state(outer.folder) == (outer("rev-parse", "HEAD"), True)
        folder = outer.folder / "inner"
    elif way == "tagged":
        git("tag", "-a", "v1", "-m", "one")
    elif way == "index 4":
        git("update-index", "--index-version", "4")
    elif way == "split":
        git("config", "core.filemode", "false")
        (folder / "sub/run.sh").chmod(0o644)
    assert state(folder) == (head, True)


def test_the_same_commit_says_the_same_elsewhere(git, tmp_path):
    git("remote", "add", "origin", "git@example.org:group/it.git")
    other = tmp_path / "far" / "away"
    other.parent.mkdir()
    git("clone", "-q", git.folder, other)
    subprocess.run(
        ["git", "-C", other, "remote", "set-url", "origin", "https://me:secret@example.org/group/it"],
        check=True,
    )
    spec = Spec(name="x")
    said = image_annotations(spec, git.folder)
    assert image_annotations(spec, other) == said
    assert dict(said) == {
        f"{OCI}revision": git("rev-parse", "HEAD"),
        f"{OCI}source": "https://example.org/group/it",
        f"{OCI}title": "x",
    }
    assert list(said) == sorted(said)


def test_nothing_of_a_repository_is_run_or_written(git, tmp_path):
    git.write({".gitattributes": "*.py filter=evil\n", "c.py": "3\n"})
    git("add", ".")
    git("commit", "-qm", "two")
    for key in ("filter.evil.clean", "filter.evil.process", "core.fsmonitor", "core.sshCommand"):
        git("config", key, f"touch {tmp_path}/ran; cat")
    (git.folder / "a.py").touch()
    before = sorted((path, path.lstat().st_mtime_ns) for path in git.folder.rglob("*"))
    assert state(git.folder)[1] is True
    assert sorted((path, path.lstat().st_mtime_ns) for path in git.folder.rglob("*")) == before
    assert not (tmp_path / "ran").exists()


def test_folders_without_a_revision(tmp_path, git):
    assert read_revision(tmp_path / "nowhere") is None
    (tmp_path / "plain").mkdir()
    assert read_revision(tmp_path / "plain") is None
    (git.folder / "unknown").mkdir()
    assert read_revision(git.folder / "unknown") is None  # git knows of nothing in it
    git("init", "-q", tmp_path / "unborn")
    assert read_revision(tmp_path / "unborn") is None


@pytest.mark.parametrize("name", ["HEAD", "config", "index", "refs/heads/main", "objects"])
def test_a_broken_repository_says_nothing(git, name):
    path = git.folder / ".git" / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.write_bytes(b"\xff\x00garbage [[[\n" * 3)
    assert read_revision(git.folder) is None
    assert dict(image_annotations(Spec(name="x"), git.folder)) == {f"{OCI}title": "x"}


@pytest.mark.parametrize("content", [b"", b"gitdir: /nowhere", b"gitdir: \xff", b"gitdir: ../.."])
def test_a_broken_link_to_a_repository(tmp_path, content):
    (tmp_path / ".git").write_bytes(content)
    assert read_revision(tmp_path) is None


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://example.org/a/b.git", "https://example.org/a/b"),
        ("https://me:pass@example.org/a/b.git/", "https://example.org/a/b"),
        ("https://token@example.org:8443/a?key=x#y", "https://example.org:8443/a"),
        ("http://example.org:80/a", "http://example.org/a"),
        ("git@example.org:a/b.git", "https://example.org/a/b"),
        ("example.org:a/b", "https://example.org/a/b"),
        ("ssh://git@example.org/a/b.git", "https://example.org/a/b"),
        ("ssh://git:pass@example.org:22/a", "https://example.org/a"),
        ("ssh://git@example.org:2222/a/b", "ssh://example.org:2222/a/b"),
        ("https://me@[::1]:8080/a", "https://[::1]:8080/a"),
        ("/srv/git/a", ""),
        ("../a", ""),
        ("file:///srv/a", ""),
        ("git://example.org/a", ""),
        ("ext::sh -c touch% x", ""),
        ("https://example.org", ""),
        ("https://example.org:port/a", ""),
        ("https://exa mple.org/a", ""),
        ("https://example.org/a\nb", ""),
        ("", ""),
    ],
)
def test_an_address_for_everyone(url, address):
    assert plain_address(url) == address


@given(st.text(alphabet="ab:/@.[]?#%~ -\n", max_size=30) | st.text(max_size=10))
def test_any_address(text):
    for url in (text, f"https://me:secret@{text}", f"ssh://{text}"):
        address = plain_address(url)
        assert "@" not in address.partition("//")[2].partition("/")[0]
        assert address == plain_address(address)


PYPROJECT = """
[project]
name = "other"
version = "1.2.0"
description = "Counts  penguins."
license = "Apache-2.0"
authors = [{ name = "Ada", email = "ada@example.org" }, { name = "Bo" }, { email = "c@example.org" }]

[project.urls]
Homepage = "https://example.org"
"Source Code" = "https://example.org/source"
Docs = "https://example.org/docs"
Changelog = "https://example.org/changes"
"""


def test_what_pyproject_says(tmp_path):
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    said = image_annotations(Spec(name="penguins"), tmp_path)
    assert {name.removeprefix(OCI): text for name, text in said.items()} == {
        "title": "penguins",
        "version": "1.2.0",
        "description": "Counts penguins.",
        "licenses": "Apache-2.0",
        "authors": "Ada <ada@example.org>, Bo, c@example.org",
        "url": "https://example.org",
        "source": "https://example.org/source",
        "documentation": "https://example.org/docs",
    }
    assert set(said) <= set(ANNOTATIONS)


def test_the_spec_has_the_last_word(tmp_path):
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    written = {f"{OCI}title": "Mine", f"{OCI}authors": "", "com.example.x": "y"}
    said = image_annotations(Spec(image=ImageSpec(annotations=written)), tmp_path)
    assert said[f"{OCI}title"] == "Mine"
    assert said["com.example.x"] == "y"
    assert f"{OCI}authors" not in said


@pytest.mark.parametrize(
    "text",
    [
        "", "[project", "project = 3", "[project]\nversion = 3\nauthors = [1, { name = 2 }]\nurls = 'x'",
        "[project]\nlicense = { file = 'LICENSE' }\ndescription = \"a\\u0007\"\nauthors = 'x'",
        "[project.urls]\nHomepage = 'javascript:x'\nSource = 3",
    ],
)  # fmt: skip
def test_a_pyproject_that_says_nothing(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)
    assert dict(image_annotations(Spec(name="x"), tmp_path)) == {f"{OCI}title": "x"}


def test_a_license_table(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\nlicense = { text = 'MIT' }\n")
    assert image_annotations(Spec(), tmp_path)[f"{OCI}licenses"] == "MIT"
