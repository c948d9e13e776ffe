"""The keys that are shipped, and what they are."""

from __future__ import annotations

import pytest

from wardian.ecosystems.debian import signature
from wardian.errors import InternalError


def test_every_pinned_key_is_shipped_and_usable():
    certificates = signature.pinned_certificates()
    assert {certificate.fingerprint for certificate in certificates} == set(signature.PINNED.values())
    assert not any(certificate.is_revoked for certificate in certificates)


def test_a_key_with_another_fingerprint_is_not_used(monkeypatch):
    monkeypatch.setitem(signature.PINNED, "trixie-stable", "0" * 40)
    with pytest.raises(InternalError, match="the shipped key trixie-stable has the fingerprint"):
        signature.pinned_certificates()
