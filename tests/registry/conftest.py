from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from wardian.image.descriptor import CONFIG, LAYER_GZIP, Descriptor, Digest
from wardian.image.library import Library
from wardian.image.manifest import Configuration, Execution, Manifest
from wardian.image.platform import Platform
from wardian.image.reference import Reference
from wardian.registry.client import Registry
from wardian.registry.credential import Credential
from wardian.registry.push import Push
from wardian.store.store import Store
from wardian.system.attempts import Pace

from .proxy import Proxy, running_proxy
from .servers import (
    PASSWORD,
    PROGRAM,
    USER,
    Certificate,
    Need,
    RealRegistry,
    TokenServer,
    make_certificate,
    running_registry,
    running_tokens,
)

PLATFORM = Platform(architecture="amd64")


@dataclass(frozen=True, kw_only=True)
class Made:
    """An image in a library."""

    descriptor: Descriptor
    manifest: Manifest

    @property
    def data(self) -> bytes:
        return self.manifest.encode()


def make_image(library: Library, *contents: bytes, architecture: str = "amd64") -> Made:
    """An image whose layers' blobs are `contents`; nothing here unpacks them."""
    layers = tuple(library.write((content,), LAYER_GZIP) for content in contents)
    configuration = Configuration(
        architecture=architecture,
        execution=Execution(),
        diff_ids=tuple(Digest.of(b"unpacked" + content) for content in contents),
    )
    config = library.add(configuration.encode(), CONFIG)
    manifest = Manifest(config=config, layers=layers)
    return Made(descriptor=library.add(manifest.encode(), manifest.media_type), manifest=manifest)


def push(registry: Registry, name: str, made: Made, library: Library, **keywords: object) -> Push:
    """Push a whole image."""
    with Push(registry, Reference.parse(name), store=library.store) as done:
        for blob in (*made.manifest.layers, made.manifest.config):
            done.submit(blob, library.blob(blob.digest))
        assert done.finish(made.data, made.manifest.media_type, **keywords) == made.descriptor.digest  # type: ignore[arg-type]
    return done


@pytest.fixture
def pace() -> Pace:
    return Pace(attempts=4, pause=0.01, patience=5.0, stall=20.0)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Store.open(tmp_path / "home"))


@pytest.fixture
def other_library(tmp_path: Path) -> Library:
    """Another machine's."""
    return Library(Store.open(tmp_path / "elsewhere"))


@pytest.fixture
def blobs() -> tuple[bytes, ...]:
    """Layers of some hundred kilobytes, new ones in each test: the registries outlive it."""
    return tuple(os.urandom(size) for size in (300_000, 100, 700_000))


@pytest.fixture
def open_registry(pace: Pace) -> Iterator[Callable[..., Registry]]:
    """`open_registry(host, ...)`: a client that does not wait long."""
    made = []

    def call(
        name: str, *, environment: Mapping[str, str] | None = None, pace: Pace = pace, **keywords: object
    ) -> Registry:
        registry = Registry(name, environment=environment or {}, pace=pace, **keywords)  # type: ignore[arg-type]
        made.append(registry)
        return registry

    yield call
    for registry in made:
        registry.close()


@pytest.fixture
def someone() -> Credential:
    return Credential(user=USER, password=PASSWORD)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, need: Need) -> Callable[[str], Path]:
    """Folders of the session's registries."""
    need(os.path.exists(PROGRAM), "docker-registry is needed")
    return tmp_path_factory.mktemp


@pytest.fixture(scope="session")
def certificate(folders: Callable[[str], Path]) -> Certificate:
    return make_certificate(folders("certificate"))


@pytest.fixture(scope="session")
def plain(folders: Callable[[str], Path]) -> Iterator[RealRegistry]:
    """A registry without TLS and without users."""
    with running_registry(folders("plain")) as registry:
        yield registry


@pytest.fixture(scope="session")
def secure(folders: Callable[[str], Path], certificate: Certificate) -> Iterator[RealRegistry]:
    """A registry with a certificate of its own."""
    with running_registry(folders("secure"), certificate=certificate) as registry:
        yield registry


@pytest.fixture(scope="session")
def guarded(folders: Callable[[str], Path], need: Need) -> Iterator[RealRegistry]:
    """A registry that wants a user name and a password."""
    need(shutil.which("htpasswd"), "htpasswd is needed (apache2-utils)")
    with running_registry(folders("guarded"), users=True) as registry:
        yield registry


@pytest.fixture(scope="session")
def token_server(folders: Callable[[str], Path]) -> Iterator[TokenServer]:
    with running_tokens(folders("tokens")) as server:
        yield server


@pytest.fixture(scope="session")
def _tokened(folders: Callable[[str], Path], token_server: TokenServer) -> Iterator[RealRegistry]:
    with running_registry(folders("tokened"), tokens=token_server) as registry:
        yield registry


@pytest.fixture
def tokened(_tokened: RealRegistry, token_server: TokenServer) -> RealRegistry:
    """A registry that takes the token server's tokens; this one is as it was at first."""
    fresh = TokenServer(certificate=token_server.certificate)
    for name in ("lifetime", "real_lifetime", "anonymous", "known"):
        setattr(token_server, name, getattr(fresh, name))
    token_server.faults.clear()
    token_server.seen.clear()
    return _tokened


@pytest.fixture
def proxy(plain: RealRegistry) -> Iterator[Proxy]:
    """A way to the plain registry that goes wrong as told."""
    with running_proxy(plain.host) as made:
        yield made


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of this test's own."""
    return "test/" + "".join(c if c.isalnum() else "-" for c in request.node.name.lower()).strip("-")[
        :60
    ].strip("-")


__all__ = ["PLATFORM", "Made", "make_image", "push", "replace"]
