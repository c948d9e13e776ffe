"""Small files that several threads and processes may write at once, each with the same content."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from wardian.errors import HostError

if TYPE_CHECKING:
    from pathlib import Path


def place(path: Path, data: str | bytes) -> None:
    """Write `data` under a name that nobody else uses, then rename; raises HostError.

    `files.write_atomic` names its temporary file by the process alone, which two threads share: lists of
    two platforms of one suite are refreshed side by side.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
        temporary.rename(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise HostError(
            f"cannot write {path}: {error.strerror}", hint="check the folder's permissions and free space"
        ) from error
