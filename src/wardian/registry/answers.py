"""Answers of registries, and what they say when they refuse (distribution-spec, "Error Codes")."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wardian.system.exchange import Exchange, released
from wardian.system.http_reasons import FailedError, Reason

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

# What a registry may say about an error: beyond that it is no message.
LARGEST_ERROR = 64 << 10
_LONGEST = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer to a request for `url` (after redirects). `headers` have lower-case names."""

    url: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    challenges: tuple[str, ...] = ()
    body: bytes = b""

    @property
    def media_type(self) -> str:
        """What the body is, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_answer(exchange: Exchange, raw: BaseHTTPResponse, url: str, largest: int) -> Answer:
    """Read the answer whole; raises FailedError for a body larger than `largest` bytes, and as it fails.

    What a registry says with an error is read as far as it can be: the status is what counts.
    """
    body = bytearray()
    is_error = raw.status >= 400
    limit = min(largest, LARGEST_ERROR) if is_error else largest
    with released(raw):
        try:
            for chunk in exchange.chunks(raw):
                body += chunk
                if len(body) > limit:
                    raise FailedError(_too_large(limit))
        except FailedError:
            if not is_error:
                raise
            raw.close()
    return Answer(
        url=url,
        status=raw.status,
        headers={name.lower(): value for name, value in raw.headers.items()},
        challenges=tuple(raw.headers.getlist("www-authenticate")),
        body=bytes(body),
    )


def _too_large(limit: int) -> Reason:
    return Reason(
        text=f"its answer exceeds {limit} bytes",
        is_transient=False,
        hint="check the name, or ask those who run the registry",
    )


def errors(answer: Answer) -> tuple[tuple[str, str], ...]:
    """Codes and messages of an error's body; none where it is not as the specification says."""
    try:
        listed = json.loads(answer.body)["errors"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    if not isinstance(listed, list):
        return ()
    return tuple((_text(item, "code"), _text(item, "message")) for item in listed if isinstance(item, dict))


def has_code(answer: Answer, codes: Iterable[str]) -> bool:
    """Whether the registry gives one of `codes` as its reason."""
    wanted = set(codes)
    return any(code in wanted for code, _ in errors(answer))


def said(answer: Answer) -> str:
    """What the registry says about an error, as ` (…)`, or nothing; fit for a terminal."""
    texts = [message or code.lower().replace("_", " ") for code, message in errors(answer)]
    text = re.sub(r"[^\x20-\x7e]+", " ", "; ".join(filter(None, texts))).strip()
    if not text:
        return ""
    return f" ({text[:_LONGEST]})"


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""
