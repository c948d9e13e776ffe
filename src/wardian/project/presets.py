"""Sets of packages for folders that say nothing. Pure data."""

from __future__ import annotations

# The work that most data analysis begins with; databases come with duckdb and sqlalchemy.
DATA_SCIENCE = (
    "numpy",
    "pandas",
    "polars",
    "scipy",
    "scikit-learn",
    "matplotlib",
    "seaborn",
    "plotly",
    "altair",
    "pyarrow",
    "duckdb",
    "sqlalchemy",
)
