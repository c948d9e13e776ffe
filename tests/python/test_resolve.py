from __future__ import annotations

import time
from dataclasses import replace

import pytest

from wardian.ecosystems.python import pylock
from wardian.ecosystems.python.model import PythonPackage
from wardian.ecosystems.python.pylock import Target
from wardian.ecosystems.python.resolve import _compile, _size, resolve
from wardian.errors import FetchError, ResolveError, SpecError, VerificationError
from wardian.image.platform import Platform
from wardian.system.http import MissingError

from .package_index import sdist, wheel

# A build that leaves a trace: the test fails if it is ever run on the host.
TELLTALE = "open({path!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='alpha', version='1.0')\n"


def versions(packages):
    return {package.name: package.version for package in packages}


def test_locks_file_size_and_hash(uv, index, request_for):
    digest = index.add_wheel("alpha", "1.0", requires=["beta"])
    index.add_wheel("beta", "2.0")
    alpha, beta = resolve(uv, request_for("alpha"))
    content = index.files["/files/alpha-1.0-py3-none-any.whl"].content
    assert alpha == PythonPackage(
        name="alpha", version="1.0", file="alpha-1.0-py3-none-any.whl", size=len(content), sha256=digest
    )
    assert beta.version == "2.0"


def test_computes_what_a_plain_page_does_not_tell(uv, index, request_for):
    index.json = False
    content = wheel("alpha", "1.0")
    digest = index.add("alpha", "alpha-1.0-py3-none-any.whl", content, sha256=None)
    (alpha,) = resolve(uv, request_for("alpha"))
    assert (alpha.size, alpha.sha256) == (len(content), digest)


def test_nothing_asked_resolves_to_nothing(uv, request_for):
    assert resolve(uv, request_for()) == ()


@pytest.mark.parametrize(
    ("best", "other"),
    [
        ("cp313-cp313-manylinux_2_28_x86_64", "py3-none-any"),
        ("cp313-cp313-manylinux_2_28_x86_64", "cp313-cp313-manylinux2014_x86_64"),
        ("cp310-abi3-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_17_x86_64"),
        ("py3-none-any", "cp313-cp313-musllinux_1_2_x86_64"),
        ("py2.py3-none-any", "cp313-cp313-manylinux_2_17_aarch64"),
        ("py3-none-any", "cp313-cp313t-manylinux_2_17_x86_64"),
    ],
)
def test_picks_the_file_for_the_images_python_not_the_hosts(uv, index, request_for, best, other):
    for tag in (other, best):
        index.add_wheel("alpha", "1.0", tag=tag)
    (alpha,) = resolve(uv, request_for("alpha"))
    assert alpha.file == f"alpha-1.0-{best}.whl"


def test_what_is_new_is_resolved_beside_what_is_kept(uv, index, request_for):
    digest = index.add_wheel("alpha", "1.0", requires=["beta"])
    index.add_wheel("beta", "1.0")
    before = request_for("alpha")
    kept = resolve(uv, before)
    index.add_wheel("alpha", "2.0")
    index.add_wheel("beta", "2.0")
    index.add_wheel("gamma", "1.0", requires=["beta", "delta"])
    index.add_wheel("delta", "1.0")

    def again(*requirements, **options):
        del index.requests[:]
        known = {"keep": kept, "kept_for": before.asked, **options}
        found = versions(resolve(uv, request_for(*requirements, **known)))
        return found, any("alpha" in path for path in index.requests)

    old = {"alpha": "1.0", "beta": "1.0"}
    assert again("alpha") == (old, False)
    assert index.requests == []
    assert again("gamma", f"alpha --hash=sha256:{digest}") == ({**old, "delta": "1.0", "gamma": "1.0"}, False)
    assert again("alpha", "gamma; python_version < '3'") == (old, False)
    assert again("alpha", "beta>=1")[0] == old
    # What else has changed may change what is kept.
    assert again("gamma")[0] == {"beta": "1.0", "delta": "1.0", "gamma": "1.0"}
    assert again("alpha", "gamma", "beta>1") == ({**old, "beta": "2.0", "delta": "1.0", "gamma": "1.0"}, True)
    assert again("alpha", constraints=["beta>1"]) == ({"alpha": "1.0", "beta": "2.0"}, True)
    assert again("alpha", upgrade=True) == ({"alpha": "2.0"}, True)
    assert again("alpha", kept_for=None) == (old, True)
    index.add_wheel("epsilon", "1.0", requires=["beta>1"])
    assert again("alpha", "epsilon") == ({"alpha": "1.0", "beta": "2.0", "epsilon": "1.0"}, True)
    with pytest.raises(VerificationError, match=r"no file of alpha 1\.0 has a hash"):
        again(f"alpha --hash=sha256:{'0' * 64}")
    with pytest.raises(ResolveError, match="zeta"):
        again("alpha", "zeta")


def test_picks_the_file_for_another_architecture(uv, index, request_for):
    for machine in ("x86_64", "aarch64", "s390x", "ppc64le"):
        index.add_wheel("alpha", "1.0", tag=f"cp313-cp313-manylinux_2_17_{machine}")
    index.add_wheel("alpha", "1.0", tag="cp313-cp313-manylinux_2_39_riscv64")
    for architecture in ("amd64", "arm64", "s390x", "ppc64le", "riscv64"):
        platform = Platform(architecture=architecture)
        target = Target(python="3.13.5", platform=platform, glibc=(2, 41))
        (alpha,) = resolve(uv, request_for("alpha", target=target))
        assert alpha.file.endswith(f"_{platform.machine}.whl")


def test_prefers_a_wheel_over_a_source(uv, index, request_for):
    index.add("alpha", "alpha-1.0.tar.gz", sdist("alpha", "1.0", {}, kind="2.2"))
    index.add_wheel("alpha", "1.0")
    assert resolve(uv, request_for("alpha"))[0].file.endswith(".whl")


def test_markers_are_those_of_the_image(uv, index, request_for):
    index.add_wheel(
        "alpha", "1.0", requires=["beta; python_version >= '3.13'", "gamma; sys_platform == 'win32'"]
    )
    index.add_wheel("beta", "1.0")
    assert set(versions(resolve(uv, request_for("alpha")))) == {"alpha", "beta"}


def test_keeps_versions_that_still_fit(uv, index, request_for):
    index.add_wheel("alpha", "1.0")
    index.add_wheel("beta", "1.0")
    kept = resolve(uv, request_for("alpha", "beta"))
    for name in ("alpha", "beta"):
        index.add_wheel(name, "2.0")
    later = request_for("alpha", "beta", keep=kept, upgrade=["Beta"])
    assert versions(resolve(uv, request_for("alpha", "beta", keep=kept))) == {"alpha": "1.0", "beta": "1.0"}
    assert versions(resolve(uv, later)) == {"alpha": "1.0", "beta": "2.0"}
    assert versions(resolve(uv, request_for("alpha>1", "beta", keep=kept))) == {"alpha": "2.0", "beta": "1.0"}
    everything = request_for("alpha", "beta", keep=kept, upgrade=True)
    assert versions(resolve(uv, everything)) == {"alpha": "2.0", "beta": "2.0"}


def test_lets_go_of_a_kept_version_that_another_package_excludes(uv, index, request_for):
    index.add_wheel("alpha", "1.0")
    kept = resolve(uv, request_for("alpha"))
    index.add_wheel("alpha", "2.0")
    index.add_wheel("beta", "1.0", requires=["alpha>=2"])
    assert versions(resolve(uv, request_for("alpha", "beta", keep=kept))) == {"alpha": "2.0", "beta": "1.0"}


def test_lets_go_of_no_more_than_is_in_the_way(uv, index, request_for):
    for name in ("alpha", "gamma"):
        index.add_wheel(name, "1.0")
    kept = resolve(uv, request_for("alpha", "gamma"))
    for name in ("alpha", "gamma"):
        index.add_wheel(name, "2.0")
    index.add_wheel("beta", "1.0", requires=["alpha>=2"])
    found = versions(resolve(uv, request_for("alpha", "beta", "gamma", keep=kept)))
    assert found == {"alpha": "2.0", "beta": "1.0", "gamma": "1.0"}


def test_keeps_a_version_that_a_requirement_for_others_excludes(uv, index, request_for):
    index.add_wheel("alpha", "2.0")
    lines = ('alpha<2; python_version < "3.9"', 'alpha>=2; python_version >= "3.9"', "alpha<9; os_name=='nt'")
    kept = resolve(uv, request_for(*lines))
    index.add_wheel("alpha", "3.0")
    index.add_wheel("beta", "1.0")
    found = versions(resolve(uv, request_for(*lines, "beta", keep=kept)))
    assert found == {"alpha": "2.0", "beta": "1.0"}


def test_prefers_what_it_does_not_pin(uv, index, request_for):
    """Two packages are named as in the way, and one of them turns out not to be."""
    for name in ("alpha", "gamma"):
        index.add_wheel(name, "1.0")
    kept = resolve(uv, request_for("alpha", "gamma"))
    for name in ("alpha", "gamma"):
        index.add_wheel(name, "2.0")
    request = request_for("alpha", "gamma", keep=kept)
    status, _, found = _compile(uv, request, None, pins=["alpha==1.0"])
    assert status == 0
    assert {entry.name: entry.version for entry in found} == {"alpha": "1.0", "gamma": "1.0"}


def test_names_of_debian_packages_are_not_uvs(uv, index, request_for):
    index.add_wheel("alpha", "1.0")
    kept = resolve(uv, request_for("alpha"))
    index.add_wheel("alpha", "2.0")
    for names, version in ((("g++", "libstdc++6", "--help"), "1.0"), (("g++", "alpha"), "2.0")):
        assert versions(resolve(uv, request_for("alpha", keep=kept, upgrade=names))) == {"alpha": version}


def test_keeps_versions_of_a_second_index(uv, index, request_for, tmp_path):
    """The first index has the kept version too, but for another Python."""
    index.add_wheel("alpha", "0.9")
    index.add_wheel("alpha", "1.0")
    page = tmp_path / "simple/alpha"
    page.mkdir(parents=True)
    name = "alpha-1.0-cp39-cp39-manylinux_2_17_x86_64.whl"
    (page / name).write_bytes(wheel("alpha", "1.0", tag="cp39-cp39-manylinux_2_17_x86_64"))
    (page / "index.html").write_text(f'<a href="{name}">{name}</a>')
    both = replace(uv, indexes=replace(uv.indexes, extra=((tmp_path / "simple").as_uri(),)))
    kept = resolve(both, request_for("alpha"))
    assert versions(kept) == {"alpha": "1.0"}
    index.add_wheel("beta", "1.0")
    assert versions(resolve(both, request_for("alpha", "beta", keep=kept))) == {"alpha": "1.0", "beta": "1.0"}


def test_an_unknown_dependency_names_who_wants_it(uv, index, request_for):
    index.add_wheel("alpha", "1.0", requires=["missing-thing"])
    with pytest.raises(ResolveError, match="'missing-thing', which alpha depends on, is on the index"):
        resolve(uv, request_for("alpha"))


def test_what_is_no_requirement(uv, request_for):
    with pytest.raises(SpecError, match="'=oops' is no requirement"):
        resolve(uv, request_for("=oops"))


def test_keeps_the_very_file_though_a_better_one_has_appeared(uv, index, request_for):
    index.add_wheel("alpha", "1.0")
    kept = resolve(uv, request_for("alpha"))
    index.add_wheel("alpha", "1.0", tag="cp313-cp313-manylinux_2_17_x86_64")
    assert resolve(uv, request_for("alpha", keep=kept)) == kept


def test_as_of_leaves_out_what_came_later(uv, index, request_for):
    index.add_wheel("alpha", "1.0")
    assert versions(resolve(uv, request_for("alpha", as_of="2024-06-01T00:00:00Z"))) == {"alpha": "1.0"}
    with pytest.raises(ResolveError):
        resolve(uv, request_for("alpha", as_of="2024-04-01T00:00:00Z"))


def test_honours_hashes_of_requirements(uv, index, request_for):
    digest = index.add_wheel("alpha", "1.0")
    index.add_wheel("alpha", "1.0", tag="cp313-cp313-manylinux_2_17_x86_64")
    (alpha,) = resolve(uv, request_for(f"alpha==1.0 --hash=sha256:{digest}"))
    assert alpha.sha256 == digest
    with pytest.raises(VerificationError, match=r"no file of alpha 1\.0 has a hash"):
        resolve(uv, request_for(f"alpha==1.0 --hash=sha256:{'0' * 64}"))


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("pandsa", "pandas"), ("scikitlearn", "scikit-learn"), ("alhpa-tools", "alpha-tools")],
)
def test_unknown_package_offers_near_names(uv, index, request_for, asked, meant):
    index.add_wheel("alpha-tools", "1.0")
    with pytest.raises(ResolveError, match=f"no package named '{asked}'") as caught:
        resolve(uv, request_for(asked, "alpha-tools"))
    assert meant in caught.value.hint


def test_conflict_is_explained_shortly(uv, index, request_for):
    index.add_wheel("alpha", "1.0")
    index.add_wheel("beta", "1.0", requires=["alpha<1"])
    with pytest.raises(ResolveError) as caught:
        resolve(uv, request_for("alpha", "beta"))
    assert "beta" in caught.value.message
    assert "alpha<1" in caught.value.message
    assert "http" not in caught.value.message
    assert len(caught.value.message.splitlines()) <= 4


def test_no_file_for_the_platform(uv, index, request_for):
    index.add_wheel("alpha", "1.0", tag="cp39-cp39-win_amd64")
    with pytest.raises(ResolveError, match=r"alpha 1\.0 has no wheels") as caught:
        resolve(uv, request_for("alpha"))
    assert "no source" in caught.value.message
    assert caught.value.message.endswith("Python ABI tag cp39")


def test_no_build_runs_on_the_host(uv, index, request_for, tmp_path):
    trace = tmp_path / "trace"
    setup = TELLTALE.format(path=str(trace))
    backend = f"open({str(trace)!r}, 'w').close()\n"
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    index.add("alpha", "alpha-1.0.tar.gz", sdist("alpha", "1.0", {"setup.py": setup}))
    index.add_wheel("setuptools", "80.0")
    files = {"backend.py": backend, "pyproject.toml": project}
    index.add("beta", "beta-1.0.tar.gz", sdist("beta", "1.0", files))
    for name in ("alpha", "beta"):
        with pytest.raises(ResolveError, match="source only"):
            resolve(uv, request_for(name))
    assert not trace.exists()


def test_static_metadata_of_a_source_needs_no_build(uv, index, request_for):
    index.add("alpha", "alpha-1.0.tar.gz", sdist("alpha", "1.0", {"setup.py": "1/0"}, kind="2.2"))
    assert resolve(uv, request_for("alpha"))[0].file == "alpha-1.0.tar.gz"


def test_a_failing_index_is_named_with_its_reason(uv, index, request_for):
    index.status = 503
    with pytest.raises(FetchError, match=r"127\.0\.0\.1:\d+/simple/alpha/: it answers 503 .*; 2 attempts"):
        resolve(uv, request_for("alpha"))


def test_a_hanging_index_is_given_up(uv, index, request_for):
    index.delay = 30
    begin = time.monotonic()
    with pytest.raises(FetchError, match="it does not answer in time"):
        resolve(uv, request_for("alpha"))
    assert time.monotonic() - begin < 15


@pytest.mark.parametrize("how", ["netrc", "name"])
def test_a_size_that_is_told_to_users_alone(index, request_for, uv, tmp_path, how):
    index.add("alpha", "alpha-1.0-py3-none-any.whl", wheel("alpha", "1.0"), size=None)
    index.user = "me:secret"
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    more = {"NETRC": str(tmp_path / "netrc")}
    default = index.url
    if how == "name":
        more = {"UV_INDEX_CORP_USERNAME": "me", "UV_INDEX_CORP_PASSWORD": "secret"}
        default = f"corp={index.url}"
    trusted = replace(
        uv, environment={**uv.environment, **more}, indexes=replace(uv.indexes, default=default)
    )
    (alpha,) = resolve(trusted, request_for("alpha"))
    assert alpha.size == len(wheel("alpha", "1.0"))


def test_a_size_is_asked_for_without_the_file(index, request_for, uv, monkeypatch):
    content = wheel("alpha", "1.0")
    index.add("alpha", "alpha-1.0-py3-none-any.whl", content, size=None)
    monkeypatch.setattr("wardian.system.http._LARGEST_BODY", len(content) - 1)
    (alpha,) = resolve(uv, request_for("alpha"))
    assert alpha.size == len(content)


@pytest.mark.parametrize(("status", "count", "kind"), [(404, 1, MissingError), (503, 3, FetchError)])
def test_a_size_that_cannot_be_learnt(index, uv, status, count, kind):
    index.status = status
    file = pylock.File(
        name="alpha-1.0.tar.gz", address=f"{index.address}/files/x", size=None, sha256="0" * 64
    )
    with pytest.raises(kind) as caught:
        _size(uv, file)
    assert type(caught.value) is kind
    assert index.requests == ["/files/x"] * count


def test_no_password_in_a_message_or_lock(store, index, environment, request_for, uv):
    index.add("alpha", "alpha-1.0-py3-none-any.whl", wheel("alpha", "1.0"), size=None)
    index.user = "me:secret"
    secret = index.url.replace("://", "://me:secret@")
    trusted = replace(uv, indexes=replace(uv.indexes, default=secret))
    assert "secret" not in repr(resolve(trusted, request_for("alpha")))
    index.status = 503
    with pytest.raises(FetchError) as caught:
        resolve(trusted, request_for("beta"))
    assert "secret" not in str(caught.value)
    index.status = 200
    with pytest.raises(FetchError, match="user name and password"):
        resolve(uv, request_for("gamma"))


def test_offline_uses_what_was_seen_before(uv, index, request_for):
    index.add_wheel("alpha", "1.0")
    found = resolve(uv, request_for("alpha"))
    index.status = 503
    assert resolve(uv, request_for("alpha", offline=True)) == found
    with pytest.raises(FetchError, match="beta is not in the cache") as caught:
        resolve(uv, request_for("beta", offline=True))
    assert caught.value.hint == "run it once without --offline"


@pytest.mark.network
def test_real_index(real_uv, request_for):
    found = versions(resolve(real_uv, request_for("pandas", "scikit-learn")))
    assert {"numpy", "scipy", "pandas", "scikit-learn", "joblib", "python-dateutil"} <= set(found)


@pytest.mark.network
def test_real_index_keeps_every_version(real_uv, request_for):
    """Several indexes may list one version, each with files for other Pythons."""
    before = resolve(real_uv, request_for("pyyaml", "numpy", "cffi"))
    after = resolve(real_uv, request_for("pyyaml", "numpy", "cffi", "idna", keep=before))
    assert set(before) <= set(after)


@pytest.mark.network
def test_real_index_knows_that_sklearn_is_no_name(real_uv, request_for):
    with pytest.raises(ResolveError) as caught:
        resolve(real_uv, request_for("sklearn"))
    assert caught.value.hint == "did you mean scikit-learn?"
