"""Who runs wardian in these tests: root, and a plain user whose PATH holds nothing but `wardian`."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

STARTED: list[subprocess.Popen[str]] = []  # what a test that fails may leave running (conftest.py)
REPOSITORY = Path(__file__).parents[2]
# No such user is known to the system: whoever runs wardian needs no entry in any list.
PLAIN_ID = 23456
TIMEOUT = 300  # seconds; the longest is a first build on a busy machine

# How this machine reaches its indexes and mirrors, which the accounts need as well.
_NETWORK = ("PIP_", "UV_", "SSL_", "WARDIAN_DEBIAN_", "WARDIAN_PYTHON_")
_NETWORK_NAMES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user with a home of its own, and how to run wardian as that user."""

    name: str
    uid: int
    gid: int
    home: Path
    program: Path
    variables: Mapping[str, str]

    @property
    def store(self) -> Path:
        """Where wardian keeps everything, unless a test sets another place."""
        return Path(self.variables.get("WARDIAN_HOME") or self.home / ".local/share/wardian")

    @property
    def lowered(self) -> dict[str, Any]:
        """The options of `subprocess` that make the child this user."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def environment(self, changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """The variables of this account; a change to None takes one away."""
        merged = {**self.variables, **(changes or {})}
        return {name: value for name, value in merged.items() if value is not None}

    def having(self, **variables: str) -> Account:
        """The same account with other variables."""
        return replace(self, variables={**self.variables, **variables})

    def own(self, path: Path) -> Path:
        """Give a file or folder, and all below it, to this account."""
        if os.geteuid() != self.uid:
            for each in (path, *path.rglob("*")):
                os.chown(each, self.uid, self.gid, follow_symlinks=False)
        return path

    def project(self, name: str, files: Mapping[str, str] | None = None) -> Path:
        """A new project folder with those files, owned by this account."""
        folder = self.home / "projects" / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        for path, text in (files or {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        self.own(self.home / "projects") if folder.parent.stat().st_uid != self.uid else self.own(folder)
        return folder

    def share(self, other: Account, *, copied: bool = False) -> None:
        """Give another store, which is new, what ours has fetched and its toolbox's packages: as links."""
        other.own_folder(other.store)
        for name in ("content", "cache"):
            if (self.store / name).exists():
                how = "-a" if copied else "-al"
                result = other.execute(
                    ["/bin/cp", how, str(self.store / name), str(other.store / name)],
                    cwd=other.home,
                    env={"LC_ALL": "C"},
                )
                # Builds of other workers have things in hand there, which come and go.
                lost = [line for line in result.stderr.splitlines() if "No such file or dir" not in line]
                assert not lost, result.stderr

    def own_folder(self, path: Path) -> None:
        """Make a folder of this account's."""
        path.mkdir()
        os.chown(path, self.uid, self.gid)

    def execute(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str | None] | None = None,
        input: str | None = None,
        timeout: float = TIMEOUT,
        umask: int = -1,
    ) -> subprocess.CompletedProcess[str]:
        """Run any command as this user, with no terminal, to its end."""
        return subprocess.run(
            list(command),
            cwd=cwd,
            env=self.environment(env),
            input="" if input is None else input,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            start_new_session=True,
            umask=umask,
            **self.lowered,
        )

    def wardian(self, *words: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run wardian as this user, to its end."""
        return self.execute([str(self.program), *words], cwd=cwd, **options)

    def start(
        self, *words: str, cwd: Path, env: Mapping[str, str | None] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """Start wardian as this user, in a session of its own."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [str(self.program), *words],
            cwd=cwd,
            env=self.environment(env),
            text=True,
            **{"start_new_session": True, **pipes, **self.lowered, **options},
        )
        STARTED.append(process)
        return process

    def build(self, folder: Path, **options: Any) -> dict[str, Any]:
        """`wardian build --json`, which has to succeed; what it printed."""
        return expect(self.wardian("build", "--json", cwd=folder, **options), json_output=True)

    def snapshots(self, image: Mapping[str, Any]) -> dict[str, Path]:
        """The parts of a built image by name: the folders that hold them."""
        parts = [*image["reused"], *image["built"]]
        return {part["name"]: self.store / "snapshots" / part["key"] for part in parts}


def expect(result: subprocess.CompletedProcess[str], status: int = 0, *, json_output: bool = False) -> Any:
    """The result, or what its standard output says as JSON; fails with all it said on another status."""
    said = f"\n--- stdout\n{result.stdout[-4000:]}\n--- stderr\n{result.stderr[-6000:]}"
    assert result.returncode == status, f"{result.args} ended with {result.returncode}{said}"
    assert "Traceback (most recent call last)" not in result.stderr or status == 1, said
    assert "bug in wardian" not in result.stderr, said
    return json.loads(result.stdout) if json_output else result


def refused(result: subprocess.CompletedProcess[str], status: int = 1) -> str:
    """What a command that has to fail said: message and hint, without a traceback."""
    expect(result, status)
    assert "Traceback (most recent call last)" not in result.stderr, result.stderr
    assert "error: " in result.stderr, result.stderr
    return result.stderr[result.stderr.index("error: ") :]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock among the session's workers."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install(root: Path) -> Path:
    """Install wardian by pip where every user may read it, once; returns the folder of the entry point.

    The developer's own interpreter may lie in a home that others cannot enter.
    """
    program = root / "program"
    with locked(root / "program.lock"):
        if not (program / "ready").exists():
            shutil.rmtree(program, ignore_errors=True)
            python = "/usr/bin/python3" if os.geteuid() == 0 else sys.executable
            _call(python, "-m", "venv", str(program / "venv"))
        # A folder that is kept between sessions gets this session's wardian, and keeps what it needs.
        if not (program / f"ready-{os.environ['WARDIAN_TEST_SESSION']}").exists():
            fresh = ["--force-reinstall", "--no-deps"] if (program / "ready").exists() else []
            _call(
                str(program / "venv/bin/python"), "-m", "pip", "install", "--quiet", *fresh, str(REPOSITORY)
            )
            (program / "bin").mkdir(exist_ok=True)
            if not (program / "bin/wardian").is_symlink():
                (program / "bin/wardian").symlink_to("../venv/bin/wardian")
            (program / "ready").touch()
            (program / f"ready-{os.environ['WARDIAN_TEST_SESSION']}").touch()
    return program / "bin"


def _call(*command: str) -> None:
    # Byte code is written: start-up is a figure that users see.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, umask=0o022
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"


def make_account(root: Path, name: str) -> Account:
    """The account `root` or `plain`; whoever runs the tests, where that is no root, is plain."""
    uid = gid = PLAIN_ID if name == "plain" and os.geteuid() == 0 else os.geteuid()
    gid = gid if os.geteuid() == 0 else os.getegid()
    folder = install(root)
    home = root / name
    with locked(root / f"{name}.lock"):
        if not home.exists():
            home.mkdir(mode=0o700)
            _copy_settings(home)
            for each in (home, *home.rglob("*")):
                os.chown(each, uid, gid)
    system = ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    network = {
        key: value
        for key, value in os.environ.items()
        if key.startswith(_NETWORK) or key in _NETWORK_NAMES or key.lower().endswith("_proxy")
    }
    variables = {"HOME": str(home), "PATH": str(folder) + (system if name == "root" else ""), **network}
    return Account(name=name, uid=uid, gid=gid, home=home, program=folder / "wardian", variables=variables)


def _copy_settings(home: Path) -> None:
    """Pip's settings of whoever runs the tests: they may say where packages come from."""
    for place in (".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml"):
        source = Path.home() / place
        if source.is_file():
            (home / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, home / place)
