"""Work is done once: what a change costs, and what it leaves as it is."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from .conftest import SIX, Bench
from .machine import Account, expect

BOTH = '[python]\npackages = ["six"]\n[system]\npackages = ["file"]\n'


def _names(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    return [part["name"] for part in parts]


def _keys(image: Mapping[str, Any]) -> dict[str, str]:
    return {part["name"]: part["key"] for part in [*image["reused"], *image["built"]]}


@pytest.fixture(scope="module")
def grown(accounts: dict[str, Account], worker: str) -> tuple[Path, dict[str, Any]]:
    """A built project with a system package, and what its first build said."""
    plain = accounts["plain"]
    folder = plain.project(f"incremental-{worker}", {"wardian.toml": BOTH})
    return folder, plain.build(folder)


def test_a_build_tells_its_parts(grown: tuple[Path, dict[str, Any]]) -> None:
    image = grown[1]
    assert set(image) == {"name", "key", "platform", "seconds", "reused", "built"}
    assert image["name"] == grown[0].name
    assert sorted(_keys(image)) == ["base", "python", "system"]
    for part in [*image["reused"], *image["built"]]:
        assert set(part) == {"name", "key", "seconds", "bytes"}
        assert part["bytes"] > 0


def test_a_second_build_does_nothing(bench: Bench) -> None:
    lock = (bench.folder / "wardian.lock").read_bytes()
    image = bench.account.build(bench.folder)
    assert image["built"] == []
    assert _names(image["reused"]) == ["base", "python"]
    assert all(part["seconds"] == 0 for part in image["reused"])
    assert (bench.folder / "wardian.lock").read_bytes() == lock
    said = expect(bench.wardian("build")).stdout
    assert ": nothing to do in " in said


def test_a_second_build_needs_no_network(plain_bench: Bench) -> None:
    nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": None}
    assert plain_bench.account.build(plain_bench.folder, env=nowhere)["built"] == []
    expect(plain_bench.wardian("build", "--offline"))
    expect(plain_bench.wardian("run", "--offline", "--locked", "--", "true"))


def test_a_change_of_code_rebuilds_nothing(plain_bench: Bench) -> None:
    script = plain_bench.folder / "code.py"
    for text in ("print(1)", "print(2)"):
        script.write_text(text)
        assert plain_bench.run("code.py").strip() == text[6]
        assert plain_bench.account.build(plain_bench.folder)["built"] == []


def test_another_project_shares_the_parts(plain_bench: Bench, project: Callable[..., Path]) -> None:
    folder = project({"wardian.toml": SIX})
    image = plain_bench.account.build(folder)
    assert image["built"] == []


def test_one_python_package_more_leaves_base_and_system(
    grown: tuple[Path, dict[str, Any]], plain: Account
) -> None:
    folder, before = grown
    expect(plain.wardian("add", "toolz", cwd=folder))
    after = plain.build(folder)
    assert _names(after["built"]) == ["python"]
    assert {name: _keys(after)[name] for name in ("base", "system")} == {
        name: _keys(before)[name] for name in ("base", "system")
    }
    here = Bench(plain, folder)
    assert here.run("--", "python", "-c", "import six, toolz; print('both')") == "both\n"
    expect(plain.wardian("remove", "toolz", cwd=folder))
    again = plain.build(folder)
    assert again["built"] == []
    assert _keys(again) == _keys(before)
    assert (
        "No module named 'toolz'"
        in plain.wardian("run", "--", "python", "-c", "import toolz", cwd=folder).stderr
    )


def test_one_system_package_more_leaves_all_others_and_can_be_removed(
    grown: tuple[Path, dict[str, Any]], plain: Account
) -> None:
    folder, before = grown
    lock = (folder / "wardian.lock").read_text()
    expect(plain.wardian("add", "--system", "tree", cwd=folder))
    after = plain.build(folder)
    assert _names(after["built"]) == ["system-2"]
    assert {**_keys(after), "system-2": None} == {**_keys(before), "system-2": None}
    here = Bench(plain, folder)
    assert here.sh("tree --version; file --version | head -n 1").startswith("tree v")
    assert expect(here.wardian("run", "--", "dpkg", "--verify")).stdout == ""
    assert here.sh("dpkg -l | tail -n +6 | cut -c 1-3 | sort -u") == "ii \n"
    expect(plain.wardian("remove", "--system", "tree", cwd=folder))
    assert _keys(plain.build(folder)) == _keys(before)
    assert (folder / "wardian.lock").read_text() == lock
    assert here.sh("command -v tree || echo gone") == "gone\n"


def test_python_that_comes_later_is_in_the_base(
    grown: tuple[Path, dict[str, Any]], plain: Account, folder_name: str
) -> None:
    folder = plain.project(folder_name, {"wardian.toml": '[system]\npackages = ["file"]\n'})
    assert sorted(_keys(plain.build(folder))) == ["base", "system"]
    expect(plain.wardian("add", "six", cwd=folder))
    assert _keys(plain.build(folder)) == _keys(grown[1])
    assert Bench(plain, folder).run("--", "python", "-c", "import six; print(six.__name__)") == "six\n"


def test_images_are_listed(bench: Bench) -> None:
    image = bench.account.build(bench.folder)
    listed = expect(bench.wardian("ls", "--json"), json_output=True)["images"]
    mine = [each for each in listed if each["project"] == str(bench.folder)]
    assert [each["key"] for each in mine] == [image["key"]]
    assert mine[0]["bytes"] == sum(part["bytes"] for part in image["reused"])
    assert image["key"][:12] in expect(bench.wardian("ls")).stdout


def test_an_unchanged_build_is_fast(plain_bench: Bench) -> None:
    """A loose bound: the figure itself is the bench's."""
    times = []
    for _ in range(3):
        start = time.monotonic()
        plain_bench.account.build(plain_bench.folder)
        times.append(time.monotonic() - start)
    assert min(times) < 2


def test_pruning_keeps_what_is_used_and_takes_what_is_not(plain: Account, folder_name: str) -> None:
    """In a store of its own, which has links to what was fetched already."""
    other = plain.having(WARDIAN_HOME=str(plain.home / folder_name))
    try:
        plain.share(other)
        kept = other.project(f"{folder_name}-kept", {"wardian.toml": "[system]\npackages = []\n"})
        gone = other.project(f"{folder_name}-gone", {"wardian.toml": '[system]\npackages = ["tree"]\n'})
        parts = other.snapshots(other.build(kept))
        more = other.snapshots(other.build(gone))
        shutil.rmtree(gone)
        dry = expect(other.wardian("prune", "--dry-run", "--json", cwd=kept), json_output=True)
        assert dry["bytes"] > 0
        assert more["system"].exists()
        done = expect(other.wardian("prune", "--json", cwd=kept), json_output=True)
        assert done["removed"] == dry["removed"]
        assert not more["system"].exists()
        assert parts["base"].exists()
        assert Bench(other, kept).sh("echo works") == "works\n"
        expect(other.wardian("prune", "--all", cwd=kept))
        assert not parts["base"].exists()
        assert Bench(other, kept).sh("echo again") == "again\n"
    finally:
        shutil.rmtree(other.store)
