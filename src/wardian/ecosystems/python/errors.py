"""Turns what uv tells when it fails into one short error of ours. It runs nothing.

uv 0.13 writes `error: …`, lines of `  cause: …` with indented continuation, then `hint: …`. Addresses
lose their credentials, and explanations lose the addresses of files altogether.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.ecosystems.python.indexes import without_credentials
from wardian.errors import BuildError, FetchError, HostError, ResolveError, UserError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_ADDRESS = re.compile(r"(?:https?|file)://[^\s`)'\"]+")
_ABSENT = re.compile(
    r"[Bb]ecause (?P<name>\S+) was not found in the (?:package registry|provided package locations)"
)
_UNCACHED = re.compile(r"was not found in the cache|[Nn]etwork connectivity is disabled|network was disabled")
_UNFIT = re.compile(
    r"[Bb]ecause (?P<what>\S+) has no (?:wheels|source distribution|usable wheels)[^,]*?"
    r"(?: and only (?P<only>\S+) is available)?(?:,|$)"
)
_MISMATCH = re.compile(r"[Hh]ash mismatch for `(?P<what>[^`]+)`")
_BROKEN = re.compile(r"Failed to download `(?P<what>[^`]+)`\n\s*cause: Failed to extract")
_BUILD = re.compile(r"Failed to (?:download and )?build(?: [\w ]+)?:? `(?P<what>[^`\n]+)`$", re.M)
_CONCLUSION = re.compile(
    r",? we can conclude that (?:your requirements|the requirements) are unsatisfiable\.?"
)
_MARKER = re.compile(r"\{[^}\n]*\}")
_LISTED = re.compile(r"all of:\n(?P<versions>(?:[ \t]+[\w.-]+[<>=!~][^ \n]*(?:\n|$))+)[ \t]*")
_SHORT = 3  # lines of an explanation that has one cause
_LONGEST = 12  # lines of an explanation: what a person reads before scrolling

# What projects most often ask for: near names are sought here and among the project's own words.
_COMMON = (
    "altair", "beautifulsoup4", "bokeh", "boto3", "catboost", "dask", "duckdb", "fastapi", "geopandas",
    "ipykernel", "ipywidgets", "jax", "joblib", "jupyterlab", "keras", "lightgbm", "lightning", "lxml",
    "matplotlib", "mlflow", "networkx", "nltk", "numba", "numpy", "opencv-python-headless", "openpyxl",
    "optuna", "pandas", "pillow", "plotly", "polars", "psycopg", "pyarrow", "pydantic", "pymc", "pytest",
    "python-dateutil", "pyyaml", "requests", "rich", "scikit-image", "scikit-learn", "scipy", "seaborn",
    "shap", "shapely", "spacy", "sqlalchemy", "statsmodels", "streamlit", "sympy", "tensorflow", "torch",
    "torchvision", "tqdm", "transformers", "umap-learn", "xarray", "xgboost",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedBuild:
    """uv cannot go on without building `what`, which only the sandbox may do."""

    what: str


def explain(told: str, *, doing: str, known: Iterable[str] = (), offline: bool = False) -> UserError:
    """The error for what uv told. `doing` begins its message; `known` are names the project uses."""
    told = without_credentials(_COLOURS.sub("", told)).strip()
    if mismatch := _MISMATCH.search(told):
        return _mismatched(mismatch["what"], told)
    if "No space left on device" in told or "Disk quota exceeded" in told:
        return HostError(f"{doing}: the disk is full", hint="free some space, for example by `wardian prune`")
    if offline and _UNCACHED.search(told):
        return FetchError(f"{doing}: {_uncached(told)}", hint="run it once without --offline")
    if broken := _BROKEN.search(told):
        return BuildError(
            f"{doing}: {broken['what'].replace('==', ' ')} is no wheel that can be unpacked",
            hint="ask for another version of it",
        )
    return _unreachable(told, doing) or _unresolved(told, doing, known)


def refused_build(told: str) -> RefusedBuild | None:
    """Whether uv stopped because it would have had to run a package's own code."""
    found = _BUILD.search(_COLOURS.sub("", told))
    return RefusedBuild(what=found["what"]) if found else None


def _mismatched(what: str, told: str) -> VerificationError:
    digests = re.findall(r"sha256:([0-9a-f]{64})", told)
    detail = f": its SHA-256 is {digests[-1]}, not {digests[0]}" if len(digests) > 1 else ""
    return VerificationError(
        f"the index's file for {what} is not the one that is locked{detail}",
        hint="if the index was changed on purpose, lock anew with `wardian lock --upgrade NAME`",
    )


def _uncached(told: str) -> str:
    found = re.search(r"[Bb]ecause (\S+) was not found in the cache", told)
    return f"{found[1]} is not in the cache" if found else "what is needed is not in the cache"


def _unreachable(told: str, doing: str) -> FetchError | None:
    if "401 Unauthorized" in told or "403 Forbidden" in told:
        return FetchError(
            f"{doing}: {_first_address(told)} wants a user name and password, and got no right ones",
            hint="put them into ~/.netrc or into the index's address in your pip or uv configuration",
        )
    if not re.search(r"Failed to (fetch|download)|error sending request|Could not connect|HTTP status", told):
        return None
    reason, hint = _reason(told)
    tries = re.search(r"after (\d+) retr", told)
    after = f"; {int(tries[1]) + 1} attempts" if tries else ""
    return FetchError(f"{doing}: cannot fetch {_first_address(told)}: {reason}{after}", hint=hint)


def _first_address(told: str) -> str:
    found = _ADDRESS.search(told)
    return found[0].rstrip(".,:") if found else "the package index"


def _reason(told: str) -> tuple[str, str]:
    network = "check the network, or configure another index"
    if re.search(r"certificate|UnknownIssuer|self.signed", told, re.I):
        return (
            "its certificate is not trusted",
            "set SSL_CERT_FILE to a PEM file with the certificates of your network's authority",
        )
    if found := re.search(r"HTTP status [^(]*\(([^)]+)\)", told):
        return f"it answers {found[1]}", "try again later, or configure another index"
    if re.search(r"dns error|lookup address", told):
        return "its name cannot be looked up", network
    if re.search(r"timed out|timeout", told, re.I):
        return "it does not answer in time", network
    causes = re.findall(r"cause: (.+)", told)
    return (_ADDRESS.sub("", causes[-1]).strip() if causes else "it fails"), network


def _unresolved(told: str, doing: str, known: Iterable[str]) -> ResolveError:
    if absent := _ABSENT.search(told):
        return _absent(absent["name"], told, known)
    unfit = _UNFIT.search(told)
    if unfit and len(shorten(told).splitlines()) <= _SHORT:
        return _unfit(unfit["what"], told)
    if "No solution found" in told or "unsatisfiable" in told:
        return ResolveError(
            f"{doing}: the requirements do not fit together:\n  " + shorten(told).replace("\n", "\n  "),
            hint="loosen one of the requirements named",
        )
    return ResolveError(f"{doing}: {shorten(told)}")


def _absent(name: str, told: str, known: Iterable[str]) -> ResolveError:
    plain = re.split(r"[=<>!~\[]", name)[0].strip("`'")
    near = near_names(plain, known)
    wanted_by = re.search(rf"(\S+?)(?:[=<>]\S+)? depends? on {re.escape(plain)}(?![\w.-])", told)
    by = f", which {wanted_by[1]} depends on," if wanted_by else ""
    meant = f"did you mean {' or '.join(near)}?"
    return ResolveError(
        f"no package named {plain!r}{by} is on the index",
        hint=meant if near else "check its spelling, and which index is configured",
    )


def _unfit(what: str, told: str) -> ResolveError:
    detail = re.search(rf"{re.escape(what)} (has no [^,(]*[^,( ])", told)
    listed = re.search(r"only found wheels .* following ([\w ]+?)s?: (.+)$", told, re.M)
    there = f"; its wheels have the {listed[1]} {listed[2].replace('`', '')}" if listed else ""
    return ResolveError(
        f"{what.replace('==', ' ')} {detail[1] if detail else 'has no file that fits'}"
        f", and no source to build one from{there}",
        hint="ask for another version of it, of Python, or leave the platform out",
    )


def near_names(name: str, known: Iterable[str] = ()) -> list[str]:
    """At most three package names that `name` may have been meant as, the likeliest first."""
    from wardian.project.mapping import find_providers

    wanted = re.sub(r"[-_.]+", "-", name).lower()
    providers = find_providers((name,))
    if found := [entry.distribution for entry in providers if not entry.guessed and entry.distribution]:
        return [distribution for distribution in found if distribution != wanted]
    candidates = dict.fromkeys([*known, *_COMMON])
    candidates.pop(wanted, None)
    return difflib.get_close_matches(wanted, candidates, n=3, cutoff=0.7)


def shorten(told: str) -> str:
    """uv's explanation without frame, addresses of files and the conclusion that it always draws.

    Where it is long, its beginning and its end stay: there stands what the user has asked for.
    """
    text = re.split(r"^hint: ", told, maxsplit=1, flags=re.M)[0]
    text = _MARKER.sub("", _ADDRESS.sub("…", _CONCLUSION.sub("", text)))
    text = _LISTED.sub(_several, text)
    lines = [
        re.sub(r"^\s*(?:error:|cause:|[\u00d7╰├│─▶ ]+)\s*", "", line).strip() for line in text.splitlines()
    ]
    kept = [line for line in lines if line and not _is_noise(line)]
    if len(kept) <= _LONGEST:
        return "\n".join(kept)
    return "\n".join([*kept[: _LONGEST // 2], "…", *kept[-_LONGEST // 2 :]])


def _several(found: re.Match[str]) -> str:
    names = dict.fromkeys(re.findall(r"^\s*([\w.-]+)[<>=!~]", found["versions"], re.M))
    return f"several versions of {' and '.join(names)} "


def _is_noise(line: str) -> bool:
    return line.startswith(("No solution found", "Using ", "Resolved ", "Prepared ", "warning:"))
