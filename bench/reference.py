"""The work that is measured: the reference runtime, what is added to it, and the figures asked for."""

from __future__ import annotations

from dataclasses import dataclass

SUITE = "trixie"
SYSTEM = ("graphviz", "git", "curl", "libgomp1")
PYTHON = (
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "matplotlib",
    "seaborn",
    "jupyterlab",
    "sqlalchemy",
    "psycopg",
    "duckdb",
    "pyarrow",
    "polars",
    "plotly",
)

# Small ones whose needs are nearly all there, so that what is measured is the change, not its download.
ADDED_PYTHON = "xarray"
ADDED_SYSTEM = "jq"

# Prints how long the import alone took: starting a container is a row of its own.
IMPORT = "import time; start = time.perf_counter(); import pandas; print(time.perf_counter() - start)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure: `unit` is `s` or `MB`, `repeats` how often it is taken in each round."""

    name: str
    title: str
    asked: str
    unit: str = "s"
    repeats: int = 1


# The first three change the project and come in this order in each round; all need a first build.
ROWS = (
    Row(name="first", title="first build, nothing cached", asked="≤ 10 (target 8)"),
    Row(name="python", title="one Python package added", asked="≤ 1.5"),
    Row(name="system", title="one system package added", asked="≤ 3"),
    Row(name="nothing", title="nothing changed", asked="≤ 0.1", repeats=5),
    Row(name="run", title="run -- true, whole process", asked="≤ 0.1 (target 0.06)", repeats=5),
    Row(name="import", title="second import of pandas", asked="as in a venv", repeats=3),
    Row(name="memory", title="peak memory of a first build", asked="≤ 400", unit="MB"),
    Row(name="push", title="first push", asked="≤ 8 (target 6)"),
    Row(name="repush", title="push after one package changed", asked="≤ 1.5"),
    Row(name="sent", title="bytes that it sends", asked="the package + 1", unit="MB"),
    Row(name="pull", title="pull and first start", asked="≤ peer"),
    Row(name="packed", title="image, packed", asked="≤ 370", unit="MB"),
    Row(name="unpacked", title="image, unpacked", asked="≤ 1200", unit="MB"),
    Row(name="slim-packed", title="slim image, packed", asked="≤ 300", unit="MB"),
    Row(name="slim-unpacked", title="slim image, unpacked", asked="≤ 1000", unit="MB"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a project declares at some moment."""

    system: tuple[str, ...] = SYSTEM
    python: tuple[str, ...] = PYTHON
