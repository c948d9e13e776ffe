"""A process that changes root to a folder of unknown content: what must not happen there by itself."""

from __future__ import annotations

import sys
from importlib.machinery import BuiltinImporter, FrozenImporter


def import_no_more() -> None:
    """Have modules found no more, save those that are built in.

    After a change of root Python would look for them at the paths it knows, where the folder may hold
    whatever it likes. What is needed has to be imported before.
    """
    sys.path.clear()
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter]
