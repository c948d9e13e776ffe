"""Registries: logging in and out, and opening one as the user has configured it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardian.errors import CredentialsError, RegistryError
from wardian.image.reference import HUB
from wardian.project.configuration import read_configuration
from wardian.registry.client import Registry
from wardian.registry.credential import Credential, canonical
from wardian.registry.credentials import find_credentials
from wardian.registry.settings import check_host

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wardian.system.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A login that was done: at which `registry`, kept in which `place` (a file or a helper's program).

    `is_verified`: the registry asked for credentials and took these.
    """

    registry: str
    place: str
    is_verified: bool


def registry_name(text: str = "") -> str:
    """The registry that people call `text`: a host, an address, or nothing for Docker Hub.

    Raises SpecError for what is none.
    """
    return check_host(canonical(text.strip()), "the registry") if text.strip() else HUB


def open_registry(
    name: str,
    *,
    environment: Mapping[str, str],
    progress: Progress | None = None,
    insecure: bool = False,
) -> Registry:
    """The client of a registry, with the mirrors and exceptions of the user's configuration.

    Raises RegistryError where $WARDIAN_OFFLINE forbids the network.
    """
    _check_online(name, environment)
    return Registry(
        name,
        environment=environment,
        progress=progress,
        insecure=insecure,
        settings=read_configuration(environment).registries,
    )


def login(
    registry: str,
    user: str,
    password: str,
    *,
    environment: Mapping[str, str] | None = None,
    insecure: bool = False,
) -> Login:
    """Show the credentials to the registry and, where it takes them, keep them for it.

    `environment` stands in for the process's own.
    Raises CredentialsError where it does not take them, RegistryError where it is none.
    """
    environment = os.environ if environment is None else environment
    name = registry_name(registry)
    _check_online(name, environment)
    if not user or not password:
        raise CredentialsError(f"cannot log in to {name} without a user name and a password")
    try:
        f"{user}{password}".encode()
    except UnicodeEncodeError as error:
        raise CredentialsError(
            f"cannot log in to {name}: the user name or the password is no UTF-8",
            hint="check that the terminal and the file with the password use UTF-8",
        ) from error
    credential = Credential(user=user, password=password)
    settings = read_configuration(environment).registries
    with Registry(
        name, environment=environment, insecure=insecure, settings=settings, credential=credential
    ) as client:
        is_verified = client.verify()
    place = find_credentials(environment).put(name, credential)
    return Login(registry=name, place=place, is_verified=is_verified)


def _check_online(name: str, environment: Mapping[str, str]) -> None:
    if environment.get("WARDIAN_OFFLINE") == "1":
        raise RegistryError(
            f"the registry {name} is not asked: the network is not to be used",
            hint="unset WARDIAN_OFFLINE",
        )


def logout(registry: str = "", *, environment: Mapping[str, str] | None = None) -> bool:
    """Forget the credentials for a registry; whether there were any."""
    return find_credentials(os.environ if environment is None else environment).remove(
        registry_name(registry)
    )


def logout_everywhere(*, environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Forget the credentials for all registries; returns their names."""
    return find_credentials(os.environ if environment is None else environment).remove_all()
