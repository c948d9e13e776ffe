"""save, load, export and image: what they print, write and refuse. Formats have tests of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tests.images import store_image

from wardian.cli.image import VERBS
from wardian.image.library import Library
from wardian.image.manifest import Execution
from wardian.store.store import Store

HOSTILE = "\x1b[2J\nevil"


@pytest.fixture
def library(tmp_path):
    return Library(Store.open(tmp_path / "home"))


@pytest.fixture
def image(library):
    run = Execution(
        user="1000",
        command=("tool", "a b"),
        environment=(("A", HOSTILE),),
        labels={"l": "v"},
        ports=("80/tcp",),
    )
    return store_image(library, {"a": b"a" * 2000}, {"b": b"b"}, name="example:1", execution=run)


@pytest.mark.parametrize("verb", VERBS)
def test_every_inner_verb_has_help_with_examples(invoke, verb):
    outcome = invoke("image", verb, "--help")
    assert outcome.status == 0
    assert outcome.out.startswith(f"Usage: wardian image {verb}")
    assert "Examples:\n  wardian image " in outcome.out
    assert "--json" in outcome.out
    assert f"  {verb}" in invoke("image", "--help").out


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("image",), "wardian image: which verb?", "see `wardian image --help`"),
        (("image", "lss"), "wardian image has no verb 'lss'", "did you mean `wardian image ls`?"),
        (("image", "ls", "x"), "wardian image ls: nothing to do with 'x'", "see `wardian image ls --help`"),
        (("image", "inspect", "exampel:1"), "there is no image 'exampel:1' here", "did you mean example:1?"),
        (
            ("image", "rm", "example:1", "no"),
            "there is no image 'no' here",
            "see `wardian image ls`, or get it",
        ),
        (("image", "tag", "example:1", "UPPER"), "'UPPER' is no image reference", "names are in lower case"),
        (("load", "nowhere"), "cannot read ", None),
        (("load", "-i", "a", "b"), "wardian load: FILE and -i FILE are the same", "give one of them"),
        (("export", "oic"), "invalid choice: 'oic'", "see `wardian export --help`"),
        (("export", "sbom", "--image", "example:1"), "is made from a project's lock", "leave --image out"),
        (("export", "dockerfile", "-o", "-"), "a Dockerfile needs files beside it", "name a folder"),
        (("save", "--image", "example:1", "-o", "."), "is a folder", "name a file with -o"),
        (("save", "--image", "example:1", "-o", "no/x"), "cannot write ", "check the folder's permissions"),
        (("save", "--image", "example:1", "--platform", "linux/s390x", "-o", "x"), "is for linux/", None),
    ],
)
def test_what_is_refused(invoke, image, tmp_path, words, message, hint):
    outcome = invoke("-C", str(tmp_path), *words)
    assert outcome.status == 1
    assert outcome.out == ""
    assert f"error: {message}" in outcome.err or message in outcome.err
    assert hint is None or f"hint: {hint}" in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_a_failure_as_json(invoke):
    outcome = invoke("image", "inspect", "nothing", "--json")
    assert outcome.status == 1
    assert json.loads(outcome.out)["error"]["kind"] == "ImageError"


def test_images_are_listed(invoke, library, image):
    assert "no images yet" in invoke("image", "ls", WARDIAN_HOME=str(library.store.root / "../empty")).err
    outcome = invoke("image", "ls")
    heading, line = outcome.out.splitlines()
    assert heading.split() == ["NAME", "DIGEST", "PLATFORM", "SIZE", "ORIGIN"]
    assert line.split()[:3] == ["example:1", image.descriptor.digest.hex[:12], str(image.platform)]
    (found,) = json.loads(invoke("image", "ls", "--json").out)["images"]
    assert invoke("image", "ls", "--quiet").out == ""
    assert found["bytes"] == sum(layer.size for layer in image.manifest.layers)
    library.blob(image.descriptor.digest).unlink()
    assert "not whole" in invoke("image", "ls").out
    assert invoke("image", "rm", "example:1").out == "removed example:1\n"


def test_an_image_is_inspected(invoke, library, image):
    found = json.loads(invoke("image", "inspect", "example:1", "--json").out)
    assert found["manifest"] == image.descriptor.as_json()
    assert found["config"] == json.loads(library.blob(image.manifest.config.digest).read_bytes())
    assert [layer["name"] for layer in found["layers"]] == ["layer 0", "layer 1"]
    assert [layer["diff_id"] for layer in found["layers"]] == list(image.configuration.diff_ids)
    text = invoke("image", "inspect", image.descriptor.digest.hex[:8]).out
    assert "command     tool 'a b'\n" in text
    assert "variable    A= [2J evil\n" in text  # nothing that a terminal obeys
    assert "\033" not in text
    assert f"layer 0  {image.manifest.layers[0].size} B" in text


def test_history_begins_with_the_newest(invoke, image):
    lines = invoke("image", "history", "example:1").out.splitlines()
    assert [line.split(maxsplit=3)[3:] for line in lines[1:]] == [["layer 1"], ["layer 0"]]
    found = json.loads(invoke("image", "history", "example:1", "--json").out)["history"]
    assert [step["digest"] for step in found] == [layer.digest for layer in image.manifest.layers[::-1]]


def test_names_are_given_and_taken(invoke, library, image):
    assert (
        invoke("image", "tag", "example:1", "registry.example/x:2").out
        == "registry.example/x:2 is example:1\n"
    )
    assert [kept.origin for kept in library.names()] == ["loaded", "tagged"]
    assert invoke("image", "tag", "x", f"x@sha256:{'0' * 64}").status == 1
    assert invoke("image", "rm", "example:1", "--json").out == (
        '{\n  "removed": [\n    "docker.io/library/example:1"\n  ]\n}\n'
    )
    assert [kept.name.familiar for kept in library.names()] == ["registry.example/x:2"]


def test_a_digest_with_several_names_leaves_a_doubt(invoke, library, image):
    digest = image.descriptor.digest.hex[:12]
    invoke("image", "tag", "example:1", "x:2")
    outcome = invoke("image", "rm", digest)
    assert outcome.status == 1
    assert outcome.err == (
        f"error: the image '{digest}' has several names: example:1, x:2\n\n"
        "hint: write the names that are to go\n"
    )
    assert len(library.names()) == 2
    invoke("image", "tag", "x:2", "x:3")
    assert (
        "has several names: example:1, x:2, x:3" in invoke("image", "rm", f"x@{image.descriptor.digest}").err
    )
    assert invoke("image", "rm", "x:3").out == "removed x:3\n"
    assert invoke("image", "rm", "x:2").out == "removed x:2\n"
    assert invoke("image", "rm", digest).out == "removed example:1\n"


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_saved_and_loaded(invoke, library, image, tmp_path, form):
    words = ("save", "-o", "x.tar", "--image", "example:1", "--format", form)
    saved = invoke("-C", str(tmp_path), *words)
    size = (tmp_path / "x.tar").stat().st_size
    assert saved.out == f"x.tar: example:1 ({size / 1000:.1f} kB)\n"
    again = invoke("-C", str(tmp_path), *words)
    assert (again.status, "is there already" in again.err, "add --force" in again.err) == (1, True, True)
    assert invoke("-C", str(tmp_path), *words, "--force").status == 0
    loaded = invoke("-C", str(tmp_path), "load", "-i", "x.tar", WARDIAN_HOME=str(tmp_path / "second"))
    assert loaded.out == f"example:1 ({image.descriptor.digest.hex[:12]})\n"
    found = json.loads(invoke("load", str(tmp_path / "x.tar"), "--json").out)
    assert found == {"images": [{"name": "docker.io/library/example:1", "digest": image.descriptor.digest}]}


def test_nothing_is_left_of_a_file_that_failed(invoke, library, image, tmp_path):
    blob = library.blob(image.manifest.layers[1].digest)
    size = blob.stat().st_size
    for words in (("save", "-o", "x.tar"), ("export", "rootfs", "-o", "x.tar"), ("export", "oci", "-o", "x")):
        blob.write_bytes(bytes(size))  # what is found damaged is taken away
        outcome = invoke("-C", str(tmp_path), *words, "--image", "example:1")
        assert outcome.status == 1
        assert "should have the digest" in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_through_pipes(image, tmp_path, command):
    def run(*words, home, stdin=b""):
        environment = {**os.environ, "WARDIAN_HOME": str(tmp_path / home)}
        done = subprocess.run(
            [*command, *words], input=stdin, env=environment, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    archive = run("save", "--image", "example:1", home="home")
    assert run("load", home="second", stdin=archive).decode().startswith("example:1 (")
    with subprocess.Popen(["tar", "-t"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as listing:
        told, _ = listing.communicate(run("export", "rootfs", "--image", "example:1", home="home"))
    assert told == b"./\na\nb\n"


def test_special_files_are_written_into(invoke, image):
    assert invoke("save", "--image", "example:1", "-o", os.devnull).status == 0
    assert not os.path.isfile(os.devnull)


def test_a_terminal_gets_no_archive(invoke, image, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for words in (("save",), ("export", "rootfs"), ("export", "oci", "-o", "-")):
        outcome = invoke(*words, "--image", "example:1")
        assert (outcome.status, "a terminal is no place" in outcome.err) == (1, True)


def test_exports(invoke, image, tmp_path):
    for words in (
        ("oci",),
        ("oci", "-o", "layout.tar"),
        ("docker-archive", "-o", "d.tar"),
        ("rootfs", "-o", "r.tar"),
    ):
        outcome = invoke("-C", str(tmp_path), "export", *words, "--image", "example:1")
        assert (outcome.status, outcome.err.count("error")) == (0, 0)
    assert (tmp_path / "oci/index.json").is_file()
    assert invoke("-C", str(tmp_path), "export", "oci", "--image", "example:1").status == 0  # once more
    for name, member in (("layout.tar", "index.json"), ("d.tar", "manifest.json"), ("r.tar", "a")):
        with tarfile.open(tmp_path / name) as archive:
            assert member in archive.getnames()
    (tmp_path / "full").mkdir()
    outcome = invoke("-C", str(tmp_path), "export", "oci", "-o", "full", "--image", "example:1")
    assert "is there, and is no OCI layout" in outcome.err


def test_words_are_completed():
    from wardian.cli.complete import whole_parser

    parsed = whole_parser().parse_args(["image", "tag", "a", "b"])
    assert (parsed.inner, parsed.name) == ("tag", "b")


def test_paths_are_relative_to_the_folder_that_was_named(invoke, image, tmp_path):
    (tmp_path / "sub").mkdir()
    assert invoke("-C", str(tmp_path / "sub"), "save", "--image", "example:1", "-o", "x.tar").status == 0
    assert Path(tmp_path / "sub/x.tar").is_file()
