"""The folders that follow from environment variables."""

from __future__ import annotations

import os

from wardian.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def home(environment: Mapping[str, str]) -> str:
    """The folder of everything that wardian keeps ($WARDIAN_HOME, XDG base directory specification)."""
    if chosen := environment.get("WARDIAN_HOME"):
        return os.path.abspath(chosen)
    return os.path.join(_base(environment, "XDG_DATA_HOME", ".local/share"), "wardian")


def configuration_file(environment: Mapping[str, str]) -> str:
    """The user's configuration file, which need not exist unless $WARDIAN_CONFIG names it."""
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
