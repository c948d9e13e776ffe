"""Challenges: how a registry asks for authentication (RFC 9110, 11.6.1; RFC 6750, 3). Pure values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_TOKEN})\s*=\s*("(?:[^"\\]|\\.)*"|{_TOKEN})')
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))")
_SCHEME = re.compile(rf"({_TOKEN})(?:\s+|$|(?=,))")
_MOST = 16 << 10  # a header has at most some kilobytes; the rest is not read


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One scheme, in lower case, with its parameters."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """A parameter's value, or nothing."""
        return self.parameters.get(name, "")


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Read `WWW-Authenticate`; what cannot be understood ends the header that it stands in."""
    return tuple(challenge for header in headers for challenge in _parse(header[:_MOST]))


def _parse(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    while text := text.lstrip(" \t,"):
        # A parameter belongs to the challenge before it; a word without `=` begins another.
        match = _PARAMETER.match(text)
        if match and found:
            parameters = {**found[-1].parameters}
            parameters.setdefault(match[1].lower(), _value(match[2]))
            found[-1] = Challenge(scheme=found[-1].scheme, parameters=parameters)
        elif match is None and (match := _SCHEME.match(text)):
            found.append(Challenge(scheme=match[1].lower()))
            rest = text[match.end() :]
            if not _PARAMETER.match(rest) and (skipped := _TOKEN68.match(rest)):
                text = rest[skipped.end() :]
                continue
        else:
            return found
        text = text[match.end() :]
    return found


def _value(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
