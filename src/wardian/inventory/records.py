"""What an image's own records say of installed packages: dpkg's, apk's and Python's. Text in, values out.

The texts are hostile: names are cut, and paths are handed on as they stand, to be looked up and never opened.
"""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wardian.inventory.model import Ecosystem, Package

Texts = Mapping[str, str]  # by path

DPKG = "var/lib/dpkg"
_APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_LONGEST = 200  # characters of a name or a version


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One package: the `paths` that it says are its own, relative to the root or with a leading slash.

    `home` is the folder of its metadata, or the beginning of its names in dpkg's: all in there is its own.
    `origin` is the path that tells of it.
    """

    package: Package
    paths: tuple[str, ...]
    home: str = ""
    origin: str = ""


def debian(texts: Texts) -> Iterator[Installed]:
    """What dpkg has installed (Debian policy, 7; dpkg-query(1)), or a distroless image's `status.d` has."""
    seen = set()  # each list is read once, however many stanzas name it
    for stanza in _stanzas(texts):
        fields = _fields(stanza)
        name, status = fields.get("Package", ""), fields.get("Status", "installed")
        if not name or status.split()[-1:] != ["installed"]:
            continue
        package = _package("debian", name, fields.get("Version", ""))
        is_first = name not in seen
        for stem in (name, f"{name}:{fields.get('Architecture', '')}"):
            if stem in seen:
                continue
            seen.add(stem)
            paths = texts.get(f"{DPKG}/info/{stem}.list", "").splitlines()
            yield Installed(package=package, paths=tuple(paths), home=f"{DPKG}/info/{stem}")
        if not is_first:
            continue
        sums = texts.get(f"{DPKG}/status.d/{name}.md5sums", "").splitlines()
        paths = [line.partition("  ")[2] for line in sums]
        own = f"{DPKG}/status.d/{name}"
        yield Installed(package=package, paths=(*paths, own, f"{own}.md5sums"))


def alpine(texts: Texts) -> Iterator[Installed]:
    """What apk's database has: `P:` and `V:` name a package, `F:` is a folder, `R:` a file in it."""
    for stanza in "\n\n".join(texts.get(path, "") for path in _APK).split("\n\n"):
        name = version = folder = ""
        paths = []
        for line in stanza.splitlines():
            key, _, value = line.partition(":")
            if key == "P":
                name = value
            elif key == "V":
                version = value
            elif key == "F":
                folder = value
            elif key == "R":
                paths.append(posixpath.join("/", folder, value))
        if name:
            yield Installed(package=_package("alpine", name, version), paths=tuple(paths))


def python(texts: Texts) -> Iterator[Installed]:
    """The distributions (Recording installed projects): `.dist-info`, and `.egg-info` of older ones."""
    for path, text in sorted(texts.items()):
        folder, _, name = path.rpartition("/")
        if name not in ("METADATA", "PKG-INFO") and not name.endswith(".egg-info"):
            continue
        head = text.partition("\n\n")[0]
        fields = _fields(head)
        normalised = re.sub(r"[-_.]+", "-", fields.get("Name", "")).lower()  # PEP 503
        if not normalised:
            continue
        package = _package("python", normalised, fields.get("Version", ""))
        if name.endswith(".egg-info"):
            yield Installed(package=package, paths=(path,), origin=path)
            continue
        listed = _record(texts.get(f"{folder}/RECORD", ""))
        site = posixpath.dirname(folder)
        paths = tuple(posixpath.join(site, it) for it in listed)
        yield Installed(package=package, paths=paths, home=folder, origin=path)


def home(path: str) -> str:
    """What `Installed.home` is for files of metadata; empty for all others."""
    if path.startswith(f"{DPKG}/info/"):
        return path.rpartition(".")[0]
    found = re.match(r".*?\.(?:dist|egg)-info(?=/)", path, re.DOTALL)
    return found[0] if found else ""


def _stanzas(texts: Texts) -> Iterator[str]:
    yield from re.split(r"\n[ \t]*\n", texts.get(f"{DPKG}/status", ""))
    for path in sorted(texts):
        if path.startswith(f"{DPKG}/status.d/") and not path.endswith(".md5sums"):
            yield texts[path]


def _fields(stanza: str) -> dict[str, str]:
    """What is asked of a stanza; of fields that come twice the last."""
    found = re.findall(r"^(Package|Version|Architecture|Status|Name):(.*)$", stanza, re.M)
    return {name: value.strip(" \t") for name, value in found}


def _record(text: str) -> Iterator[str]:
    try:
        for row in csv.reader(text.splitlines()):
            if row:
                yield row[0]
    except csv.Error:  # a field of more than 128 KiB; what came before holds
        return


def _package(ecosystem: Ecosystem, name: str, version: str) -> Package:
    return Package(ecosystem=ecosystem, name=name[:_LONGEST], version=version[:_LONGEST])
