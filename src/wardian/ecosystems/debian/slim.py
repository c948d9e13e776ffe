"""What Debian packages bring that only developers read: headers, static libraries, debug symbols, tests."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ARCHITECTURE = r"(?:[^/]+-linux-gnu[^/]*/)?"
_NATIVE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("headers", re.compile(r"usr/include/.+|usr/lib/[^/]+/perl/[^/]+/CORE/.+\.h")),
    ("static libraries", re.compile(r"usr/lib/.+\.l?a")),
    (
        "build descriptions",
        re.compile(rf"usr/(lib/{_ARCHITECTURE}|share/)(pkgconfig/.+\.pc|cmake/.+)"),
    ),
)
_ALWAYS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("debug symbols", re.compile(r"usr/lib/debug/.+|usr/share/gdb/.+")),
    (
        "completions",
        re.compile(
            r"usr/share/(bash-completion/completions|zsh/(vendor-completions|site-functions)|"
            r"fish/(vendor_completions\.d|completions))/.+"
        ),
    ),
    (
        "tests",
        re.compile(
            r"usr/lib/python3\.\d+/(test|lib2to3/tests|idlelib/idle_test|tkinter/test|unittest/test)/.+|"
            r"usr/lib/python3/dist-packages/.+/tests?/(.*/)?(test_[^/]*|conftest)\.py"
        ),
    ),
)
_COMPILERS = re.compile(
    r"usr/bin/(?:[^/]+-linux-gnu[^/]*-)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|tcc|gfortran|gdc|ldc2|rustc|go)"
    r"(?:-[\d.]+)?"
)


def has_compiler(paths: Iterable[str]) -> bool:
    """Whether one of the image's paths is a compiler: then headers and static libraries have their use."""
    return any(_COMPILERS.fullmatch(path) for path in paths if path.startswith("usr/bin/"))


def kind(path: str, *, compiler: bool) -> str:
    """What a file is that can go, or "" for one that stays. The path is relative to the root."""
    for name, pattern in (*_ALWAYS, *(() if compiler else _NATIVE)):
        if pattern.fullmatch(path):
            return name
    return ""
