"""Release files: what an archive says of one suite, once its signature is verified.

Format: deb822 fields and lists of hashes (the Debian repository format, "Release files").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from wardian.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping

# A release may be a little younger than a host whose clock is late.
_CLOCK_TOLERANCE = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A file that a release lists, relative to the suite's folder."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A suite at one date. `files` holds what is listed below SHA256, by path."""

    codename: str
    date: datetime
    valid_until: datetime | None
    by_hash: bool
    files: Mapping[str, Listed]


def parse_release(text: bytes, *, name: str) -> Release:
    """Read the signed text of an `InRelease`; raises VerificationError when it says too little."""
    fields: dict[str, str] = {}
    listed: dict[str, Listed] = {}
    section = ""
    for line in text.decode("utf-8", "replace").splitlines():
        if line.startswith(" "):
            if section == "SHA256":
                file = _parse_listed(line, name)
                listed[file.path] = file
        else:
            section, _, value = line.partition(":")
            fields[section] = value.strip()
    return Release(
        codename=fields.get("Codename", ""),
        date=_parse_date(fields.get("Date", ""), name),
        valid_until=_parse_date(fields["Valid-Until"], name) if "Valid-Until" in fields else None,
        by_hash=fields.get("Acquire-By-Hash", "").lower() == "yes",
        files=listed,
    )


def _parse_listed(line: str, name: str) -> Listed:
    parts = line.split()
    if len(parts) != 3 or len(parts[0]) != 64 or not parts[1].isdigit():
        raise VerificationError(f"{name} lists a file in an unknown way: {line.strip()!r}")
    return Listed(path=parts[2], size=int(parts[1]), sha256=parts[0].lower())


def _parse_date(text: str, name: str) -> datetime:
    try:
        time = parsedate_to_datetime(text)
    except ValueError as error:
        raise VerificationError(f"{name} has no readable date: {text!r}") from error
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def check_release(release: Release, *, suite: str, now: datetime | None, name: str) -> None:
    """Whether `release` is one of `suite` and valid at `now`; None asks for no dates (old releases).

    Raises VerificationError.
    """
    if release.codename != suite:
        raise VerificationError(
            f"{name} is a release of {release.codename or 'no suite'}, not of {suite}",
            hint="check which archive the configured address serves",
        )
    if now is None:
        return
    if release.date > now + _CLOCK_TOLERANCE:
        raise VerificationError(
            f"{name} is dated {release.date:%Y-%m-%d %H:%M}, in the future", hint="set this machine's clock"
        )
    if release.valid_until is not None and release.valid_until < now:
        raise VerificationError(
            f"{name} was valid until {release.valid_until:%Y-%m-%d %H:%M} UTC",
            hint="check this machine's clock; if it is right, the mirror is out of date: configure another, "
            "or lock with --as-of",
        )


def list_packages(release: Release, architecture: str, *, name: str, compression: str = "") -> Listed:
    """The Packages file of component `main`; raises VerificationError when it is not listed."""
    path = f"main/binary-{architecture}/Packages{compression}"
    if path not in release.files:
        raise VerificationError(f"{name} lists no {path}", hint="choose a platform that this suite has")
    return release.files[path]
