"""Whether an `InRelease` was signed by Debian: OpenPGP certificates shipped here, and only those."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wardian.errors import InternalError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pysequoia import Cert

# Primary key fingerprints, as Debian publishes them; keys/NAME.asc holds the certificate.
# A certificate whose fingerprint differs is not used, so that a changed file changes no trust.
PINNED = {
    "bookworm-automatic": "b8b80b5b623eab6ad8775c45b7c5d7d6350947f8",
    "bookworm-security-automatic": "05ab90340c0c5e797f44a8c8254cf3b5aec0a8f0",
    "bookworm-stable": "4d64fec119c2029067d6e791f8d2585b8783d481",
    "trixie-automatic": "04b54c3cdca79751b16bc6b5225629df75b188bd",
    "trixie-security-automatic": "5e04a1e3223a19a20706e20f9904613d4cce68c6",
    "trixie-stable": "41587f7db8c774bccf131416762f67a0b2c39de4",
}


def pinned_certificates() -> tuple[Cert, ...]:
    """The certificates of Debian's archive keys for the suites that wardian knows."""
    from importlib.resources import files

    from pysequoia import Cert

    folder = files("wardian.ecosystems.debian") / "keys"
    certificates = []
    for name, fingerprint in PINNED.items():
        certificate = Cert.from_bytes((folder / f"{name}.asc").read_bytes())
        if certificate.fingerprint != fingerprint:
            raise InternalError(f"the shipped key {name} has the fingerprint {certificate.fingerprint}")
        certificates.append(certificate)
    return tuple(certificates)


def verify(data: bytes, certificates: Sequence[Cert], *, name: str) -> bytes:
    """The signed text of the clear-signed message `data` (RFC 9580, section 7); `name` is for messages.

    One good signature by one of `certificates` suffices; text outside the signed part is not returned.
    Raises VerificationError.
    """
    from pysequoia import verify as check

    fingerprints = {certificate.fingerprint for certificate in certificates}
    try:
        verified = check(data, store=lambda _: list(certificates))
    except Exception as error:  # pysequoia raises bare RuntimeError and ValueError, with a backtrace inside
        raise _refused(name, str(error).partition("\n")[0]) from None
    signers = {signature.certificate for signature in verified.valid_sigs}
    if verified.bytes is None or not signers & fingerprints:
        raise _refused(name, "no valid signature by a pinned key")
    return verified.bytes


def _refused(name: str, reason: str) -> VerificationError:
    return VerificationError(
        f"{name} is not signed by Debian's archive keys: {reason}",
        hint="check which archive the configured address serves, and try another mirror",
    )
