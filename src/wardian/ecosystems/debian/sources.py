"""The host's own apt sources that are Debian's (sources.list(5)). Read, never written, never trusted:
what comes from these addresses counts only with a pinned signature.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_CODENAMES = ("bullseye", "bookworm", "trixie", "forky", "duke", "sid")
_CLASSES = ("oldoldstable", "oldstable", "stable", "testing", "unstable")
_SUITE = re.compile(rf"({'|'.join(_CODENAMES + _CLASSES)})(-updates|-security|/updates|-backports)?/?")
_ONE_LINE = re.compile(
    r"deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>.*)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A base address of one of Debian's two archives."""

    uri: str
    is_security: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    uris: Sequence[str]
    suites: Sequence[str]
    components: Sequence[str]
    signed_by: str


def read_sources(root: Path) -> tuple[Source, ...]:
    """Debian's sources below `root`/etc/apt, in apt's order; those that cannot be read are passed over."""
    folder = root / "etc/apt"
    found: dict[Source, None] = {}
    parts = sorted((folder / "sources.list.d").glob("*.*")) if (folder / "sources.list.d").is_dir() else []
    for path in (folder / "sources.list", *parts):
        for entry in _entries(path):
            for source in _sources(entry, root):
                found.setdefault(source)
    return tuple(found)


def _entries(path: Path) -> Iterator[_Entry]:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return
    if path.suffix == ".list":
        yield from filter(None, map(_parse_line, text.splitlines()))
    elif path.suffix == ".sources":
        yield from filter(None, map(_parse_paragraph, re.split(r"\n[ \t]*\n", text)))


def _parse_line(line: str) -> _Entry | None:
    found = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
    if found is None:
        return None
    options = dict(item.partition("=")[::2] for item in (found["options"] or "").split())
    return _Entry(
        uris=[found["uri"]],
        suites=[found["suite"]],
        components=found["components"].split(),
        signed_by=options.get("signed-by", ""),
    )


def _parse_paragraph(text: str) -> _Entry | None:
    fields = _fields(text)
    if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in (
        "no",
        "false",
    ):
        return None
    return _Entry(
        uris=fields.get("uris", "").split(),
        suites=fields.get("suites", "").split(),
        components=fields.get("components", "").split(),
        signed_by=fields.get("signed-by", ""),
    )


def _fields(text: str) -> Mapping[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _sources(entry: _Entry, root: Path) -> Iterator[Source]:
    if "main" not in entry.components or not _is_debian_key(entry.signed_by):
        return
    for uri in entry.uris:
        for address in _addresses(uri, root):
            for suite in entry.suites:
                found = _SUITE.fullmatch(suite)
                if found and _is_debian_address(address):
                    security = found[2] in ("-security", "/updates")
                    yield Source(uri=address.rstrip("/") + "/", is_security=security)


def _is_debian_key(signed_by: str) -> bool:
    """Third parties name their own key; Debian's entries name Debian's keyring, or none."""
    return not signed_by or "debian-archive" in signed_by


def _is_debian_address(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme in ("http", "https", "file") and "debian" in f"{parts.hostname}{parts.path}".lower()


def _addresses(uri: str, root: Path) -> Iterator[str]:
    """The addresses that a source stands for: itself, or those in a mirror list (apt-transport-mirror(1))."""
    scheme, _, rest = uri.partition(":")
    if scheme == "copy":
        yield f"file:{rest}"
    elif scheme == "mirror+file":
        try:
            lines = (root / urlsplit(uri).path.lstrip("/")).read_text().splitlines()
        except OSError:
            return
        yield from (line.split()[0] for line in lines if line.strip() and not line.startswith("#"))
    else:
        yield uri
