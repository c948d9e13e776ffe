"""Logging in to registries."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardian.api.registries import login
from wardian.errors import CredentialsError


@pytest.mark.parametrize(("user", "password"), [("\udcff", "secret"), ("someone", "a\udcff")])
def test_what_has_no_bytes_is_refused_before_anybody_is_asked(
    tmp_path: Path, user: str, password: str
) -> None:
    with pytest.raises(CredentialsError, match="the user name or the password is no UTF-8") as caught:
        login("registry.invalid", user, password, environment={"HOME": str(tmp_path)})
    assert password not in caught.value.message
    assert list(tmp_path.iterdir()) == []
