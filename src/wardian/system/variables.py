"""Every environment variable that wardian declares, and the folders that follow from them."""

from __future__ import annotations

import os

from wardian.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# name -> what it is for; the documentation and `wardian doctor` read this table.
VARIABLES = {
    "WARDIAN_HOME": "everything that wardian keeps; default $XDG_DATA_HOME/wardian",
    "WARDIAN_CONFIG": "the configuration file; default $XDG_CONFIG_HOME/wardian/config.toml",
    "WARDIAN_OFFLINE": "1: never use the network",
    "WARDIAN_DEBIAN_ARCHIVE": "base address of the Debian archive",
    "WARDIAN_DEBIAN_SECURITY": "base address of the Debian security archive",
    "WARDIAN_DEBIAN_SNAPSHOT": "address of the dated archive, with {archive} and {time}",
    "WARDIAN_PYTHON_INDEX": "address of the Python package index",
    "WARDIAN_PYTHON_EXTRA_INDEXES": "further Python indexes, separated by spaces",
    "WARDIAN_PYTHON_FIND_LINKS": "folders or pages of Python packages, separated by spaces",
    "WARDIAN_PYTHON_INSTALL_MIRROR": "base address of uv's managed Python interpreters",
    "WARDIAN_REGISTRY_MIRRORS": "mirrors of image registries, as REGISTRY=MIRROR, separated by spaces",
    "WARDIAN_REGISTRY_INSECURE": "registries that need not prove who they are, separated by spaces",
}


def home(environment: Mapping[str, str]) -> str:
    """The folder of everything that wardian keeps ($WARDIAN_HOME, XDG base directory specification)."""
    if chosen := environment.get("WARDIAN_HOME"):
        return os.path.abspath(chosen)
    return os.path.join(_base(environment, "XDG_DATA_HOME", ".local/share"), "wardian")


def configuration_file(environment: Mapping[str, str]) -> str:
    """The user's configuration file, which need not exist."""
    if chosen := environment.get("WARDIAN_CONFIG"):
        return os.path.abspath(chosen)
    return os.path.join(_base(environment, "XDG_CONFIG_HOME", ".config"), "wardian", "config.toml")


def _base(environment: Mapping[str, str], name: str, default: str) -> str:
    # The specification has relative paths ignored.
    if (folder := environment.get(name, "")).startswith("/"):
        return folder
    return os.path.join(_user_home(environment), default)


def _user_home(environment: Mapping[str, str]) -> str:
    if (folder := environment.get("HOME", "")).startswith("/"):
        return folder
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError as error:
        raise HostError(
            f"this user (id {os.getuid()}) has no home folder, so there is no place to keep anything",
            hint="set HOME, or WARDIAN_HOME and WARDIAN_CONFIG",
        ) from error
