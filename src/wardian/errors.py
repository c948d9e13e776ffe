"""The exception tree, with exit statuses and hints. It prints nothing and ends nothing.

WardianError
├── UserError                exit 1: the input, the host or the network has to change
│   ├── SpecError            wardian.toml, requirements and other declarations
│   ├── LockError            wardian.lock: unreadable, out of the project's folder
│   │   ├── StaleLockError   missing, or made from another spec
│   │   ├── DamagedLockError edited by hand, half-written, in conflict
│   │   └── NewerLockError   of a newer wardian
│   ├── ResolveError         no set of packages fits
│   ├── FetchError           an address that fails, hangs or answers wrongly
│   ├── VerificationError    bytes that are not those that were named or signed
│   ├── BuildError           a package that does not unpack, configure or install
│   ├── ImageError           an image, a reference or an archive that cannot be used
│   ├── RegistryError        a registry that refuses, or is none
│   │   └── CredentialsError it wants other credentials, or any
│   ├── EngineError          a Docker or Podman that is not running, or refuses
│   ├── RunError             a program, notebook or task that cannot be run
│   │   └── NotebookError    a notebook that did not run to its end (runtime/notebook/events.py)
│   ├── HostError            the kernel, its settings or the disk forbid something
│   └── StoreError           $WARDIAN_HOME is damaged or from another version
└── InternalError            exit 2: ours
"""

from __future__ import annotations


class WardianError(Exception):
    """What failed, on which object, why; and, apart from that, the one next step.

    `message` may span lines; `hint` is one imperative sentence without the word `hint`.
    """

    exit_status = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UserError(WardianError):
    """Something that the user, the host or the network has to change."""

    exit_status = 1


class SpecError(UserError):
    """A declaration that cannot be read or means nothing."""


class LockError(UserError):
    """A lock that cannot be used."""


class StaleLockError(LockError):
    """A lock that is missing or does not fit its spec: resolving mends it and loses nothing."""


class DamagedLockError(LockError):
    """A lock whose content is not what wardian wrote: only who asks for it may have it written anew."""


class NewerLockError(LockError):
    """A lock of a newer wardian, which this one leaves alone."""


class ResolveError(UserError):
    """No set of packages satisfies what was asked."""


class FetchError(UserError):
    """An address that failed, after retries."""


class VerificationError(UserError):
    """Bytes that differ from those named by a hash or covered by a signature."""


class BuildError(UserError):
    """A package that does not unpack, configure or install."""


class ImageError(UserError):
    """An image, a reference or an archive that cannot be used."""


class RegistryError(UserError):
    """A registry that refuses what it is asked, or is none."""


class CredentialsError(RegistryError):
    """A registry that wants other credentials, or any."""


class EngineError(UserError):
    """A container engine that is not running, or refuses what it is asked."""


class RunError(UserError):
    """A program, notebook or task that cannot be run."""


class HostError(UserError):
    """The kernel, its settings or the disk forbid what is needed."""


class StoreError(UserError):
    """The store is damaged, unwritable or was written by another version."""


class InternalError(WardianError):
    """A condition that the code holds to be impossible."""
