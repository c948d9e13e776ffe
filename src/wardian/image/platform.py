"""Platforms as the OCI image index names them (image-spec, image-index.md, `platform`)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from wardian.errors import SpecError

# OCI (GOARCH) architecture and variant -> Debian architecture, machine as in uname(2).
_ARCHITECTURES = {
    "amd64": ("amd64", "x86_64"),
    "arm64": ("arm64", "aarch64"),
    "ppc64le": ("ppc64el", "ppc64le"),
    "s390x": ("s390x", "s390x"),
    "riscv64": ("riscv64", "riscv64"),
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Platform:
    """An operating system and an architecture, written `linux/amd64`."""

    os: str = "linux"
    architecture: str

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read `linux/amd64`; raises SpecError for a platform Debian has no port of here."""
        if not re.fullmatch(r"linux/[a-z0-9]+", text) or text[6:] not in _ARCHITECTURES:
            known = ", ".join(f"linux/{name}" for name in _ARCHITECTURES)
            raise SpecError(f"unknown platform {text!r}", hint=f"use one of {known}")
        return cls(architecture=text[6:])

    @classmethod
    def host(cls) -> Platform:
        """The platform this process runs on."""
        machine = os.uname().machine
        for architecture, (_, name) in _ARCHITECTURES.items():
            if name == machine:
                return cls(architecture=architecture)
        raise SpecError(f"this machine's architecture {machine!r} is none that wardian knows")

    @property
    def debian(self) -> str:
        """The Debian architecture (Debian policy 5.6.8), for example `amd64`."""
        return _ARCHITECTURES[self.architecture][0]

    @property
    def machine(self) -> str:
        """The machine as uname(2) and wheel platform tags call it, for example `x86_64`."""
        return _ARCHITECTURES[self.architecture][1]
