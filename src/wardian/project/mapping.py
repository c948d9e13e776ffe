"""Maps an imported module to the distribution that provides it, without any network.

The mapping is that of the PyPI package `pyimport2pkg` (MIT): the top-level modules found in the wheels
of the fifteen thousand most downloaded distributions, with their downloads. Only its data file is read;
none of its code is imported. A small table here corrects it where a count of downloads misleads, and
knows the namespaces that many distributions share. See docs/dependencies.md.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass

from wardian.project.grammar import normalize_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

_DATA = ("pyimport2pkg", "data/mapping.db")

# Longest prefix wins. An empty text: nothing on an index provides it.
_CORRECTIONS = {
    "attr": "attrs",
    "azure": "",
    "community": "python-louvain",
    "dbutils": "",
    "fpdf": "fpdf2",
    "gi": "pygobject",
    "google": "",
    "google.auth": "google-auth",
    "google.cloud.secretmanager": "google-cloud-secret-manager",
    "google.cloud.sql": "cloud-sql-python-connector",
    "google.colab": "",
    "google.genai": "google-genai",
    "google.generativeai": "google-generativeai",
    "google.oauth2": "google-auth",
    "google.protobuf": "protobuf",
    "ldap": "python-ldap",
    "mpl_toolkits": "matplotlib",
    "opentelemetry": "opentelemetry-api",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "osgeo": "gdal",
    "pandas_profiling": "pandas-profiling",
    "pkg_resources": "setuptools",
    "psycopg2": "psycopg2-binary",
    "pwiz": "peewee",
    "pylab": "matplotlib",
    "rpy2": "rpy2",
    "ruamel": "ruamel-yaml",
    "sksparse": "scikit-sparse",
    "snowflake": "snowflake-connector-python",
    "snowflake.snowpark": "snowflake-snowpark-python",
    "surprise": "scikit-surprise",
}

# Namespaces whose distributions are named after the first words of the module.
_NAMESPACES = (
    re.compile(r"(google\.cloud\.[a-z]\w*)(?:\.|$)"),
    re.compile(r"(azure\.(?:core|cosmos|eventhub|identity|servicebus))(?:\.|$)"),
    re.compile(r"(azure\.(?:ai|data|keyvault|mgmt|monitor|search|storage)\.[a-z]\w*)(?:\.|$)"),
)

# A distribution's name that a module's may be taken for (PEP 508, Names); not a private module's.
_NAMEABLE = re.compile(r"[A-Za-z0-9](?:\w*[A-Za-z0-9])?", re.ASCII)

# Modules that folders name so for themselves: what an index has under these names is never meant.
_COMMON = frozenset(
    [
        "app",
        "base",
        "common",
        "conf",
        "config",
        "constants",
        "core",
        "data",
        "dataset",
        "datasets",
        "docs",
        "example",
        "examples",
        "functions",
        "helper",
        "helpers",
        "lib",
        "libs",
        "main",
        "model",
        "models",
        "module",
        "modules",
        "my_module",
        "plots",
        "scripts",
        "settings",
        "src",
        "test",
        "tests",
        "tools",
        "train",
        "util",
        "utils",
        "visualization",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The distribution of a module: empty where none is known. `guessed`: only the name was to go by."""

    module: str
    distribution: str
    guessed: bool = False


def find_providers(modules: Iterable[str]) -> tuple[Provider, ...]:
    """Return a provider for each module (dotted where it was imported so), in the given order."""
    with _opened() as data:
        return tuple(dict.fromkeys(_find(module, data) for module in modules))


def _find(module: str, data: sqlite3.Connection | None) -> Provider:
    top = module.partition(".")[0]
    # Google's clients carry the version of their interface in the module's name alone.
    module = re.sub(r"(?<=^google\.cloud\.)(\w+?)_v\d\w*", r"\1", module)
    known = _corrected(module)
    if known is None or not known.distribution:
        known = _in_namespace(module) or known
    if known is not None:
        return known
    if top in _COMMON or not _NAMEABLE.fullmatch(top):
        return Provider(module=top, distribution="")
    found = _most_downloaded(top, data)
    return Provider(module=top, distribution=found or normalize_name(top), guessed=found is None)


def _corrected(module: str) -> Provider | None:
    while module not in _CORRECTIONS and "." in module:
        module = module.rpartition(".")[0]
    known = _CORRECTIONS.get(module)
    return None if known is None else Provider(module=module, distribution=known)


def _in_namespace(module: str) -> Provider | None:
    for pattern in _NAMESPACES:
        if found := pattern.match(module):
            return Provider(module=found[1], distribution=normalize_name(found[1].replace(".", "-")))
    return None


def _most_downloaded(module: str, data: sqlite3.Connection | None) -> str | None:
    import sqlite3

    if data is None:
        return None
    query = (
        "SELECT m.package_name FROM mappings m JOIN packages p USING (package_name)"
        " WHERE m.module_name = ? ORDER BY p.download_count DESC, m.package_name LIMIT 1"
    )
    try:
        found = data.execute(query, (module,)).fetchone()
    except sqlite3.Error:
        return None
    return normalize_name(str(found[0])) if found else None


@contextlib.contextmanager
def _opened() -> Iterator[sqlite3.Connection | None]:
    """Open the mapping for reading; None where it is not installed, so that names alone are gone by."""
    import sqlite3
    from importlib.util import find_spec
    from pathlib import Path
    from urllib.parse import quote

    package, name = _DATA
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    path = Path(places[0], name) if places else None
    if path is None or not path.is_file():
        yield None
        return
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
    try:
        yield connection
    finally:
        connection.close()
