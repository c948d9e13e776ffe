from __future__ import annotations

import pytest

from wardian.ecosystems.python.errors import explain, near_names, refused_build, shorten
from wardian.errors import FetchError, HostError, ResolveError, VerificationError

# What uv 0.13 told, shortened where it repeats itself.
CONFLICT = """Using CPython 3.11.7 interpreter at: /usr/bin/python3
error: No solution found when resolving dependencies
  cause: Because all versions of eps depend on alpha<1 and only alpha==1.0 is available, we can conclude that all versions of eps cannot be used.
         And because you require eps, we can conclude that your requirements are unsatisfiable.

hint: something longer
"""  # noqa: E501
LOOKUP = """error: Request failed after 3 retries in 9.1s
  cause: Failed to fetch: https://me:secret@index.test/simple/alpha/
  cause: error sending request for url (https://me:secret@index.test/simple/alpha/)
  cause: client error (Connect)
  cause: dns error
  cause: failed to lookup address information: Name or service not known
"""
FULL = "error: Failed to install: alpha\n  cause: failed to copy: No space left on device (os error 28)\n"
MISMATCH = f"""error: Failed to download `liar==1.0`
  cause: Hash mismatch for `liar==1.0`

         Expected:
           sha256:{"0" * 64}

         Computed:
           sha256:{"1" * 64}
"""


def test_a_conflict_keeps_its_reason_and_loses_the_rest():
    assert shorten(CONFLICT) == (
        "Because all versions of eps depend on alpha<1 and only alpha==1.0 is available, "
        "we can conclude that all versions of eps cannot be used.\nAnd because you require eps"
    )
    error = explain(CONFLICT, doing="cannot resolve")
    assert isinstance(error, ResolveError)
    assert error.message.startswith("cannot resolve: the requirements do not fit together:\n  Because")


def test_long_lists_of_versions_become_their_name():
    told = """error: No solution found when resolving dependencies
  cause: Because all of:
             alpha>=1.0,<=1.3
             alpha>=1.5,<=2.0
         depend on beta{python_full_version < '3.14'}>=2.0 and you require beta<1, so all of:
             alpha>=1.0,<=1.3
             alpha>=1.5,<=2.0
         cannot be used.
"""
    assert shorten(told) == (
        "Because several versions of alpha depend on beta>=2.0 and you require beta<1, so "
        "several versions of alpha cannot be used."
    )


def test_a_name_that_cannot_be_looked_up():
    error = explain(LOOKUP, doing="cannot resolve")
    assert isinstance(error, FetchError)
    reason = "its name cannot be looked up; 4 attempts"
    assert error.message == f"cannot resolve: cannot fetch https://index.test/simple/alpha/: {reason}"


def test_a_full_disk():
    error = explain(FULL, doing="cannot install")
    assert isinstance(error, HostError)
    assert error.message == "cannot install: the disk is full"


def test_a_hash_that_differs():
    error = explain(MISMATCH, doing="cannot fetch")
    assert isinstance(error, VerificationError)
    assert f"its SHA-256 is {'1' * 64}, not {'0' * 64}" in error.message


@pytest.mark.parametrize(
    "told",
    [
        "error: Failed to build `alpha==1.0`\n",
        "error: Failed to download and build `alpha==1.0`\n  cause: x\n",
    ],
)
def test_a_build_that_was_refused(told):
    refused = refused_build(told)
    assert refused is not None
    assert refused.what == "alpha==1.0"
    assert refused_build(CONFLICT) is None


@pytest.mark.parametrize(
    ("name", "near"),
    [("pandsa", ["pandas"]), ("Sci_Kit.learn", ["scikit-learn"]), ("numpy", []), ("zzzzzz", [])],
)
def test_near_names(name, near):
    assert near_names(name)[:1] == near


def test_near_names_among_the_projects_own():
    assert near_names("our-tolls", ["our-tools"]) == ["our-tools"]
