from __future__ import annotations

from dataclasses import replace

import pytest

from wardian.ecosystems.debian.model import DebianLock
from wardian.ecosystems.python.model import PythonLock
from wardian.ecosystems.python.resolve import resolve
from wardian.ecosystems.python.workbench import resolve_workbench
from wardian.ecosystems.workshop import Workshop
from wardian.errors import ResolveError
from wardian.lock import resolve as locks
from wardian.lock.model import PlatformLock
from wardian.lock.resolve import Wish
from wardian.project.spec import Declared, Spec
from wardian.system.progress import Silent


@pytest.fixture
def tools(index):
    index.add_wheel("ipykernel", "7.0", requires=["shared>=2"])
    index.add_wheel("nbclient", "0.11", requires=["ipykernel"])
    index.add_wheel("nbconvert", "7.17")
    for version in ("1.0", "2.0", "3.0"):
        index.add_wheel("shared", version)
    index.add_wheel("alpha", "1.0", requires=["shared<3"])


@pytest.mark.usefixtures("tools")
def test_holds_only_what_the_project_has_not(uv, request_for):
    asked = request_for("alpha")
    locked = resolve(uv, asked)
    assert {package.name: package.version for package in locked} == {"alpha": "1.0", "shared": "2.0"}
    bench = resolve_workbench(uv, asked, locked)
    assert [package.name for package in bench] == ["ipykernel", "nbclient", "nbconvert"]


@pytest.mark.usefixtures("tools")
def test_keeps_its_versions(uv, index, request_for):
    locked = resolve(uv, request_for("alpha"))
    bench = resolve_workbench(uv, request_for("alpha"), locked)
    index.add_wheel("nbclient", "0.12")
    assert resolve_workbench(uv, request_for("alpha", keep=bench), locked) == bench
    upgraded = resolve_workbench(uv, request_for("alpha", keep=bench, upgrade=True), locked)
    assert [package.version for package in upgraded if package.name == "nbclient"] == ["0.12"]


@pytest.mark.usefixtures("tools")
def test_what_the_project_gains_leaves_it(uv, index, request_for):
    earlier = resolve(uv, request_for("alpha"))
    bench = resolve_workbench(uv, request_for("alpha"), earlier)
    index.add_wheel("ipykernel", "7.1", requires=["shared>=2"])

    def again(*requirements):
        locked = resolve(uv, request_for(*requirements, keep=earlier))
        del index.requests[:]
        found = resolve_workbench(uv, request_for(*requirements, keep=bench), locked, grown=True)
        return [f"{package.name} {package.version}" for package in found]

    assert again("alpha", "ipykernel==7.0") == ["nbclient 0.11", "nbconvert 7.17"]
    assert index.requests == []
    # A version that the project holds is not the one that the workbench had.
    assert again("alpha", "ipykernel==7.1") == ["nbclient 0.11", "nbconvert 7.17"]
    assert index.requests


@pytest.mark.usefixtures("tools")
def test_names_the_pin_that_leaves_no_room(uv, request_for):
    asked = request_for("alpha", "shared==1.0")
    with pytest.raises(ResolveError, match=r"notebooks cannot be run beside shared 1\.0") as caught:
        resolve_workbench(uv, asked, resolve(uv, asked))
    assert "shared>=2" in caught.value.message


@pytest.mark.usefixtures("tools")
def test_a_workbench_that_no_longer_fits_is_let_go_of(uv, store, request_for, environment):
    """A notebook ran once: that must not keep a project from what it asks for later."""
    said: list[str] = []
    progress = Silent()
    progress.message = said.append
    workshop = Workshop(
        store=store, environment=environment, progress=progress, offline=False, _made={"uv": uv}
    )
    asked = request_for("alpha")
    locked = resolve(uv, asked)
    earlier = PythonLock(
        interpreter=asked.interpreter, packages=locked, workbench=resolve_workbench(uv, asked, locked)
    )
    debian = DebianLock(suite="trixie", releases=(), packages=())
    kept = PlatformLock(platform=asked.target.platform, debian=debian, python=earlier)
    declared = Declared(requirements=("alpha", "shared==1.0"))
    wish = Wish(spec=Spec(), declared=declared, platforms=(kept.platform,))
    more = (kept.platform, kept, asked.interpreter, lambda: None)
    made = locks._python(workshop, wish, *more)
    assert {package.name: package.version for package in made.packages} == {"alpha": "1.0", "shared": "1.0"}
    assert made.workbench == ()
    assert said == [
        "what runs notebooks does not fit beside the project's packages any more: it is left out of the lock"
    ]
    with pytest.raises(ResolveError, match="notebooks cannot be run beside"):
        locks._python(workshop, replace(wish, workbench=True), *more)


@pytest.mark.network
def test_real_tools(real_uv, request_for):
    asked = request_for("numpy")
    locked = resolve(real_uv, asked)
    bench = {package.name for package in resolve_workbench(real_uv, asked, locked)}
    assert {"ipykernel", "nbclient", "nbconvert", "traitlets"} <= bench
    assert "numpy" not in bench
