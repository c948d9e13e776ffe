"""What the verbs ask of the API and how they show what it gives. The API stands still here: its values
are the real ones, and only what would build or run is played.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

import wardian
from wardian.api.images import Image, ImageRecord
from wardian.api.locks import Lock
from wardian.api.request import RunRequest
from wardian.build.image import Part
from wardian.cli.session import Session
from wardian.ecosystems.debian.model import DebianLock
from wardian.errors import LockError
from wardian.image.platform import Platform
from wardian.lock import model
from wardian.project.edit import Change as Edit
from wardian.runtime.doctor.check import Check

AMD64 = Platform(architecture="amd64")
NUMPY = model.Change(ecosystem="python", name="numpy", old="2.2.0", new="2.3.1")


def make_lock(*changes: model.Change, written: bool = True) -> Lock:
    debian = DebianLock(suite="trixie", releases=(), packages=())
    part = model.PlatformLock(platform=AMD64, debian=debian, python=None)
    content = model.Lock(spec="sha256:00", platforms=(part,))
    return Lock(path=Path("/p/wardian.lock"), content=content, changes=changes, written=written)


@dataclass
class StillProject:
    """Notes what it is asked for."""

    asked: list[object] = field(default_factory=list)
    opened: dict[str, bool] = field(default_factory=dict)
    stale: bool = False
    changes: tuple[model.Change, ...] = (NUMPY,)
    written: bool = True
    detected: tuple[str, ...] = ("read requirements.txt",)

    def add(self, python, system):
        self.asked.append(("add", python, system))
        edit = Edit(path=Path("/p/wardian.toml"), created=True, added=(*python, *system))
        return edit, make_lock(*self.changes)

    def remove(self, python, system):
        self.asked.append(("remove", python, system))
        edit = Edit(path=Path("/p/wardian.toml"), created=False, removed=(*python, *system))
        return edit, make_lock(*self.changes)

    def initialize(self, *, force):
        self.asked.append(("initialize", force))
        return Path("/p/wardian.toml")

    def lock(self, **options):
        self.asked.append(("lock", options))
        return make_lock(*self.changes, written=self.written)

    def check_lock(self):
        if self.stale:
            raise LockError("wardian.lock is stale", hint="run `wardian lock`")

    def build(self):
        parts = (
            Part(name="base", key="a" * 40, bytes=1000, seconds=0.0, reused=True),
            Part(name="python", key="b" * 40, bytes=2_000_000, seconds=1.23456, reused=False),
        )
        return Image(name="penguins", key="c" * 40, platform=AMD64, seconds=1.5, parts=parts)

    def run(self, request):
        self.asked.append(request)
        return 7


@pytest.fixture
def project(monkeypatch):
    still = StillProject()

    def open_still(
        self: Session, *, offline: bool = False, locked: bool = False, here: bool = False
    ) -> StillProject:
        still.opened = {"offline": offline, "locked": locked}
        return still

    monkeypatch.setattr(Session, "project", open_still)
    return still


def test_init(invoke, project):
    outcome = invoke("init")
    assert (outcome.status, outcome.out) == (0, "read requirements.txt\nwrote /p/wardian.toml\n")
    assert json.loads(invoke("init", "--json", "--force").out) == {
        "path": "/p/wardian.toml",
        "detected": ["read requirements.txt"],
    }
    assert project.asked == [("initialize", False), ("initialize", True)]


def test_add(invoke, project):
    outcome = invoke("add", "numpy>=2", "--system", "graphviz", "git")
    assert outcome.out == (
        "~ numpy 2.2.0 -> 2.3.1 (python)\n"
        "wrote /p/wardian.toml with what was detected\n"
        "added numpy>=2, graphviz, git in wardian.toml\n"
    )
    assert project.asked[0] == ("add", ["numpy>=2"], ["graphviz", "git"])
    assert json.loads(invoke("add", "--json", "numpy").out) == {
        "path": "/p/wardian.toml",
        "created": True,
        "added": ["numpy"],
        "replaced": [],
        "removed": [],
        "changes": [{"ecosystem": "python", "name": "numpy", "old": "2.2.0", "new": "2.3.1"}],
    }


def test_remove(invoke, project):
    assert invoke("remove", "seaborn").out.endswith("removed seaborn in wardian.toml\n")
    assert project.asked[0] == ("remove", ["seaborn"], [])


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ((), {"upgrade": False, "as_of": None, "platforms": None}),
        (("--upgrade",), {"upgrade": True, "as_of": None, "platforms": None}),
        (("--upgrade", "a", "b"), {"upgrade": ["a", "b"], "as_of": None, "platforms": None}),
        (
            ("--as-of", "2026-01-31", "--platform", "linux/arm64", "--platform", "linux/amd64"),
            {"upgrade": False, "as_of": "2026-01-31", "platforms": ["linux/arm64", "linux/amd64"]},
        ),
    ],
)
def test_lock_asks(invoke, project, words, options):
    assert invoke("lock", *words).status == 0
    assert project.asked == [("lock", options)]


def test_lock_shows(invoke, project):
    assert invoke("lock").out == "~ numpy 2.2.0 -> 2.3.1 (python)\nwrote /p/wardian.lock for linux/amd64\n"
    assert json.loads(invoke("lock", "--json").out) == {
        "path": "/p/wardian.lock",
        "platforms": ["linux/amd64"],
        "changes": [{"ecosystem": "python", "name": "numpy", "old": "2.2.0", "new": "2.3.1"}],
        "written": True,
    }
    assert invoke("lock", "--quiet").out == ""
    project.changes = ()
    assert invoke("lock").out == "wrote /p/wardian.lock for linux/amd64\n"  # hashes alone, for example
    project.written = False
    assert invoke("lock").out == "unchanged: /p/wardian.lock for linux/amd64\n"


def test_lock_check(invoke, project):
    assert invoke("lock", "--check").status == 0
    assert json.loads(invoke("lock", "--check", "--json").out) == {"fresh": True}
    project.stale = True
    outcome = invoke("lock", "--check")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == "error: wardian.lock is stale\n\nhint: run `wardian lock`\n"
    assert json.loads(invoke("lock", "--check", "--json").out)["error"]["kind"] == "LockError"
    assert project.asked == []


@pytest.mark.parametrize("option", ["--as-of=2026-01-31", "--platform=linux/arm64"])
def test_a_check_takes_nothing_that_it_would_not_look_at(invoke, project, option):
    outcome = invoke("lock", "--check", option)
    assert (outcome.status, outcome.out) == (1, "")
    assert "--check looks at the lock as it is" in outcome.err
    assert "hint: leave --as-of and --platform out" in outcome.err


def test_build(invoke, project):
    outcome = invoke("build", "--locked")
    assert outcome.out == "penguins (cccccccccccc) for linux/amd64: built python in 1.5 s\n"
    assert project.opened == {"offline": False, "locked": True}
    assert invoke("-v", "build").out.splitlines()[:2] == [
        "base    aaaaaaaaaaaa  1.0 kB  reused",
        "python  bbbbbbbbbbbb  2.0 MB  built in 1.2 s",
    ]


def test_build_as_json(invoke, project):
    assert json.loads(invoke("build", "--json").out) == {
        "name": "penguins",
        "key": "c" * 40,
        "platform": "linux/amd64",
        "seconds": 1.5,
        "reused": [{"name": "base", "key": "a" * 40, "seconds": 0.0, "bytes": 1000}],
        "built": [{"name": "python", "key": "b" * 40, "seconds": 1.235, "bytes": 2_000_000}],
    }


def fields(request: RunRequest) -> dict[str, object]:
    return {name: getattr(request, name) for name in RunRequest.__slots__}


DEFAULTS = fields(RunRequest(target=None))


def test_a_dockerfile_in_the_project_is_told(invoke, project, monkeypatch, tmp_path):
    (tmp_path / "wardian.toml").touch()
    written = (tmp_path / "dockerfile/Dockerfile", tmp_path / "dockerfile/parts/a")
    monkeypatch.setitem(vars(wardian), "export_dockerfile", lambda *_, **__: written)
    outcome = invoke("-C", str(tmp_path), "export", "dockerfile")
    assert outcome.out == "dockerfile: Dockerfile, parts\n"
    assert outcome.err.startswith("dockerfile lies in the project: the next image has it too")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("a.ipynb",), {"target": "a.ipynb"}),
        (("-p", "x=1=2", "a.ipynb"), {"target": "a.ipynb", "parameters": {"x": "1=2"}}),
        (("a.py", "-e", "x"), {"target": "a.py", "arguments": ("-e", "x")}),
        (("--", "ls", "-l"), {"arguments": ("ls", "-l")}),
        (("train", "--", "-x"), {"target": "train", "arguments": ("--", "-x")}),
        (("-e", "A=1", "t"), {"target": "t", "environment": {"A": "1"}}),
        (("-v", "/a:/b:ro", "t"), {"target": "t", "volumes": (("/a", "/b", True),)}),
        (("--network=none", "t"), {"target": "t", "network": "none"}),
        (("--memory", "1g", "--cpus", "0.5", "t"), {"target": "t", "memory": 2**30, "cpus": 0.5}),
        (("--keep", "k", "--root", "t"), {"target": "t", "keep": "k", "root": True}),
    ],
)
def test_run(invoke, project, words, wanted):
    assert invoke("run", *words).status == 7
    assert fields(project.asked[0]) == {**DEFAULTS, "directory": os.path.realpath("."), **wanted}


def test_run_sees_paths_from_the_folder_of_dash_c(invoke, project, tmp_path):
    (tmp_path / "env").write_text("A=1\n", encoding="utf-8")
    words = ["-v", "data:/data", "--env-file", "env", "--output", "out", "a.ipynb"]
    assert invoke("-C", str(tmp_path), "run", *words).status == 7
    request = project.asked[0]
    assert request.volumes == ((f"{tmp_path}/data", "/data", False),)
    assert request.environment == {"A": "1"}
    assert request.output == f"{tmp_path}/out"
    assert request.directory == os.path.realpath(tmp_path)


def test_run_passes_on_what_concerns_the_lock(invoke, project):
    invoke("run", "--locked", "--offline", "t")
    assert project.opened == {"offline": True, "locked": True}


def test_shell(invoke, project):
    assert invoke("shell", "--root", "-e", "A=1").status == 7
    wanted = {"arguments": ("/bin/bash",), "root": True, "environment": {"A": "1"}}
    assert fields(project.asked[0]) == {**DEFAULTS, "directory": os.path.realpath("."), **wanted}


CHECKS = [
    Check(name="kernel", ok=True, message="Linux 6.1"),
    Check(name="namespaces", ok=False, message="forbidden", hint="allow them"),
    Check(name="limits", ok=None, message="no cgroup", hint="none is needed"),
]


def test_doctor(invoke, monkeypatch):
    monkeypatch.setitem(vars(wardian), "diagnose", lambda environment: CHECKS)
    outcome = invoke("doctor")
    assert outcome.status == 1
    assert outcome.out == (
        "ok       kernel      Linux 6.1\n"
        "failed   namespaces  forbidden\n"
        "         hint: allow them\n"
        "warning  limits      no cgroup\n"
        "         hint: none is needed\n"
    )
    shown = json.loads(invoke("doctor", "--json").out)
    assert shown["ok"] is False
    assert shown["checks"][1] == {
        "name": "namespaces",
        "ok": False,
        "message": "forbidden",
        "hint": "allow them",
    }


def test_doctor_is_content_with_warnings(invoke, monkeypatch):
    monkeypatch.setitem(vars(wardian), "diagnose", lambda environment: CHECKS[::2])
    assert invoke("doctor").status == 0
    assert "kernel" not in invoke("doctor", "--quiet").out


def test_schema(invoke):
    schema = json.loads(invoke("schema").out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema == json.loads(invoke("schema", "--json").out)


def image(name: str, *, days: int) -> ImageRecord:
    return ImageRecord(
        name=name,
        project=Path("/home/me") / name,
        key=name[0] * 40,
        platform=AMD64,
        created=datetime.now(UTC) - timedelta(days=days, minutes=1),
        bytes=1_390_000_000,
        shared=340_000_000,
    )


def test_ls(invoke, monkeypatch, tmp_path):
    asked = []
    found = [image("old", days=3), image("fresh", days=0)]
    monkeypatch.setitem(vars(wardian), "images", lambda home: asked.append(home) or found)
    assert invoke("ls").out == (
        "NAME   KEY           PLATFORM     CREATED         SIZE    SHARED  PROJECT\n"
        "fresh  ffffffffffff  linux/amd64  1 minute ago  1.4 GB  340.0 MB  /home/me/fresh\n"
        "old    oooooooooooo  linux/amd64  3 days ago    1.4 GB  340.0 MB  /home/me/old\n"
    )
    assert asked == [tmp_path / "home"]
    shown = json.loads(invoke("ls", "--json").out)["images"]
    assert [it["name"] for it in shown] == ["fresh", "old"]
    assert invoke("ls", "--quiet").out == ""
    found[0] = replace(found[0], project=Path("/\033[2J/\udcff"))
    assert invoke("ls").out.endswith("  /\\x1b[2J/\\udcff\n")
    assert set(shown[0]) == {"name", "key", "platform", "created", "bytes", "shared", "project"}


def test_ls_without_images(invoke, monkeypatch):
    monkeypatch.setitem(vars(wardian), "images", lambda home: [])
    outcome = invoke("ls")
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == "no images yet; `wardian build` makes one\n"
    assert json.loads(invoke("ls", "--json").out) == {"images": []}


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ((), {"everything": False, "older_than": None, "dry_run": False}),
        (("--all",), {"everything": True, "older_than": None, "dry_run": False}),
        (
            ("--older-than", "2w", "--dry-run"),
            {"everything": False, "older_than": 1209600.0, "dry_run": True},
        ),
    ],
)
def test_prune(invoke, monkeypatch, words, options):
    asked = {}

    def prune(home, **given):
        asked.update(given)
        return SimpleNamespace(removed=(SimpleNamespace(name="old", bytes=2000),), bytes=2000)

    monkeypatch.setitem(vars(wardian), "prune", prune)
    shown = (
        "old (2.0 kB)\nwould free 2.0 kB in 1 item\n" if options["dry_run"] else "freed 2.0 kB in 1 item\n"
    )
    assert invoke("prune", *words).out == shown
    assert asked == options
    assert json.loads(invoke("prune", "--json", *words).out) == {
        "dry_run": options["dry_run"],
        "removed": [{"name": "old", "bytes": 2000}],
        "bytes": 2000,
    }
