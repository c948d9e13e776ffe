"""The overlay that a container's root is: any number of layers in one mount.

Mount options are copied as one page (mount(2)), which some forty paths of the store fill. Beyond that the
folders get short names for as long as the call takes. On the start-up path of every run.
"""

from __future__ import annotations

import os

from wardian.errors import HostError
from wardian.system import namespace

_LONGEST = 4095  # bytes of options; the page's last is the end of the string
MOST_LAYERS = 500  # the kernel's own limit (fs/overlayfs, OVL_MAX_STACK)


def check(lowers: list[str]) -> None:
    """Raise HostError for more layers than the kernel takes."""
    if len(lowers) > MOST_LAYERS:
        raise HostError(
            f"the image has {len(lowers)} layers, and the kernel takes at most {MOST_LAYERS}",
            hint="have it built with fewer layers",
        )


def mount(lowers: list[str], upper: str, work: str, target: str, *, volatile: bool) -> None:
    """Mount an overlay of `lowers` (from bottom to top) and `upper` at `target`; all paths are absolute.

    In a mount namespace of the caller's own. Changes the working folder while it runs, so the process must
    have one thread. `WORK.names` is made where the paths are long. Raises OSError.
    """
    try:
        options = namespace.overlay_options(lowers, upper, work, volatile=volatile)
        if len(os.fsencode(options)) <= _LONGEST:
            namespace.mount("overlay", target, "overlay", data=options)
        else:
            _mount_by_names(lowers, upper, work, target, volatile=volatile)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"overlay on {upper}") from error


def _mount_by_names(lowers: list[str], upper: str, work: str, target: str, *, volatile: bool) -> None:
    """Mount with links for paths, named by numbers and seen from their folder, as Docker does it."""
    folder = f"{work}.names"
    os.mkdir(folder, 0o700)
    names = []
    for number, path in enumerate((upper, work, *lowers)):
        os.symlink(path, f"{folder}/{number:x}")
        names.append(f"{number:x}")
    options = namespace.overlay_options(names[2:], names[0], names[1], volatile=volatile)
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(folder)
        namespace.mount("overlay", target, "overlay", data=options)
    finally:
        os.fchdir(here)
        os.close(here)
