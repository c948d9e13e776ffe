"""Where wardian keeps things, from the environment."""

from __future__ import annotations

import os
import pwd

import pytest

from wardian.errors import HostError
from wardian.system import variables


def test_home_follows_the_base_directory_specification():
    assert variables.home({"WARDIAN_HOME": "/store", "HOME": "/h"}) == "/store"
    assert variables.home({"XDG_DATA_HOME": "/data", "HOME": "/h"}) == "/data/wardian"
    assert variables.home({"XDG_DATA_HOME": "relative", "HOME": "/h"}) == "/h/.local/share/wardian"
    assert variables.configuration_file({"HOME": "/h"}) == "/h/.config/wardian/config.toml"


@pytest.mark.parametrize("outside", [{}, {"HOME": ""}, {"HOME": "~"}])
def test_without_home_the_user_database_is_asked(outside):
    folder = pwd.getpwuid(os.getuid()).pw_dir
    assert variables.home(outside) == f"{folder}/.local/share/wardian"


def test_without_any_home_nothing_is_guessed(monkeypatch):
    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(HostError) as caught:
        variables.home({})
    assert caught.value.hint == "set HOME, or WARDIAN_HOME and WARDIAN_CONFIG"
