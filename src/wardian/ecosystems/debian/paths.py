"""Which of a package's paths are unpacked, and what they are called in a system with merged /usr.

Pure: what stands on the disk is nobody's concern here.
"""

from __future__ import annotations

# dpkg's path filters (dpkg(1), --path-exclude), the same as in the image's /etc/dpkg/dpkg.cfg.d/wardian.
_EXCLUDED = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/locale/",
             "/usr/share/lintian/", "/usr/share/linda/", "/usr/share/help/", "/usr/share/groff/")  # fmt: skip
_INCLUDED = ("/copyright", "/locale.alias")

# Folders that are links in every system: Debian's merged /usr (policy 10.1), and what has moved to /run.
# Some packages still ship the old paths.
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_MOVED = {"var/run": "run", "var/lock": "run/lock"}


def dpkg_configuration(*, docs: bool) -> str:
    """The text of `/etc/dpkg/dpkg.cfg.d/wardian`: the filters for packages installed later."""
    if docs:
        return "# Documentation and foreign locales are kept.\n"
    excludes = [f"path-exclude={prefix}*" for prefix in _EXCLUDED]
    includes = ["path-include=/usr/share/doc/*/copyright", "path-include=/usr/share/locale/locale.alias"]
    return "\n".join(["# Documentation and foreign locales are left out.", *excludes, *includes, ""])


def is_kept(path: str, *, docs: bool) -> bool:
    """Whether dpkg's filters let a path (`/usr/…`) in."""
    return docs or not path.startswith(_EXCLUDED) or path.endswith(_INCLUDED)


def stands_for_documentation(path: str) -> bool:
    """Whether a link of that path (`/usr/…`) leads to where the package's copyright file lies."""
    return path.startswith("/usr/share/doc/") and path.count("/") == 4


def canonical(path: str) -> str:
    """The path (without leading slash) that a package's path leads to in a system with merged /usr."""
    first, slash, rest = path.partition("/")
    if slash and first in _MERGED:
        return f"usr/{first}/{rest}"
    if first == "var":
        for old, new in _MOVED.items():
            if path.startswith(f"{old}/"):
                return new + path[len(old) :]
    return path


def is_alias(path: str) -> bool:
    """Whether a folder of that path, as packages ship it, is a link elsewhere."""
    return path in _MERGED or path in _MOVED
