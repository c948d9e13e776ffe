"""Owners that an emulated root gives to files are recorded, whoever builds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Bench
from .machine import Account, expect

# Runs a shell script in a sandbox upon a base layer, as builds do, and prints what it left.
SANDBOX = """
import json, sys, tempfile
from pathlib import Path
from wardian.errors import HostError
from wardian.runtime import owners
from wardian.runtime.sandbox import Sandbox

store, base, script = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
with tempfile.TemporaryDirectory(dir=store / "temporary", ignore_cleanup_errors=True) as folder:
    folder = Path(folder)
    (folder / "upper").mkdir()
    sandbox = Sandbox(
        runtime=next(store.glob("toolbox/*/bin/crun")), lowers=(base / "root",), upper=folder / "upper",
        folder=folder / "work",
    )
    environment = {"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C.UTF-8"}
    try:
        status, output = sandbox.run(
            ["/bin/sh", "-c", script], environment=environment, owners=folder / "owners"
        )
    except HostError as error:
        print(json.dumps({"error": error.message, "hint": error.hint}))
        raise SystemExit
    left = {
        str(path.relative_to(folder / "upper")): [
            oct(path.lstat().st_mode & 0o7777), *(owners.owner(str(path)) if not path.is_symlink() else ())
        ]
        for path in (folder / "upper").rglob("*")
    }
    links = owners.read_links(str(folder / "owners"))
    print(json.dumps({"status": status, "output": output, "left": left, "links": links}))
"""


def sandboxed(account: Account, base: Path, script: str) -> dict[str, Any]:
    """What a script in a sandbox leaves: modes and recorded owners by path."""
    python = account.program.parent.parent / "venv/bin/python"
    words = [str(python), "-c", SANDBOX, str(account.store), str(base), script]
    told: dict[str, Any] = json.loads(expect(account.execute(words, cwd=account.home)).stdout)
    return told


@pytest.fixture
def base(bench: Bench) -> Path:
    """The base layer of a built image."""
    return bench.account.snapshots(bench.account.build(bench.folder))["base"]


def test_owners_stay_with_files_that_are_moved_and_copied(bench: Bench, base: Path) -> None:
    told = sandboxed(
        bench.account,
        base,
        """
        set -e
        cd /usr/bin
        echo x > /tmp/new; chown 11:12 /tmp/new; mv /tmp/new /tmp/moved; chown :13 ../../tmp/moved
        cp -a /tmp/moved /tmp/copied
        chown daemon:mail /etc/passwd /etc
        mkdir /tmp/folder; chown -R 100:101 /tmp/folder
        install -o 8 -g 55 /dev/null /tmp/folder/installed
        chgrp 42 /etc/profile; chown 0:0 /etc/profile
        perl -e 'open(F, ">/tmp/open"); unlink "/tmp/open"; chown(1, 2, *F) or die; open(G, ">/tmp/held");
                 chown(3, 4, *G) or die'
        """,
    )
    assert (told["output"], told["status"]) == ("", 0)
    left = told["left"]
    assert left["tmp/moved"] == left["tmp/copied"] == ["0o644", 11, 13]
    assert left["etc/passwd"] == ["0o644", 1, 8]
    assert left["etc"] == ["0o755", 1, 8]
    assert left["tmp/folder"] == ["0o755", 100, 101]
    assert left["tmp/folder/installed"] == ["0o755", 8, 55]
    assert left["etc/profile"] == ["0o644", 0, 0]
    assert left["tmp/held"] == ["0o644", 3, 4]
    assert told["links"] == {}


def test_links_are_followed_only_when_they_are_to_be(bench: Bench, base: Path) -> None:
    told = sandboxed(
        bench.account,
        base,
        """
        set -e
        echo x > /tmp/file; ln -s /tmp/file /tmp/link; ln -s ../../../../../../tmp/file /tmp/out
        chown -h 7:8 /tmp/link; chown -h :9 /tmp/link
        chown 5 /tmp/out
        """,
    )
    assert (told["output"], told["status"]) == ("", 0)
    assert told["left"]["tmp/file"] == ["0o644", 5, 0]
    assert told["links"] == {"tmp/link": [7, 9]}


def test_set_id_bits_go_as_with_real_root(bench: Bench, base: Path) -> None:
    told = sandboxed(
        bench.account,
        base,
        """
        set -e
        cd /tmp; cp /bin/true a; cp a b; echo > c; mkdir d
        chmod 6755 a b; chmod 2644 c; chmod 2775 d
        chown 0:8 a c d; chown 0:8 b; chmod 4754 b
        """,
    )
    assert (told["output"], told["status"]) == ("", 0)
    left = told["left"]
    assert [left[f"tmp/{name}"] for name in "abcd"] == [
        ["0o755", 0, 8],
        ["0o4754", 0, 8],
        ["0o2644", 0, 8],
        ["0o2775", 0, 8],
    ]


def test_errors_are_those_of_the_call(bench: Bench, base: Path) -> None:
    told = sandboxed(
        bench.account,
        base,
        """
        perl -e '
            sub try { my ($what, $ok) = @_; print "$what: ", ($ok ? "fine" : $!), "\\n"; }
            try("missing", chown(1, 1, "/nonexistent"));
            try("no folder", chown(1, 1, "/etc/passwd/x"));
            symlink("loop", "/tmp/loop"); try("loop", chown(1, 1, "/tmp/loop"));
            try("long", chown(1, 1, "/" . "x/" x 3000));
            try("device", chown(1, 1, "/dev/null"));
            try("proc", chown(1, 1, "/proc/self/status"));
            try("another", chown(1, 1, "/proc/1/root/etc/passwd"));
        '
        python3 -c '
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for name, call, which in (("descriptor", libc.fchown, 1234), ("memory", libc.chown, None)):
    print(f"{name}: {os.strerror(ctypes.get_errno()) if call(which, 1, 1) else 0}")
'
        """,
    )
    said = dict(line.split(": ", 1) for line in told["output"].splitlines())
    assert said == {
        "missing": "No such file or directory",
        "no folder": "Not a directory",
        "loop": "Too many levels of symbolic links",
        "long": "File name too long",
        "device": "fine",
        "proc": "fine",
        "another": "fine",
        "descriptor": "Bad file descriptor",
        "memory": "Bad address",
    }
    assert not any(path.startswith("etc") for path in told["left"])


def test_an_owner_that_cannot_be_kept_fails_the_build(bench: Bench, base: Path) -> None:
    fill = """
        python3 -c '
import os
open("/tmp/full", "w").close()
for size in (1000, 100, 10, 1):
    for number in range(300):
        try:
            os.setxattr("/tmp/full", f"user.{size}.{number}", b"x" * size)
        except OSError:
            break
    else:
        raise SystemExit("roomy")
' || exit 3
        chown 1:2 /tmp/full
    """
    told = sandboxed(bench.account, base, fill)
    if told.get("status") == 3:
        pytest.skip("optional: this file system takes any number of attributes")
    assert "cannot be recorded: No space left on device" in told["error"]
    assert "WARDIAN_HOME" in told["hint"]
