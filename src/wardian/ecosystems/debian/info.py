"""The files of a package in dpkg's info database (dpkg's doc/, `info/`), and what the status says of it.

A function of the package's control archive and of the paths that were unpacked: it reads and writes nothing.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wardian.ecosystems.debian import deb, paths
from wardian.ecosystems.debian.packages import parse_stanza
from wardian.ecosystems.debian.relations import parse_relations
from wardian.ecosystems.debian.versions import satisfies
from wardian.errors import VerificationError

Control = Mapping[str, deb.ControlFile]

FOLDER = "var/lib/dpkg/info"


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoFile:
    """A file below FOLDER: its name, permission bits and bytes."""

    name: str
    mode: int
    data: bytes


def control_field(stanza: str, name: str) -> str:
    """The first line of a field of a control file; empty where it has none."""
    found = re.search(rf"^{name}: *(.*)$", stanza, re.MULTILINE)
    return found[1].strip() if found else ""


def stanza_of(control: Control) -> str:
    """The control file's text."""
    return control["control"].data.decode().rstrip("\n") + "\n"


def conffiles(control: Control) -> list[str]:
    """The paths that the package declares as its configuration (Debian policy 10.7)."""
    lines = control["conffiles"].data.decode().split("\n") if "conffiles" in control else []
    return [line.strip() for line in lines if line.startswith("/")]


def replaces(control: Control, versions: Mapping[str, str]) -> bool:
    """Whether the package replaces files of one of those whose `versions` are given (Debian policy 7.6)."""
    stanza = parse_stanza(stanza_of(control))
    named = [each for alternatives in parse_relations(stanza.get("Replaces", "")) for each in alternatives]
    return any(
        each.name in versions and satisfies(versions[each.name], each.relation, each.version)
        for each in named
        if each.name != stanza.get("Package")
    )


def info_name(control: Control) -> str:
    """What the package's files in the database are named by: `zlib1g:amd64`.

    Raises VerificationError where the control file names no package.
    """
    stanza = stanza_of(control)
    package, architecture = control_field(stanza, "Package"), control_field(stanza, "Architecture")
    if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package) or not re.fullmatch(r"[a-z0-9-]+", architecture):
        raise VerificationError("the control file names no package")
    return f"{package}:{architecture}" if control_field(stanza, "Multi-Arch") == "same" else package


def info_files(control: Control, names: Sequence[str], *, docs: bool) -> list[InfoFile]:
    """The package's files below FOLDER; `names` are the paths that dpkg lists of it."""
    base = info_name(control)
    found = [InfoFile(name=f"{base}.list", mode=0o644, data=_lines(names))]
    for name, file in control.items():
        if name != "control" and re.fullmatch(r"[a-z0-9.-]+", name):
            data = _without_excluded(file.data, docs) if name == "md5sums" else file.data
            found.append(InfoFile(name=f"{base}.{name}", mode=stat.S_IMODE(file.mode), data=data))
    return found


def unpacked_stanza(control: Control) -> str:
    """The package's status (dpkg's doc/) once it is unpacked, and not yet configured."""
    stanza = re.sub(
        r"^(Package: .*\n)",
        r"\1Status: install ok unpacked\n",
        stanza_of(control),
        count=1,
        flags=re.MULTILINE,
    )
    declared = "".join(f" {name} newconffile\n" for name in conffiles(control))
    return stanza + (f"Conffiles:\n{declared}" if declared else "")


def checksums(control: Control) -> dict[str, str]:
    """The MD5 sums that the package gives of its files, by path as in its archive: `usr/bin/x`."""
    text = control["md5sums"].data.decode(errors="surrogateescape") if "md5sums" in control else ""
    found = re.findall(r"^([0-9a-f]{32})  (.+)$", text, re.MULTILINE)
    return {path.removeprefix("./"): digest for digest, path in found}


def _lines(names: Sequence[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode(errors="surrogateescape")


def _without_excluded(md5sums: bytes, docs: bool) -> bytes:
    # dpkg leaves excluded files in its lists, and `dpkg --verify` then misses them; ours stays clean.
    lines = md5sums.decode(errors="surrogateescape").splitlines(keepends=True)
    kept = (line for line in lines if paths.is_kept("/" + line[34:].rstrip("\n"), docs=docs))
    return "".join(kept).encode(errors="surrogateescape")
