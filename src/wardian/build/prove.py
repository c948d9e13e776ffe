"""Proves that what is left out is not missed: what imported before still does. Else it is put back.

A package's outcome is kept with what it used, so that later only what changed is tried again.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.build import units
from wardian.ecosystems.python import proof
from wardian.system import files

if TYPE_CHECKING:
    from wardian.ecosystems.python.sandbox import Sandbox
    from wardian.image.entry import Entry
    from wardian.store.store import Store

_VERSION = 2  # of the records in the cache
_SITE = "/site-packages/"
SYSTEM = ""  # stands among names of packages for what lies below them


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried: packages, and for each what tells its state, in which paths are left out of it.

    `system` is left out of what lies below them. `full` and `slim` make sandboxes, `ground` tells the Python
    that they hold and what it lacks. `compiled` says that they have byte code.
    """

    store: Store
    packages: Mapping[str, tuple[Entry, ...]]
    dropped: Mapping[str, Mapping[str, str]]
    system: Collection[str]
    states: Mapping[str, str]
    ground: str
    compiled: bool
    full: Callable[[], Sandbox]
    slim: Callable[[], Sandbox]
    folder: Path

    def broken(self) -> dict[str, str]:
        """The packages that import no longer, each with the error; and those that had a part in it.

        Where the error names what is left out of `system`, SYSTEM stands in their place. Raises BuildError
        and HostError.
        """
        modules = {name: proof.modules(entries) for name, entries in self.packages.items()}
        pending = {name: found for name, found in modules.items() if found and not self._is_proved(name)}
        outcome = self._import(pending, self.slim(), removed=True)
        failing = {name: tuple(found) for name, found in outcome.failures.items()}
        before = self._import(failing, self.full(), removed=False).failures if failing else {}
        lost = {
            name: tuple(module for module in found if module not in before.get(name, {}))
            for name, found in failing.items()
        }
        # Once more: an import that fails by chance must not decide what is in an image.
        again = self._import(
            {name: found for name, found in lost.items() if found}, self.slim(), removed=True
        )
        tops = self._tops()
        # What did not import proves nothing, even where it did not before.
        for name in pending.keys() - outcome.failures.keys():
            self._remember(name, {other for top in outcome.used.get(name, ()) for other in tops.get(top, ())})
        return _guilty(again.failures, tops, self.system)

    def _import(
        self, modules: Mapping[str, tuple[str, ...]], sandbox: Sandbox, *, removed: bool
    ) -> proof.Outcome:
        if not modules:
            return proof.Outcome(failures={}, used={})
        folder = self.folder / ("slim" if removed else "full")
        files.remove_tree(folder)
        folder.mkdir()
        gone = {path for found in self.dropped.values() for path in found}
        kept = {
            entry.path
            for name, entries in self.packages.items()
            for entry in entries
            if entry.path not in self.dropped.get(name, {})
        }
        return proof.import_all(
            sandbox,
            "/opt/venv/bin/python",
            modules,
            folder,
            removed=sorted({*(gone - kept), *self.system}) if removed else (),
            compiled=self.compiled,
        )

    def _tops(self) -> Mapping[str, set[str]]:
        """Who has something in site-packages under that name."""
        found: dict[str, set[str]] = defaultdict(set)
        for name, entries in self.packages.items():
            for entry in entries:
                if inner := entry.path.partition(_SITE)[2]:
                    found[inner.partition("/")[0]].add(name)
        return found

    def _record(self, name: str) -> Path:
        key = units.key(_VERSION, self.ground, name, self.states[name], self.compiled)
        return self.store.cache("proofs") / f"{key}.json"

    def _is_proved(self, name: str) -> bool:
        """Whether the package imported before, with all that it used in the state that they are in now."""
        try:
            used = json.loads(self._record(name).read_bytes())
            return all(self.states.get(other) == state for other, state in used.items())
        except (OSError, ValueError, AttributeError):
            return False

    def _remember(self, name: str, used: Iterable[str]) -> None:
        told = {other: self.states[other] for other in sorted({name, *used})}
        files.write_atomic(self._record(name), json.dumps(told))


def _guilty(
    failures: Mapping[str, Mapping[str, proof.Failure]], tops: Mapping[str, set[str]], system: Collection[str]
) -> dict[str, str]:
    """Packages that fail, those whose module was missing, and those whose code was on the way to it."""
    found: dict[str, str] = {}
    for name, failed in failures.items():
        for module, failure in failed.items():
            if _names(failure, system):
                found.setdefault(SYSTEM, f"import {module}: {failure.error}")
                continue
            paths = [path.partition(_SITE)[2] for path in failure.files] + [failure.missing.replace(".", "/")]
            names = {path.partition("/")[0] for path in paths if path}
            involved = {other for top in names for end in ("", ".py") for other in tops.get(top + end, ())}
            for other in sorted({name, *involved}):
                found.setdefault(other, f"import {module}: {failure.error}")
    return found


def _names(failure: proof.Failure, removed: Collection[str]) -> bool:
    """Whether the error names one of these paths, or as a module what lies there."""
    module = re.escape(failure.missing.replace(".", "/"))
    way = re.compile(rf"/lib/python3[^/]*/{module}[/.]")
    return any(path in failure.error or (module and way.search(path)) for path in removed)
