"""dpkg's status and trigger databases, as dpkg would have left them after unpacking (dpkg's own doc/).

Text in, text out: what is written where is `configure.py`'s affair.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What unpacking a package left for its configuration.

    `name` is that of its files in dpkg's info database (`zlib1g:amd64`), `stanza` its status, `paths` what
    dpkg lists of it, `triggers` that control file, `preinst` whether it has such a script.
    """

    name: str
    stanza: str
    paths: tuple[str, ...]
    triggers: str
    preinst: bool


def package_of(stanza: str) -> str:
    """The `Package` field of a stanza."""
    found = re.search(r"^Package: *(\S+)", stanza, re.MULTILINE)
    return found[1] if found else ""


def join_status(earlier: str, stanzas: list[str]) -> str:
    """The status database with `stanzas` added, in the order of package names as dpkg keeps it."""
    every = [stanza for stanza in earlier.split("\n\n") if stanza.strip()] + stanzas
    return "\n".join(stanza.strip("\n") + "\n" for stanza in sorted(every, key=package_of))


@dataclass(slots=True)
class Triggers:
    """Who waits for what: `interests` of packages by trigger name or file prefix (deb-triggers(5))."""

    interests: dict[str, set[str]] = field(default_factory=dict)

    def register(self, package: str, text: str) -> list[str]:
        """Take in a package's `triggers` control file; returns the triggers that it activates."""
        activated = []
        for line in text.splitlines():
            words = line.split("#")[0].split()
            if len(words) != 2:
                continue
            directive, name = words
            if directive.startswith("interest"):
                suffix = "/noawait" if directive == "interest-noawait" else ""
                self.interests.setdefault(name, set()).add(package + suffix)
            elif directive.startswith("activate"):
                activated.append(name)
        return activated

    def touched(self, paths: Iterable[str]) -> set[str]:
        """The file triggers that files at `paths` activate."""
        prefixes = tuple(name for name in self.interests if name.startswith("/"))
        return {
            prefix
            for path in paths
            if path.startswith(prefixes)  # few do
            for prefix in prefixes
            if path == prefix or path.startswith(prefix.rstrip("/") + "/")
        }

    def files(self) -> dict[str, str]:
        """The contents of `var/lib/dpkg/triggers`, by file name."""
        named = {
            name: "".join(f"{package}\n" for package in sorted(packages))
            for name, packages in self.interests.items()
            if not name.startswith("/")
        }
        prefixes = "".join(
            f"{name} {package}\n"
            for name, packages in sorted(self.interests.items())
            if name.startswith("/")
            for package in sorted(packages)
        )
        return {**named, "File": prefixes}

    def unincorporated(self, activated: set[str]) -> str:
        """The contents of `Unincorp`: activations that dpkg has yet to hand to whom they interest."""
        return "".join(f"{name} -\n" for name in sorted(activated) if name in self.interests)
