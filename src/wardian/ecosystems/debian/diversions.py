"""dpkg's diversions (dpkg-divert(1)): files of packages that land at another path than they were packed for.

Those that a stage finds were made by packages of the stages below: dpkg would have unpacked the stage's files
by them. It makes none.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from wardian.ecosystems.debian import paths
from wardian.errors import BuildError
from wardian.system.confined import open_beneath

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from wardian.ecosystems.debian.database import Unpacked

_LONGEST_PART, _LONGEST = 255, 4095  # bytes: NAME_MAX, and PATH_MAX without the end of the string
_ASIDE = ".dpkg-tmp"  # as dpkg calls what it keeps for a moment: no package ships such a file

# Reads what `divert` told. To be run where folders are those of all stages together. Configuration files
# are unpacked beside their path, and diverted from there.
SCRIPT = """divert() {
  if [ -e "$1" ] || [ -h "$1" ]; then
    mkdir -p "${2%/*}/"
    mv -fT "$1" "$2"
  fi
}
while IFS= read -r file && IFS= read -r target; do
  divert "$file.dpkg-tmp" "$target"
  divert "$file.dpkg-new" "$target.dpkg-new"
  # A stage's record is of its own files: what stands in place of a diverted one must be among them.
  if [ -e "$file" ] || [ -h "$file" ]; then touch -h -r "$file" "$file"; fi
done < /run/wardian/in/diverted
"""


def parse(text: str) -> dict[str, str]:
    """Where each diverted path leads, of dpkg's `diversions`: lines of path, target and package in turn.

    What can be no path is left out.
    """
    lines = text.split("\n")
    pairs = zip(lines[::3], lines[1::3], strict=False)
    return {path: target for path, target in pairs if _is_plain(path) and _is_plain(target)}


def _is_plain(path: str) -> bool:
    raw = path.encode(errors="surrogateescape")
    parts = raw[1:].split(b"/")
    return (
        raw.startswith(b"/")
        and b"\0" not in raw
        and len(raw) <= _LONGEST
        and all(part not in (b"", b".", b"..") and len(part) <= _LONGEST_PART for part in parts)
    )


def divert(
    root: Path, diversions: Mapping[str, str], *, unpacked: Iterable[Unpacked], lists: Mapping[str, bytes]
) -> bytes:
    """Set aside what was unpacked below `root` at diverted paths; returns what SCRIPT reads.

    That is each diverted path of the packages, and its target. `lists` tells the paths of those packages that
    dpkg itself will unpack. No link below `root` is followed. Raises BuildError.
    """
    own = diversions.keys() & {path for package in unpacked for path in package.paths}
    for path in sorted(own):
        _set_aside(root, path)
    listed = b"".join(data for name, data in lists.items() if name.endswith(".list"))
    found = own | (diversions.keys() & set(listed.decode(errors="surrogateescape").split("\n")))
    lines = (f"{path}\n{diversions[path]}\n" for path in sorted(found))
    return "".join(lines).encode(errors="surrogateescape")


def _set_aside(root: Path, path: str) -> None:
    """Give a file another name beside its own, before there is an overlay.

    Moved in the overlay, it would leave a whiteout, and hide what a stage below has there in its place.
    """
    folder, _, name = paths.canonical(path[1:]).rpartition("/")
    with contextlib.ExitStack() as stack:
        try:
            top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, top)
            here = open_beneath(top, folder or ".")
            stack.callback(os.close, here)
            # Only files are diverted.
            if not stat.S_ISDIR(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
                os.rename(name, name + _ASIDE, src_dir_fd=here, dst_dir_fd=here)
        except FileNotFoundError:
            return  # a configuration file, say
        except OSError as error:
            raise BuildError(
                f"cannot divert {path}, as a package of a stage below wants it: {error.strerror}",
                hint="do without the package that holds the file, or without the one that diverts it",
            ) from error
