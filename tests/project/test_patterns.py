"""Patterns of ignore files mean what git and Docker take them for: both are asked, by random patterns."""

from __future__ import annotations

import http.server
import io
import os
import random
import shutil
import subprocess
import tarfile
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.errors import SpecError
from wardian.project.code import select_code
from wardian.project.dockerignore import parse_dockerignore
from wardian.project.gitignore import check_pattern, parse_gitignore
from wardian.project.image import ImageSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAMES = ["a", "b", "ab", "a b", "a.c", ".a", "[x]", "é", "a+b", "a\\b"]
BOTH = ["a", "b", "*", "?", "**", "/", "/", "a.c", "[ab]", "\\[", " ", "!", ".", "a*", "f", "é", "[a-b]", "#"]
GIT = [*BOTH, "[!a]", "[^a]", "\\a", "[a", "[[:alpha:]]", "[]x]", "\\", "\t", "\\/", "[b-a]", "[[:x:]]"]
DOCKER = [*BOTH, "[^a]", "a\\*", "a+b", "**/", "\\[x]", "..", "./"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    for outer in NAMES:
        for inner in ("a", "b", "a b", "é"):
            (folder / outer / inner).mkdir(parents=True)
            for name in ("a", "ab", "a.c"):
                (folder / outer / inner / name).touch()
    for name in ("f", "f.c", "fa", "Dockerfile"):
        (folder / name).touch()
    return folder


def some_patterns(source: random.Random, atoms: list[str]) -> list[str]:
    return [
        ("!" if source.random() < 0.3 else "")
        + "".join(source.choice(atoms) for _ in range(source.randint(1, 5)))
        for _ in range(source.randint(1, 6))
    ]


def selected(folder: Path) -> set[str]:
    return {file.path for file in select_code(folder, ImageSpec()).files}


def all_files(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def test_git_ignores_the_same(tree: Path, need: Callable[[object, str], None]):
    need(shutil.which("git"), "git, which is asked what it ignores")
    names = "\0".join(path for path in all_files(tree) if not path.startswith("."))
    environment = {**os.environ, "HOME": str(tree.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", tree], check=True, env=environment)
    source = random.Random(1)
    for _ in range(150):
        patterns = some_patterns(source, GIT)
        (tree / ".gitignore").write_text("\n".join(patterns) + "\n")
        asked = subprocess.run(
            ["git", "-C", tree, "check-ignore", "--no-index", "-z", "--stdin"],
            input=names.encode(),
            capture_output=True,
            check=False,
            env=environment,
        )
        kept = set(names.split("\0")) - set(asked.stdout.decode().split("\0"))
        assert selected(tree) & set(names.split("\0")) == kept, patterns
    (tree / ".gitignore").unlink()
    shutil.rmtree(tree / ".git")


class _Engine(http.server.BaseHTTPRequestHandler):
    """As much of a Docker Engine as its client needs to send a build's context, after leaving files out."""

    protocol_version = "HTTP/1.1"
    sent: list[bytes]

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        self._answer(b"OK")

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        body = b""
        while length := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        self.sent.append(body)
        self._answer(b'{"stream":"ok"}\n')

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Api-Version", "1.43")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def docker_sends(
    tmp_path: Path, need: Callable[[object, str], None]
) -> Iterator[Callable[[Path], set[str] | None]]:
    need(shutil.which("docker"), "Docker's client, optional, which is asked what it leaves out")
    handler = type("Engine", (_Engine,), {"sent": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DOCKER_HOST": f"tcp://127.0.0.1:{server.server_port}",
        "DOCKER_BUILDKIT": "0",
        "DOCKER_CONFIG": str(tmp_path),
    }

    def send(folder: Path) -> set[str] | None:
        handler.sent.clear()
        subprocess.run(
            ["docker", "build", "-q", folder], env=environment, capture_output=True, check=False, timeout=60
        )
        if not handler.sent:
            return None
        with tarfile.open(fileobj=io.BytesIO(handler.sent[0])) as archive:
            return {member.name for member in archive if not member.isdir()}

    yield send
    server.shutdown()
    server.server_close()


def test_docker_leaves_out_the_same(tree: Path, docker_sends: Callable[[Path], set[str] | None]):
    always = {"Dockerfile", ".dockerignore"}  # its client sends them in any case
    source = random.Random(2)
    for _ in range(60):
        # A ! with wildcards is looked for in folders that are left out by BuildKit, but not by this client.
        patterns = [line for line in some_patterns(source, DOCKER) if not line.startswith("!")]
        for place in ("a/b", "ab", "é/é", "f", "a b/a", "/b/a"):
            if source.random() < 0.2:
                patterns.insert(source.randint(0, len(patterns)), f"!{place}")
        (tree / ".dockerignore").write_text("\n".join(patterns) + "\n")
        sent = docker_sends(tree)
        if sent is None:
            with pytest.raises(SpecError):
                select_code(tree, ImageSpec())
        else:
            assert selected(tree) - always == sent - always, patterns
    (tree / ".dockerignore").unlink()


def git_ignores(patterns: str, path: str) -> bool:
    found = parse_gitignore(patterns.encode())
    number = found.find(path.rstrip("/"), path.rstrip("/").rpartition("/")[2], folder=path.endswith("/"))
    return number >= 0 and not found.patterns[number].negated


@pytest.mark.parametrize(
    ("patterns", "ignored", "kept"),
    [
        ("a", ["a", "x/a", "a/"], ["b", "ab", "a/b"]),
        ("/a", ["a"], ["x/a"]),
        ("a/", ["a/", "x/a/"], ["a"]),
        ("x/a", ["x/a"], ["y/x/a", "x/a/b"]),
        ("*.csv", ["b.csv", "x/b.csv"], ["b.csv.gz"]),
        ("x/*.csv", ["x/b.csv"], ["x/y/b.csv", "b.csv"]),
        ("**/a", ["a", "x/y/a"], []),
        ("a/**", ["a/b", "a/b/c"], ["a", "a/"]),
        ("a/**/b", ["a/b", "a/x/y/b"], ["ab"]),
        ("a\n!a", [], ["a"]),
        ("\\#a\n\\!b", ["#a", "!b"], ["a"]),
        ("#a", [], ["#a"]),
        ("a  ", ["a"], ["a  "]),
        ("a\\ ", ["a "], ["a"]),
        ("a\r\nb", ["a", "b"], []),
        ("\ufeffa", ["a"], []),
        ("[a-c]x[!0-9]", ["bxy"], ["dxy", "bx1"]),
        ("data?", ["data1"], ["data", "data/1"]),
    ],
)
def test_what_gitignore_means(patterns, ignored, kept):
    assert [path for path in ignored if not git_ignores(patterns, path)] == []
    assert [path for path in kept if git_ignores(patterns, path)] == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[a", "its brackets are not right"),
        ("a[]b]", "its brackets are not right"),
        ("a\\", "nothing follows its last backslash"),
        ("!", "nothing follows the !"),
        ("[b-a]", "a range in its brackets ends before it begins"),
        ("a**a**a**a**a**b", "it has more than 4 ** inside of names"),
    ],
)
def test_what_docker_refuses_is_told_with_its_line(line, reason):
    with pytest.raises(SpecError) as caught:
        parse_dockerignore(f"# one\n{line}\n".encode(), "x/.dockerignore")
    assert caught.value.message.startswith("x/.dockerignore:2: ")
    assert caught.value.message.endswith(f" is no pattern: {reason}")


PATTERN_TEXT = st.text(alphabet="ab*?[]!^-\\/. #é", max_size=12)
PATHS = st.lists(st.text(alphabet="ab.é*[", min_size=1, max_size=4), min_size=1, max_size=4).map("/".join)


@given(pattern=PATTERN_TEXT, path=PATHS, folder=st.booleans())
def test_any_pattern_meets_any_path(pattern, path, folder):
    encoded = path.encode().decode("latin-1")
    number = parse_gitignore(pattern.encode()).find(encoded, encoded.rpartition("/")[2], folder=folder)
    assert number in (-1, 0)
    try:
        patterns = parse_dockerignore(pattern.encode(), "x")
    except SpecError:
        return
    assert patterns.match(path, 0)[1] in (0, 1)


@given(pattern=PATTERN_TEXT)
def test_any_pattern_of_a_spec_is_taken_or_refused(pattern):
    try:
        accepted = check_pattern(pattern)
    except ValueError:
        return
    assert accepted == pattern


@pytest.mark.parametrize("pattern", ["*a" * 60 + "*b", "**/a*/" * 40 + "b", "a" + "*?" * 60 + "c"])
def test_a_hostile_pattern_costs_little(pattern):
    names = ["a" * 250, "/".join("a" * 500), "a" * 250 + "/" + "a/" * 200 + "a"]
    before = time.process_time()
    found = parse_gitignore(pattern.encode())
    docker = parse_dockerignore(pattern.encode(), "x")
    for name in names:
        found.find(name, name.rpartition("/")[2], folder=False)
        docker.match(name, 0)
    assert time.process_time() - before < 2
