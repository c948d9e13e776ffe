"""The table `[image]`: what is read, what each mistake is told, and how it is written again."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import jsonschema
import pytest
from tests.project.conftest import read_spec

from wardian.errors import SpecError
from wardian.project.initial import render
from wardian.project.kinds import declared_keys
from wardian.project.read import read_spec_text
from wardian.project.schema import spec_schema
from wardian.project.spec import ImageSpec, Spec

FULL = """
[image]
entrypoint = ["python", "-m", "penguins"]
command = "serve --all"
user = "0100:0"
workdir = "/work//app/"
ports = [8080, "53/udp", "9090"]
labels = { "com.example.team" = "research" }
env = { PORT = "8080" }
include = ["data/model.bin", "!data/*.tmp"]
exclude = ["*.ipynb"]
code = false
docs = true
slim = true
bytecode = true

[image.annotations]
"org.opencontainers.image.title" = "Penguins"
"com.example.note" = "größer"
"""

READ = ImageSpec(
    entrypoint=("python", "-m", "penguins"),
    command="serve --all",
    user="100:0",
    workdir="/work/app",
    ports=("8080/tcp", "53/udp", "9090/tcp"),
    labels={"com.example.team": "research"},
    annotations={"org.opencontainers.image.title": "Penguins", "com.example.note": "größer"},
    env={"PORT": "8080"},
    include=("data/model.bin", "!data/*.tmp"),
    exclude=("*.ipynb",),
    code=False,
    docs=True,
    slim=True,
    bytecode=True,
)


def test_every_key_is_read(write):
    spec = read_spec(write({"wardian.toml": FULL}))
    assert spec is not None
    assert spec.image == READ
    jsonschema.validate(tomllib.loads(FULL), spec_schema())


def test_nothing_written_means_the_defaults(write):
    spec = read_spec(write({"wardian.toml": "[image]\n"}))
    assert spec is not None
    assert spec.image == ImageSpec() == Spec().image
    assert (spec.image.user, spec.image.workdir, spec.image.code) == ("1000", "/work", True)


def test_it_stands_in_pyproject_too(write):
    spec = read_spec(write({"pyproject.toml": "[tool.wardian.image]\nslim = true\n"}))
    assert spec is not None
    assert spec.image == ImageSpec(slim=True)


def test_what_a_container_executes():
    assert ImageSpec().entrypoint_words() == ImageSpec().command_words() == ()
    image = ImageSpec(entrypoint="exec serve", command="a && b")
    assert image.entrypoint_words() == ("sh", "-c", 'exec serve "$@"', "sh")
    assert image.command_words() == ("sh", "-c", "a && b")
    placed = ImageSpec(entrypoint='serve "$1" --to x', command=("a", "b"))
    assert placed.entrypoint_words() == ("sh", "-c", 'serve "$1" --to x', "sh")
    assert placed.command_words() == ("a", "b")


@pytest.mark.parametrize("image", [ImageSpec(), READ, ImageSpec(code=False), ImageSpec(command=("a", "ö\n"))])
def test_what_is_written_reads_as_it_was(image, tmp_path):
    spec = replace(Spec(name="a"), image=image)
    text = render(spec)
    assert read_spec_text(text, tmp_path / "wardian.toml") == spec
    assert ("# [image]" in text) == (image == ImageSpec())


def test_every_example_is_right(tmp_path):
    for name, key in declared_keys(ImageSpec).items():
        read_spec_text(f"[image]\n{name} = {key.example}\n", tmp_path / "wardian.toml")


KEYS = ("entrypoint, command, user, workdir, ports, labels, annotations, env, include, exclude, code, docs, "
        "slim, bytecode")  # fmt: skip

MISTAKES = [
    ("comand = 'x'", f"image.comand: unknown key; expected {KEYS}", "write command"),
    ("entrypoint = []", ("image.entrypoint: expected an array of a program and its arguments, "
     "found an empty array"), None),
    ("command = 3", ("image.command: expected a command line, or an array of a program and its arguments, "
     "found an integer"), None),
    ("user = 1000", 'image.user: expected a user such as "1000", found an integer', 'write "1000"'),
    ("user = 'Me'", 'image.user: "Me" is no user (a name, a uid, or either with :group)',
     'write a user such as "1000"'),
    ("user = '1:'", 'image.user: "1:" is no user (a name, a uid, or either with :group)',
     'write a user such as "1000"'),
    ("user = '4294967295'", 'image.user: "4294967295" holds an id above 4294967294',
     'write a user such as "1000"'),
    ("workdir = 'app'", 'image.workdir: "app" is no absolute path in the container',
     'write an absolute path in the container such as "/work"'),
    ("workdir = '/work/../x'", 'image.workdir: "/work/../x" is no absolute path in the container',
     'write an absolute path in the container such as "/work"'),
    ("ports = 8080", "image.ports: expected an array of ports, found an integer", None),
    ("ports = [0]", "image.ports[0]: expected a port from 1 to 65535, found 0", None),
    ("ports = [true]", "image.ports[0]: expected a port from 1 to 65535, found a boolean", None),
    ("ports = [1.5]", 'image.ports[0]: expected a port such as 8080 or "8080/tcp", found a float', None),
    ("ports = [1, '80/ip']", 'image.ports[1]: "80/ip" is no port (1 to 65535, with /tcp, /udp or /sctp)',
     'write a port such as "8080/tcp"'),
    ("ports = ['70000']", 'image.ports[0]: "70000" is no port (1 to 65535, with /tcp, /udp or /sctp)',
     'write a port such as "8080/tcp"'),
    ("labels = { a = 1 }", 'image.labels.a: expected a string such as "research", found an integer',
     'write "1"'),
    ("labels.com.example = 'x'", "image.labels.com: expected a string, found a table",
     'write the whole name in quotes: "com.example"'),
    ("annotations = { org.opencontainers.image.title = 'x' }",
     "image.annotations.org: expected a string, found a table",
     'write the whole name in quotes: "org.opencontainers.image.title"'),
    ("labels = { '' = 'x' }", 'image.labels."": "" is no name of a label',
     'write a label\'s name such as "com.example.team"'),
    ("annotations = { 'org.opencontainers.image.licence' = 'x' }",
     ('image.annotations."org.opencontainers.image.licence": "org.opencontainers.image.licence" is reserved '
     "by OCI and not defined; the nearest is org.opencontainers.image.licenses"),
     'write an annotation\'s name such as "org.opencontainers.image.title"'),
    ("env = { 'A B' = 'x' }", ('image.env."A B": "A B" is no variable name (letters, digits and _, '
     "not a digit first)"), 'write a variable\'s name such as "OMP_NUM_THREADS"'),
    ("include = 'data/'", ("image.include: expected an array of patterns as .gitignore has them, "
     'found the string "data/"'), 'write ["data/"]'),
    ("exclude = ['']", 'image.exclude[0]: "" matches nothing: it is empty',
     'write a pattern as .gitignore has them such as "data/raw/"'),
    ("exclude = ['#a']", 'image.exclude[0]: "#a" is a comment (write \\# for a name that begins so)',
     'write a pattern as .gitignore has them such as "data/raw/"'),
    ("exclude = ['a[b']", 'image.exclude[0]: "a[b" matches nothing: it has a bracket that is not closed',
     'write a pattern as .gitignore has them such as "data/raw/"'),
    ("exclude = ['../a']", ('image.exclude[0]: "../a" matches nothing: paths are those below the project '
     "folder, without . and .."), 'write a pattern as .gitignore has them such as "data/raw/"'),
    ("code = 'yes'", 'image.code: expected true or false, found the string "yes"',
     "write true, without quotes"),
    ("slim = 1", "image.slim: expected true or false, found an integer", None),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message", "hint"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_a_mistake_is_told_with_its_place(write, line, message, hint):
    folder = write({"wardian.toml": f"[image]\n{line}\n"})
    with pytest.raises(SpecError) as caught:
        read_spec(folder)
    assert caught.value.message == f"{folder}/wardian.toml:2: {message}"
    assert caught.value.hint == hint
    assert caught.value.exit_status == 1


def test_a_key_at_the_wrong_place_is_told_its_own(write):
    with pytest.raises(SpecError) as caught:
        read_spec(write({"wardian.toml": "entrypoint = 'x'\n"}))
    assert caught.value.hint == "write entrypoint in the table [image]"


def test_the_schema_refuses_mistakes():
    validator = jsonschema.Draft202012Validator(spec_schema())
    for line in (
        "comand = 'x'",
        "user = 'Me'",
        "workdir = 'app'",
        "ports = [0]",
        "slim = 1",
        "labels = {a=1}",
    ):
        assert not validator.is_valid(tomllib.loads(f"[image]\n{line}\n"))
