"""What is known of each Debian suite before its package lists are read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """`glibc` decides which wheels fit (PEP 600); `python` is the upstream version of its python3.

    A stable suite keeps both for life, so that Python packages can be resolved while the package lists
    are still under way. What the lists then say of Python is what counts.
    """

    glibc: tuple[int, int]
    python: str


SUITES = {
    "trixie": Suite(glibc=(2, 41), python="3.13.5"),
    "bookworm": Suite(glibc=(2, 36), python="3.11.2"),
}
