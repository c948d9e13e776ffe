"""Which package brought which path of a tree."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from wardian.inventory import records
from wardian.inventory.model import Package
from wardian.inventory.paths import source, top

if TYPE_CHECKING:
    from wardian.inventory.paths import Aliases
    from wardian.inventory.records import Installed, Texts

_CODE = "work"


class Owners:
    """Finds the package of each path of one tree. Where several claim it, the first in order has it."""

    def __init__(self, texts: Texts, aliases: Aliases) -> None:
        self._aliases = aliases
        self._paths: dict[str, Package] = {}
        self._homes: dict[str, Package] = {}
        for installed in chain(records.debian(texts), records.alpine(texts)):
            self._take(installed)
        for installed in records.python(texts):
            if installed.origin not in self._paths:  # Debian's Python packages are Debian's
                self._take(installed)

    def owner(self, path: str) -> Package:
        """The package that brought `path`; of what none has brought, the folder that it is told by."""
        found = self._paths.get(path) or self._paths.get(source(path)) or self._homes.get(records.home(path))
        if found:
            return found
        if path.startswith(f"{_CODE}/"):
            return Package(ecosystem="code", name="/" + "/".join(path.split("/")[:2]))
        return Package(ecosystem="other", name=top(path))

    def _take(self, installed: Installed) -> None:
        if installed.home:
            self._homes.setdefault(installed.home, installed.package)
        for path in installed.paths:
            if resolved := self._aliases.resolve(path):
                self._paths.setdefault(resolved, installed.package)
