"""The small grammars inside a declaration: requirements, versions, package names, paths, variables.

Each `check_…` returns the text as it is kept and raises ValueError with the reason. Nothing here knows
files or positions, and nothing is resolved.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# The requirements that nearly every file holds: a name, extras and plain releases. For these the
# packaging library, 20 ms of imports, is not loaded. Anything else goes through it.
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_RELEASE = r"(?:==|!=)\s*\d+(?:\.\d+)*(?:\.\*)?|(?:>=|<=|<|>)\s*\d+(?:\.\d+)*|~=\s*\d+(?:\.\d+)+"
_CLAUSES = rf"(?:{_RELEASE})(?:\s*,\s*(?:{_RELEASE}))*"
_PLAIN = re.compile(
    rf"(?P<name>{_NAME})\s*(?:\[\s*(?P<extras>{_NAME}(?:\s*,\s*{_NAME})*)?\s*\])?\s*(?P<clauses>{_CLAUSES})?",
    re.ASCII,
)
_SPECIFIER = re.compile(_CLAUSES, re.ASCII)
_BARE_VERSION = re.compile(r"\d{1,4}(?:\.\d{1,4}){0,2}", re.ASCII)

_DEBIAN_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+", re.ASCII)
_DEBIAN_VERSION = re.compile(r"(?:\d+:)?\d[A-Za-z0-9.+~-]*", re.ASCII)

_PROJECT_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_TASK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*", re.ASCII)

# A longer text is no name, version or path that anything could use; the bound keeps every regular
# expression here, and packaging's, far from quadratic cost.
_LONGEST = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A requirement (PEP 508) taken apart: `name` normalized (PEP 503), `canonical` the whole of it.

    `marker` is empty where it has none.
    """

    name: str
    canonical: str
    marker: str = ""


def normalize_name(name: str) -> str:
    """Return the normalized form of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_requirement(text: str) -> Requirement:
    """Read a requirement (PEP 508) that names an index's package; raises ValueError with the reason."""
    text = text.strip()
    if len(text) > _LONGEST:
        raise ValueError("is too long for a requirement")
    if "\n" in text or "\r" in text:
        raise ValueError("spans lines")
    if plain := _PLAIN.fullmatch(text):
        name = normalize_name(plain["name"])
        extras = sorted({normalize_name(extra) for extra in re.findall(_NAME, plain["extras"] or "")})
        clauses = ",".join(sorted(re.sub(r"\s", "", plain["clauses"] or "").split(",")))
        return Requirement(name=name, canonical=f"{name}{_brackets(extras)}{clauses}")
    return _parse_with_packaging(text)


def _brackets(extras: list[str]) -> str:
    return f"[{','.join(extras)}]" if extras else ""


def _parse_with_packaging(text: str) -> Requirement:
    from packaging import requirements

    if "://" in text or re.match(r"(?:\.{0,2}/|file:)", text):
        raise ValueError("is an address or a path, which has no hash in an index and cannot be locked")
    if re.match(rf"{_NAME}\s*=[^=]", text):
        raise ValueError("has a single =, where == is meant")
    try:
        parsed = requirements.Requirement(text)
    except (ValueError, RecursionError) as error:
        reason = str(error).split("\n", 1)[0]
        raise ValueError(
            f"is no requirement as PEP 508 writes it: {reason[:200] or 'nested too deep'}"
        ) from error
    if parsed.url:
        raise ValueError("is an address or a path, which has no hash in an index and cannot be locked")
    name = normalize_name(parsed.name)
    extras = sorted({normalize_name(extra) for extra in parsed.extras})
    marker = str(parsed.marker or "")
    canonical = f"{name}{_brackets(extras)}{parsed.specifier}{f'; {marker}' if marker else ''}"
    return Requirement(name=name, canonical=canonical, marker=marker)


def check_requirement(text: str) -> str:
    """Accept a requirement (PEP 508)."""
    parse_requirement(text)
    return text.strip()


def python_specifier(text: str) -> str:
    """Turn `3.12` into `==3.12.*`, `3.12.4` into `==3.12.4`, and check a specifier (PEP 440).

    An empty text stays empty: any version.
    """
    text = text.strip()
    if _BARE_VERSION.fullmatch(text):
        return f"=={text}" if text.count(".") == 2 else f"=={text}.*"
    if not text or _SPECIFIER.fullmatch(text):
        return re.sub(r"\s", "", text)
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return str(SpecifierSet(text[:_LONGEST]))
    except InvalidSpecifier as error:
        raise ValueError("is no version or version specifier") from error


def check_python_version(text: str) -> str:
    """Accept a Python version (`3.12`) or a specifier (`>=3.11`); not an empty text."""
    if not text.strip():
        raise ValueError("is empty")
    python_specifier(text)
    return text.strip()


def check_debian_package(text: str) -> str:
    """Accept a Debian package's name (policy 5.6.1), alone or with `=VERSION` (policy 5.6.12)."""
    name, equals, version = text.strip().partition("=")
    if ":" in name:
        raise ValueError("names an architecture, which `platforms` decides")
    if not _DEBIAN_NAME.fullmatch(name) or len(name) > 255:
        raise ValueError("is no Debian package name (small letters, digits, + - and ., at least two)")
    if equals and (not _DEBIAN_VERSION.fullmatch(version) or len(version) > 255):
        raise ValueError(f"has {version[:80]!r} for a version, which Debian does not allow")
    return text.strip()


def debian_name(text: str) -> str:
    """Return the name of `name` or `name=version`."""
    return text.partition("=")[0]


def check_name(text: str) -> str:
    """Accept a project's name: a path component of an OCI repository (distribution-spec, `name`)."""
    if len(text) > 128 or not _PROJECT_NAME.fullmatch(text):
        raise ValueError("is no name (small letters and digits, with single . _ or - between)")
    return text


def name_from(folder_name: str) -> str:
    """Make a project's name of a folder's: `Übung 1` gives `ubung-1`; `project` where nothing is left."""
    import unicodedata

    plain = unicodedata.normalize("NFKD", folder_name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:128].strip("-") or "project"


def check_variable(text: str) -> str:
    """Accept the name of an environment variable (POSIX.1-2024, chapter 8)."""
    if len(text) > 255 or not _VARIABLE.fullmatch(text):
        raise ValueError("is no variable name (letters, digits and _, not a digit first)")
    return text


def check_task(text: str) -> str:
    """Accept a task's name."""
    if len(text) > 128 or not _TASK.fullmatch(text):
        raise ValueError("is no task name (letters, digits, and . _ : - after the first)")
    return text


def check_relative_path(text: str) -> str:
    """Accept a path below the project folder."""
    if not text or text.startswith("/") or ".." in text.split("/"):
        raise ValueError("is no path inside the project folder")
    if len(text) > _LONGEST:
        raise ValueError("is too long for a path")
    return text


# What the runtime mounts itself: a mount over it would break the container or be hidden.
_RESERVED = ("/proc", "/sys", "/dev", "/opt/venv", "/opt/python")


def check_mount_target(text: str) -> str:
    """Accept an absolute path in the container; returns it without doubled or trailing slashes."""
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not text.startswith("/") or ".." in parts or len(text) > _LONGEST:
        raise ValueError("is no absolute path in the container")
    path = "/" + "/".join(parts)
    if path in ("/", "/work") or any(f"{path}/".startswith(f"{reserved}/") for reserved in _RESERVED):
        raise ValueError("is a path that wardian mounts itself")
    return path


def check_mount_source(text: str) -> str:
    """Accept a path on the host with an optional `:ro`."""
    if not text.removesuffix(":ro") or len(text) > _LONGEST:
        raise ValueError("is no path on the host")
    return text


def check_filled(text: str) -> str:
    """Accept any text that is not blank."""
    if not text.strip():
        raise ValueError("is empty")
    return text
