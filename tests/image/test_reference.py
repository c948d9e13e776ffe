"""Names of images as people write them."""

from __future__ import annotations

import pytest

from wardian.image.reference import Reference


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("Registry.Example/team/a:V1", "registry.example/team/a:V1"),
        ("Registry:5000/a", "registry:5000/a:latest"),
        ("LOCALHOST/a", "localhost/a:latest"),
        ("Docker.io/debian", "docker.io/library/debian:latest"),
        ("Host/a", "Host/a:latest"),  # only its capitals make it a host
    ],
)
def test_hosts_have_no_capitals(text: str, full: str) -> None:
    reference = Reference.parse(text)
    assert str(reference) == full
    assert Reference.parse(full) == reference
