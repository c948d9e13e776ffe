"""Licences as SPDX writes them: expressions of known names, and texts for what has no name there."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_BSD_LENGTH = 1800  # letters of the longest, with some holders; two licences in one file have more
_LONGEST = 100_000  # characters of a text that goes into a bill


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """An SPDX expression, empty where nothing is known; `texts` hold those of its `LicenseRef-` names."""

    expression: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)


def known(name: str) -> str:
    """`name` as an SPDX expression in its proper spelling; empty where it is none.

    It is one that what writes bills takes too: that knows no `+` but GNU's, and takes some of the licences
    that have an exception in their name for exceptions.
    """
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    if not name or len(name) > 1000 or "licenseref" in name.lower():
        return ""  # whose text is not here
    try:
        found = str(canonicalize_license_expression(name))
    except (InvalidLicenseExpression, RecursionError):
        return ""
    return found if _is_writable(found) else ""


@functools.cache
def _is_writable(expression: str) -> bool:
    from spdx_tools.common.spdx_licensing import spdx_licensing  # type: ignore[import-untyped]

    told = spdx_licensing.validate(expression)
    return not told.errors and "LicenseRef" not in told.normalized_expression


def reference(*parts: str) -> str:
    """A `LicenseRef-` name out of words."""
    return "LicenseRef-" + "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", part).strip("-") or "x" for part in parts)


def bounded(text: str) -> str:
    """A text short enough for a bill, and printable in each of its formats."""
    plain = "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in text).strip()
    return plain if len(plain) <= _LONGEST else plain[:_LONGEST] + "\n[…]"


def all_of(expressions: Iterable[str]) -> str:
    """The expressions that all hold, each once, in order."""
    unique: set[str] = set()
    for expression in filter(None, expressions):
        # `A AND B` says no more than both do; a choice is one part, and so is what has groups.
        whole = " OR " in expression or "(" in expression
        unique |= {expression} if whole else set(expression.split(" AND "))
    if len(unique) == 1:
        return unique.pop()
    return " AND ".join(f"({part})" if " OR " in part else part for part in sorted(unique))


def recognise(text: str) -> str:
    """The licence of the BSD family whose text `text` is; empty for any other, and for more than one."""
    words = re.sub(r"[^a-z]+", " ", text.lower())
    if len(words) > _BSD_LENGTH or words.count("redistribution and use in source and binary forms") != 1:
        return ""
    if "all advertising materials" in words:
        return "BSD-4-Clause"
    return "BSD-3-Clause" if "to endorse or promote products derived" in words else "BSD-2-Clause"
