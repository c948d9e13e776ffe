"""Which packages share a layer."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from wardian.build.split import split_debian, split_python
from wardian.ecosystems.debian.model import DebianLock, DebianPackage
from wardian.ecosystems.python.model import Interpreter, PythonLock, PythonPackage
from wardian.image.platform import Platform
from wardian.lock.model import PlatformLock

KIB = 1 << 10


def debian(name: str, size: int, *, stage: int = 0, version: str = "1") -> DebianPackage:
    return DebianPackage(
        name=name,
        version=version,
        architecture="amd64",
        archive="debian",
        path=f"pool/{name}.deb",
        size=size,
        sha256=name.encode().hex().ljust(64, "0"),
        stage=stage,
    )


def python(name: str, size: int, version: str = "1") -> PythonPackage:
    file = f"{name}-{version}-py3-none-any.whl"
    return PythonPackage(name=name, version=version, file=file, size=size, sha256=f"{name}{version}")


def lock(debs: tuple[DebianPackage, ...] = (), wheels: tuple[PythonPackage, ...] = ()) -> PlatformLock:
    return PlatformLock(
        platform=Platform(architecture="amd64"),
        debian=DebianLock(suite="trixie", releases=(), packages=debs),
        python=PythonLock(interpreter=Interpreter(version="3.13.5", source="debian"), packages=wheels),
    )


def names(groups) -> list[list[str]]:
    return [[package.name for package in group.packages] for group in groups]


def test_big_packages_have_layers_of_their_own_and_lie_below_small_ones() -> None:
    found = split_python(
        lock(wheels=(python("tiny", 10), python("numpy", 9_000_000), python("duckdb", 10**7)))
    )
    assert names(found) == [["duckdb"], ["numpy"], ["tiny"]]
    assert [group.name for group in found[:2]] == ["duckdb 1", "numpy 1"]


def test_what_was_added_later_lies_above() -> None:
    found = split_debian(lock((debian("late", 10**8, stage=2), debian("base", 10**6))))
    assert names(found) == [["base"], ["late"]]


SMALL = st.integers(0, 127 * KIB)
WHEELS = st.dictionaries(st.from_regex("[a-z]{1,9}", fullmatch=True), SMALL, min_size=1, max_size=60)


@given(WHEELS, st.from_regex("[a-z]{1,9}", fullmatch=True))
def test_one_small_package_changes_one_layer(sizes: dict[str, int], added: str) -> None:
    wheels = tuple(python(name, size) for name, size in sorted(sizes.items()) if name != added)
    before = split_python(lock(wheels=wheels))
    after = split_python(lock(wheels=(*wheels, python(added, 1000))))
    changed = {group.packages for group in after} - {group.packages for group in before}
    assert len(changed) == 1
    assert added in [package.name for package in changed.pop()]
    upgraded = tuple(replace(wheel, version="2") if wheel is wheels[0] else wheel for wheel in wheels[:1])
    again = split_python(lock(wheels=(*upgraded, *wheels[1:])))
    assert len({group.packages for group in again} - {group.packages for group in before}) <= 1


@given(st.lists(st.integers(0, 1 << 34), max_size=400), st.lists(st.integers(0, 1 << 34), max_size=400))
def test_there_are_never_too_many_layers_and_nothing_is_lost(debs: list[int], wheels: list[int]) -> None:
    locked = lock(
        tuple(debian(f"d{number}", size, stage=number % 3) for number, size in enumerate(debs)),
        tuple(python(f"p{number}", size) for number, size in enumerate(wheels)),
    )
    groups = [*split_debian(locked), *split_python(locked)]
    assert len(groups) <= 94
    found = sorted(package.name for group in groups for package in group.packages)
    assert found == sorted([f"d{n}" for n in range(len(debs))] + [f"p{n}" for n in range(len(wheels))])


def test_the_split_depends_on_no_order() -> None:
    wheels = tuple(python(f"p{number}", number * 50 * KIB) for number in range(40))
    assert split_python(lock(wheels=wheels)) == split_python(lock(wheels=wheels[::-1]))
