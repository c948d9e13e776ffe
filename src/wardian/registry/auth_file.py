"""One file of credentials: Docker's config.json and the containers tools' auth.json have the same form.

`auths` holds entries by registry, `credHelpers` names a helper for a registry, `credsStore` one for all. What
else the file holds is kept as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wardian.errors import CredentialsError, HostError
from wardian.image.reference import HUB
from wardian.registry.credential import HUB_KEY, Credential, canonical, scopes_of
from wardian.registry.helper import Helper
from wardian.system import files

# A file of credentials has some kilobytes; what is larger is something else.
_LARGEST = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthFile:
    """The file at `path`, which need not be there. `is_docker`: the Hub has its old name in it."""

    path: Path
    environment: Mapping[str, str]
    is_docker: bool = False

    def find(self, registry: str, repository: str = "") -> Credential | None:
        """The credentials for a repository, the narrowest entry first; raises CredentialsError."""
        content = self._read()
        *narrow, whole = scopes_of(registry, repository)
        for scope in narrow:
            if found := self._entry(content, scope):
                return found
        helper = self._helper(content, registry)
        found = helper.get(server_name(registry)) if helper else None
        return found or self._entry(content, whole)

    def has(self, registry: str) -> bool:
        """Whether there are credentials for the registry as a whole; raises CredentialsError."""
        return self.find(registry) is not None

    def put(self, registry: str, credential: Credential) -> str:
        """Keep credentials; returns where: a helper's program or the file. Raises CredentialsError."""
        if helper := self._helper(self._read(), registry):
            helper.store(server_name(registry), credential)
            return helper.program

        def change(content: dict[str, Any]) -> bool:
            entries = content.setdefault("auths", {})
            key = next((key for key in entries if canonical(key) == registry), self._key(registry))
            entries[key] = credential.as_entry()
            return True

        self._change(change)
        return str(self.path)

    def remove(self, registry: str) -> bool:
        """Forget a registry's credentials; whether there were any. Raises CredentialsError."""
        helper = self._helper(self._read(), registry)
        erased = helper.erase(server_name(registry)) if helper else False

        def change(content: dict[str, Any]) -> bool:
            entries = content.get("auths", {})
            keys = [key for key in entries if canonical(key) == registry]
            for key in keys:
                del entries[key]
            return bool(keys)

        return self._change(change) or erased

    def registries(self) -> tuple[str, ...]:
        """Every registry (or part of one) that there are credentials for; raises CredentialsError."""
        content = self._read()
        known = {canonical(key) for key in content.get("auths", {})}
        known |= {canonical(key) for key in content.get("credHelpers", {})}
        if store := self._helper(content, ""):
            known |= {canonical(server) for server in store.servers()}
        return tuple(sorted(known))

    def _entry(self, content: Mapping[str, Any], scope: str) -> Credential | None:
        for key, entry in content.get("auths", {}).items():
            if canonical(key) == scope and isinstance(entry, dict):
                found = Credential.of_entry(entry, f"{self.path}: the entry of {scope}")
                if found:
                    return found
        return None

    def _helper(self, content: Mapping[str, Any], registry: str) -> Helper | None:
        own = {canonical(key): name for key, name in content.get("credHelpers", {}).items()}
        name = own.get(registry) or content.get("credsStore")
        if not isinstance(name, str) or not name or "/" in name:
            return None
        return Helper(name=name, source=str(self.path), environment=self.environment)

    def _key(self, registry: str) -> str:
        return HUB_KEY if self.is_docker and registry == HUB else registry

    def _read(self) -> dict[str, Any]:
        try:
            # Without waiting: at a named pipe, open(2) would wait for a writer.
            with open(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                kind = os.fstat(file.fileno()).st_mode
                if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):  # /dev/null stands for no credentials
                    raise CredentialsError(
                        f"cannot read the credentials in {self.path}: it is no regular file",
                        hint="move it away and log in again",
                    )
                data = file.read(_LARGEST)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise CredentialsError(
                f"cannot read the credentials in {self.path}: {error.strerror}",
                hint="make the file readable for you",
            ) from error
        return self._parse(data)

    def _parse(self, data: bytes) -> dict[str, Any]:
        try:
            content = json.loads(data or b"{}")
        except (ValueError, RecursionError):
            content = None
        is_right = isinstance(content, dict)
        for table in ("auths", "credHelpers") if is_right else ():
            if content.get(table) is None:
                content.pop(table, None)
            is_right = is_right and isinstance(content.get(table, {}), dict)
        if not is_right:
            raise CredentialsError(
                f"{self.path} is no file of credentials: it is not the JSON that Docker writes",
                hint="mend the file, or move it away and log in again",
            )
        found: dict[str, Any] = content
        return found

    def _change(self, change: Callable[[dict[str, Any]], bool]) -> bool:
        """Read, change and write, where `change` says that there is something to write."""
        if not self.path.exists() and not change({}):
            return False
        with self._alone():
            content = self._read()
            if not change(content):
                return False
            # In ASCII: what others wrote may hold half characters ("\ud800"), which UTF-8 has not.
            text = json.dumps(content, indent="\t")
            files.write_atomic(self.path, text + "\n", durable=True, mode=0o600)
        return True

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes of wardian from the file: what they add meanwhile would be lost."""
        folder = self.path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise HostError(
                f"cannot use the folder {folder}: {error.strerror}",
                hint="check its permissions, or set REGISTRY_AUTH_FILE to another file",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def server_name(registry: str) -> str:
    """What helpers know a registry by."""
    return HUB_KEY if registry == HUB else registry
