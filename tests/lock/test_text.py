"""Reading a lock: what wardian wrote comes back, and whatever else stands there is a LockError."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardian.build.plan import plan
from wardian.errors import DamagedLockError, LockError, NewerLockError
from wardian.lock.model import Lock
from wardian.lock.text import read_lock, write_lock

_CHECKSUM = re.compile(r'^checksum = "[^"]*"\n', re.MULTILINE)
# Pieces of TOML and of values that a lock has.
_PIECES = st.sampled_from(
    [
        *("", "0", "-1", "true", "1.5", '""', "[]", "{}", '"x"', '"debian"', '"uv"', '"../x"', "1e400"),
        *("\n", ",", "=", "]", "#", '"é"', '"\\u0000"', "1979-05-27", '"2026-13-01T00:00:00Z"'),
        *("stage = 7", "size = -1", "version = true", 'suite = "sid"', '"linux/arm64"'),
        *("[platform]", "[[platform]]"),
    ]
)


def sealed(text: str) -> str:
    """With the checksum that fits."""
    rest = _CHECKSUM.sub("", text, count=1)
    digest = hashlib.sha256(rest.encode()).hexdigest()
    return _CHECKSUM.sub(f'checksum = "sha256:{digest}"\n', text, count=1)


def read(text: str, folder: Path) -> Lock | None:
    path = folder / "wardian.lock"
    path.write_text(text, encoding="utf-8")
    return read_lock(path)


def test_what_was_written_comes_back(good: Lock, tmp_path: Path) -> None:
    text = write_lock(good)
    assert sealed(text) == text
    assert read(text, tmp_path) == good
    assert read(text.replace("\n", "\r\n"), tmp_path) == good  # as git may check it out
    assert read_lock(tmp_path / "none.lock") is None


def test_a_lock_that_tells_no_requirements(good: Lock, tmp_path: Path) -> None:
    text = sealed(re.sub(r"^requirements = \[.*?^\]\n", "", write_lock(good), flags=re.DOTALL | re.MULTILINE))
    lock = read(text, tmp_path)
    assert lock
    assert [part.python.requirements for part in lock.platforms if part.python] == [None, None]
    assert write_lock(lock) == text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('suite = "trixie"\n', 'suite = "sid"\n', "'sid' is no suite"),
        ('source = "debian"', 'source = "conda"', "'conda' is no source"),
        ('key = "cpython', 'key = "../cpython', "is no key"),
        ('key = "cpython-3.12.8-linux-aarch64-gnu", ', "", "no key or no hash"),
        ('build = "20250106"', 'build = "a/b"', "is no build"),
        ('{ version = "3.13.5"', '{ version = "3"', "'3' is no version of Python"),
        (f'spec = "sha256:{"34" * 32}"', 'spec = "sha256:34"', "is no digest of a spec"),
        ("size = 1234", "size = -1", "-1 is no size"),
        ("size = 1234", "size = true", "no size of type bool"),
        ("stage = 1", "stage = 2", "its stages are [0, 2]"),
        ('name = "tzdata"', 'name = "libc6"', "names a package twice"),
        ('architecture = "amd64"', 'architecture = "riscv64"', "libc6 is for riscv64"),
        ("2026-01-10T09:12:03Z", "2026-13-10T09:12:03Z", "month must be in 1..12"),
        ("2026-01-10T09:12:03Z", "yesterday", "'yesterday' is no time"),
        ('path = "pool/', 'path = "../pool/', "is no path"),
        ("checksum = ", 'color = "red"\nchecksum = ', "unknown keys ['color']"),
        ('[platform."linux/amd64".python]', '[platform."linux/amd64".ruby]', "unknown keys ['ruby']"),
        ("workbench = [", "tools = [", "unknown keys ['tools']"),
        ('"alpha>=1",', "1,", "its requirements are no array of texts"),
        ('[platform."linux/arm64".debian]', '[platform."linux/z80".debian]', "unknown platform"),
    ],
)
def test_a_lock_that_would_break_what_follows(
    good: Lock, tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = write_lock(good)
    assert old in text
    with pytest.raises(DamagedLockError) as caught:
        read(sealed(text.replace(old, new, 1)), tmp_path)
    assert message in caught.value.message
    assert "is no lock that wardian wrote" in caught.value.message
    assert caught.value.hint == "run `wardian lock` to write it anew"


def test_a_lock_without_a_base(good: Lock, tmp_path: Path) -> None:
    with pytest.raises(DamagedLockError, match=r"its stages are \[1\]"):
        read(sealed(write_lock(good).replace("stage = 0", "stage = 1")), tmp_path)


def test_a_lock_without_releases(good: Lock, tmp_path: Path) -> None:
    text = re.sub(r"releases = \[\n.*?\n\]", "releases = []", write_lock(good), count=1, flags=re.S)
    with pytest.raises(DamagedLockError, match="it has no releases"):
        read(sealed(text), tmp_path)


def test_a_lock_without_platforms(good: Lock, tmp_path: Path) -> None:
    head, _, _ = write_lock(good).partition("[platform")
    with pytest.raises(DamagedLockError, match=r"no platform"):
        read(sealed(head), tmp_path)


def test_kinds_of_trouble(good: Lock, tmp_path: Path) -> None:
    text = write_lock(good)
    with pytest.raises(NewerLockError, match="lock version 2, this one knows 1"):
        read(text.replace("version = 1\n", "version = 2\n", 1), tmp_path)
    for version in ("true", "0", "-3", '"1"', "1.0"):
        with pytest.raises(DamagedLockError, match="has no version"):
            read(text.replace("version = 1\n", f"version = {version}\n", 1), tmp_path)
    with pytest.raises(DamagedLockError, match="its checksum does not fit"):
        read(text.replace("alpha", "alfa"), tmp_path)
    with pytest.raises(DamagedLockError, match="cannot read"):
        read(f"<<<<<<< ours\n{text}", tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(LockError, match="Is a directory") as caught:
        read_lock(tmp_path / "folder")
    assert not isinstance(caught.value, DamagedLockError)


def test_a_lock_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "wardian.lock").write_bytes("# é\n".encode("latin-1"))
    with pytest.raises(DamagedLockError):
        read_lock(tmp_path / "wardian.lock")


@settings(
    max_examples=int(os.environ.get("WARDIAN_TEST_EXAMPLES", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_only_a_lock_error_comes_out(good: Lock, tmp_path: Path, data: st.DataObject) -> None:
    """A lock with some of it exchanged, under a checksum that fits: it is refused, or it can be planned."""
    text = write_lock(good)
    words = [match.span() for match in re.finditer(r'"[^"]*"|\d+|\w+|[^\w\s]', text)]
    for _ in range(data.draw(st.integers(1, 3))):
        start, end = data.draw(st.sampled_from(words))
        text = text[:start] + data.draw(_PIECES | st.text(max_size=8)) + text[end:]
    try:
        lock = read(sealed(text), tmp_path)
    except LockError:
        return
    assert lock is not None
    for part in lock.platforms:
        assert plan(part, workbench=True).layers
    assert read(write_lock(lock), tmp_path) == lock
